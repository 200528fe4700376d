// Cut anywhere, unmasked anywhere: the same frames and the same messages. What was read is what came; heads are written
// again as they stood. The first octets say who speaks, what was agreed and where to cut.
#include <algorithm>
#include <cstdlib>

#include "websocket/transcript.h"

namespace sluice::websocket {
namespace {

void require(bool holds) {
  if (!holds) std::abort();
}

// The octets that the frames stand for, written again.
void write_again(FrameReader reader, Bytes octets) {
  Part part(octets, 16);
  part.feed_to(reader, Unmasking::kIntoScratch);
  for (auto event = reader.next(); event && !std::holds_alternative<NeedMore>(*event); event = reader.next()) {
    const auto* head = std::get_if<FrameHead>(&*event);
    if (!head || (reader.oddities() & bit(Oddity::kLongLength)) != 0) continue;
    std::string written;
    append_frame_head(written, *head);
    require(written == head->wire);
  }
}

template <class Maker>
void cut_anywhere(const Maker& maker, const Maker& in_place, Bytes octets, const std::uint8_t* where) {
  const auto whole = read_in_parts(maker, octets, {});
  std::vector<std::size_t> cuts;
  for (int i = 0; i < 3; ++i) cuts.push_back(octets.empty() ? 0 : where[i] * 5 % octets.size());
  std::sort(cuts.begin(), cuts.end());
  std::vector<std::size_t> every;
  for (std::size_t cut = 1; cut < octets.size(); ++cut) every.push_back(cut);
  for (const auto& at : {cuts, every}) {
    for (const Maker* how : {&maker, &in_place}) {
      const auto seen = read_in_parts(*how, octets, at);
      require(seen.text == whole.text && seen.oddities == whole.oddities);
    }
  }
  require(octets.starts_with(whole.wire));
}

}  // namespace
}  // namespace sluice::websocket

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace sluice;
  using namespace sluice::websocket;
  if (size < 4 || size > 600) return 0;  // beyond the limits below nothing new happens
  const Sender sender = (data[0] & 1) != 0 ? Sender::kClient : Sender::kServer;
  const auto reserved = static_cast<Reserved>((data[0] >> 1) % 3);
  Limits limits;
  if ((data[0] & 128) != 0) limits = {512, 4};
  const Bytes octets(reinterpret_cast<const char*>(data) + 4, size - 4);

  const FrameReader frames(sender, reserved, limits);
  cut_anywhere(FrameTranscript(frames, Unmasking::kIntoScratch), FrameTranscript(frames, Unmasking::kInPlace), octets,
               data + 1);
  write_again(frames, octets);
  const MessageReader messages(sender, reserved, limits);
  cut_anywhere(MessageTranscript(messages, Unmasking::kIntoScratch), MessageTranscript(messages, Unmasking::kInPlace),
               octets, data + 1);
  return 0;
}
