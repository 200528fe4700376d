// An exchange as a connection of its own that Wireshark reads: as HTTP/1.1, whatever it was; of a WebSocket the frames
// made anew. Ports of TLS become those without, since what is written is what TLS held.
#include <fmt/format.h>

#include <algorithm>

#include "analysis/export_body.h"
#include "analysis/export_formats.h"
#include "analysis/messages.h"
#include "analysis/pcapng.h"
#include "base/text.h"

namespace sluice::analysis {
namespace {

using flow::Direction;

constexpr std::size_t kMessagesAtOnce = 500;
constexpr ByteCount kMessageBudget = 16 * kMiB;
constexpr std::uint16_t kFirstPort = 49'152, kPorts = 16'384;  // RFC 6335 §6: dynamic ports

std::uint16_t plain_port(std::uint16_t port) { return port == 443 ? 80 : port == 8'443 ? 8'080 : port; }

PacketStream stream_of(const flow::Exchange& exchange) {
  PacketStream::End client, server;
  if (exchange.connection) client.address = exchange.connection->client_address;
  client.port = static_cast<std::uint16_t>(kFirstPort + exchange.seq.value % kPorts);
  if (exchange.upstream) server.address = exchange.upstream->address;
  server.port = plain_port(exchange.port);
  return {client, server};
}

// RFC 6455 §5.2; a client's mask is zero, so that its octets can be read as they are.
std::string frame_of(const SeenMessage& message, std::uint8_t opcode, std::string_view payload) {
  const bool masked = message.direction == Direction::kRequest;
  std::string frame(1, static_cast<char>(0x80 | opcode));
  const std::uint64_t size = payload.size();
  const char mask = masked ? '\x80' : '\0';
  if (size < 126) {
    frame += static_cast<char>(mask | static_cast<char>(size));
  } else {
    const int octets = size < 65'536 ? 2 : 8;
    frame += static_cast<char>(mask | (octets == 2 ? 126 : 127));
    for (int shift = (octets - 1) * 8; shift >= 0; shift -= 8) frame += static_cast<char>(size >> shift & 0xFF);
  }
  if (masked) frame.append(4, '\0');
  frame += payload;
  return frame;
}

class PacketExport {
 public:
  PacketExport(const ExportSource& source, ExportSink& sink)
      : source_(source), exchange_(source.exchange), sink_(sink), stream_(stream_of(source.exchange)) {}

  Status write() {
    const flow::Timings& when = exchange_.timings;
    put([&](std::string& out) { stream_.open(exchange_.started, out); });
    SLUICE_CHECK(write_message(Direction::kRequest, time(std::max<std::int64_t>(when.request_head, 0))));
    const WallTime answered = time(std::max<std::int64_t>(when.first_byte, 0)),
                   ended = time(std::max(when.end, when.first_byte));
    if (exchange_.status != 0) SLUICE_CHECK(write_message(Direction::kResponse, answered));
    if (exchange_.protocol == flow::Protocol::kWebSocket) SLUICE_CHECK(write_frames(ended));
    put([&](std::string& out) { stream_.close(ended, out); });
    return {};
  }

 private:
  WallTime time(std::int64_t microseconds) const {
    return exchange_.started + std::chrono::microseconds(std::max<std::int64_t>(microseconds, 0));
  }
  template <class Form>
  void put(const Form& form) {
    std::string out;
    form(out);
    sink_.put(out);
  }

  Status write_message(Direction direction, WallTime at) {
    const bool socket = exchange_.protocol == flow::Protocol::kWebSocket;
    const flow::BodyInfo& info = body_info(exchange_, direction);
    const http::FieldList fields = flow::parse_fields(shown_head(exchange_, direction));
    const bool was_chunked = fields.has_token("transfer-encoding", "chunked");
    const bool has_body = !socket && info.stored > 0;
    // Masked bodies have other lengths; those of HTTP/2 need none.
    const bool chunked =
        was_chunked ||
        (has_body && (source_.redactor || (!fields.find("content-length") && direction == Direction::kRequest)));
    ExportSink packets([&](Bytes octets) -> Status {
      put([&](std::string& out) { stream_.send(direction, octets, at, out); });
      return {};
    });
    packets.put(head_of(direction, fields, chunked));
    if (has_body) {
      ExportBody body(source_, direction, export_form(source_));
      SLUICE_CHECK(body.put(packets, chunked ? ExportBody::Encoding::kChunks : ExportBody::Encoding::kPlain));
    }
    if (chunked && !socket) packets.put("0\r\n\r\n");
    return packets.finish();
  }

  std::string head_of(Direction direction, const http::FieldList& fields, bool chunked) const {
    const std::string& raw = shown_head(exchange_, direction);
    std::string head;
    if (direction == Direction::kRequest) {
      const std::string target =
          source_.redactor ? source_.redactor->mask_url(exchange_.target).text : exchange_.target;
      head = fmt::format("{} {} HTTP/1.1\r\n", exchange_.method, target);
      if (!fields.find("host")) head += fmt::format("Host: {}\r\n", exchange_.host);
    } else {
      head = fmt::format("HTTP/1.1 {} {}\r\n", exchange_.status, flow::reason_of(raw));
    }
    for (std::size_t i = 0; i < fields.size(); ++i) {
      const std::string_view name = fields.name(i);
      const bool of_length = iequals(name, "transfer-encoding") || (chunked && iequals(name, "content-length"));
      if (of_length || (source_.redactor && iequals(name, "content-encoding"))) continue;
      std::string value(fields.value(i));
      if (source_.redactor) value = source_.redactor->mask_header_value(name, value).text;
      head += std::string(name) + ": " + value + "\r\n";
    }
    if (chunked) head += "Transfer-Encoding: chunked\r\n";
    return head + "\r\n";
  }

  Status write_frames(WallTime ended) {
    MessageQuery query{
        .limit = kMessagesAtOnce, .budget = kMessageBudget, .redactor = source_.redactor, .stop = source_.stop};
    for (bool more = true; more;) {
      const auto page = read_messages(source_.bodies, exchange_, query);
      if (!page && page.error().code == Code::kCancelled) return fail(page.error());
      if (!page) break;  // it is no longer there
      more = page->next_offset && !page->messages.empty();
      query.offset = page->next_offset.value_or(0);
      for (const SeenMessage& message : page->messages) {
        put([&](std::string& out) {
          stream_.send(message.direction, frame(message), message.at.value_or(ended), out);
        });
      }
    }
    return {};
  }

  std::string frame(const SeenMessage& message) const {
    if (message.type == "close") {
      std::string payload;
      if (message.close_code) {
        payload = {static_cast<char>(*message.close_code >> 8), static_cast<char>(*message.close_code & 0xFF)};
        payload += source_.redactor ? source_.redactor->mask_text(message.close_reason).text : message.close_reason;
      }
      return frame_of(message, 8, payload.substr(0, 125));
    }
    const std::uint8_t opcode = message.type == "text"   ? 1
                                : message.type == "ping" ? 9
                                : message.type == "pong" ? 10
                                                         : 2;
    return frame_of(message, opcode, message.content);
  }

  const ExportSource& source_;
  const flow::Exchange& exchange_;
  ExportSink& sink_;
  PacketStream stream_;
};

}  // namespace

Status write_packets(const ExportSource& source, ExportSink& sink) { return PacketExport(source, sink).write(); }

}  // namespace sluice::analysis
