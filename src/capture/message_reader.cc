#include "capture/message_reader.h"

#include <algorithm>

namespace sluice::capture {
namespace {

bool is_control(const Message& message) { return message.opcode >= 8; }  // RFC 6455 §5.5

}  // namespace

MessagePlaces find_messages(const Entry& entry, std::int64_t offset, std::size_t limit, std::uint32_t first_segment) {
  MessagePlaces places;
  places.seq = entry.seq;
  if (!entry.messages) return places;
  places.total = entry.messages->total;
  const auto total = static_cast<std::int64_t>(places.total);
  if (offset < 0) offset = std::max<std::int64_t>(offset, -total) + total;
  places.offset = static_cast<std::uint64_t>(std::min(offset, total));
  const std::uint64_t end = places.offset + std::min<std::uint64_t>(limit, places.total - places.offset);
  for (const MessageRun& run : entry.messages->runs) {
    const bool wanted = run.first < end && run.first + run.count > places.offset;
    if (wanted && run.extent.segment >= first_segment) places.runs.push_back(run);
  }
  return places;
}

MessagePage read_messages(const Spool& spool, const MessagePlaces& places, std::size_t limit) {
  MessagePage page;
  page.total = places.total;
  page.offset = places.offset;
  const std::uint64_t end = places.offset + std::min<std::uint64_t>(limit, places.total - places.offset);
  for (const MessageRun& run : places.runs) {
    std::uint64_t number = run.first;
    (void)spool.read(run.extent, RecordType::kMessage, places.seq, [&](Bytes payload) {
      const std::uint64_t mine = number++;
      const auto parts = parse_message(payload);
      if (!parts || mine < places.offset || mine >= end) return;
      const flow::MessageSeen& seen = parts->seen;
      Message& message = page.messages.emplace_back();
      message.number = mine;
      message.direction = seen.direction;
      message.opcode = seen.opcode;
      message.compressed = seen.compressed;
      message.complete = seen.complete;
      message.offset = seen.offset;
      message.length = seen.length;
      message.at = seen.at;
      message.octets = seen.control;
      if (is_control(message)) message.length = message.stored = message.octets.size();
    });
  }
  return page;
}

BodyPlaces find_payloads(const Entry& entry, flow::Direction direction, const MessagePage& page) {
  ByteCount begin = UINT64_MAX, end = 0;
  for (const Message& message : page.messages) {
    if (message.direction != direction || is_control(message)) continue;
    begin = std::min(begin, message.offset);
    end = std::max(end, message.offset + message.length);
  }
  return find_places(entry, direction, begin, end > begin ? end - begin : 0);
}

void read_payload(Message& message, BodyReader& body, std::uint32_t first_segment, ByteCount most) {
  if (is_control(message)) {
    if (message.octets.size() > most) message.octets.resize(static_cast<std::size_t>(most));
    return;
  }
  message.stored = body.readable(message.offset, message.length, first_segment);
  if (!body.read(message.offset, std::min(most, message.stored), message.octets)) {
    message.octets.clear();
    message.stored = 0;
  }
}

}  // namespace sluice::capture
