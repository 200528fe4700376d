#include "analysis/messages.h"

#include <utility>

#include "analysis/clip.h"
#include "analysis/events.h"
#include "analysis/message_page.h"
#include "base/text.h"

namespace sluice::analysis {
namespace {

using flow::Direction;

std::string field_of(const flow::Exchange& exchange, Direction direction, std::string_view name) {
  return flow::parse_fields(shown_head(exchange, direction)).joined(name).value_or("");
}

bool is_event_stream(std::string_view content_type) {
  return iequals(trim(content_type.substr(0, content_type.find(';'))), "text/event-stream");
}

// While it is open, its record still has the protocol that it began with.
bool is_socket(const flow::Exchange& exchange) {
  if (exchange.protocol == flow::Protocol::kWebSocket) return true;
  return exchange.status == 101 && iequals(field_of(exchange, Direction::kResponse, "upgrade"), "websocket");
}

std::optional<GrpcForm> form_of(const flow::Exchange& exchange, Direction direction) {
  return grpc_form(field_of(exchange, direction, "content-type"));
}

BodyStream open(const capture::BodySource& ring, const flow::Exchange& exchange, Direction direction) {
  return {ring, exchange.id, direction, field_of(exchange, direction, "content-encoding"), {}};
}

// ---- events ----

void add_event(PageFiller& filler, ServerEvent event) {
  const std::uint64_t number = filler.page().total++;
  if (!filler.is_wanted(number)) return;
  SeenMessage message;
  message.number = number;
  message.type = "event";
  message.complete = event.complete;
  message.event = std::move(event.type);
  message.id = std::move(event.id);
  message.retry_ms = event.retry_ms;
  if (event.data) message.bytes = event.data_size;
  const bool is_here = !event.data || event.data->size() == event.data_size;
  const std::string data = std::move(event.data).value_or("");
  filler.add(std::move(message), data, is_here);
}

Status read_events(const capture::BodySource& ring, const flow::Exchange& exchange, PageFiller& filler) {
  if (exchange.response.body.stored == 0) return {};
  BodyStream body = open(ring, exchange, Direction::kResponse);
  EventParser parser(filler.keep());
  for (;;) {
    SLUICE_CHECK(filler.go_on());
    SLUICE_TRY(const std::string_view piece, body.next());
    if (piece.empty()) break;
    parser.feed(piece);
    while (auto event = parser.next()) add_event(filler, *std::move(event));
  }
  if (auto event = parser.finish()) add_event(filler, *std::move(event));
  filler.page().problem = body.problem();
  return {};
}

// ---- gRPC ----

// False: it could not be inflated to its end. `is_here`: nothing more can be had of it.
bool inflate(GrpcFrame& frame, std::string_view coding, const PageFiller& filler, SeenMessage& message, bool& is_here) {
  const auto codings = codings::parse_codings(coding);
  if (!codings || codings->empty()) {
    message.problem = "Its compression is not known.";
    if (filler.query().redactor) frame.payload.clear();  // what cannot be read cannot be masked
    return false;
  }
  const auto decoder = codings::make_decoder(*codings, filler.keep());
  std::string content;
  const Status decoded = decoder->decode(frame.payload, content);
  const bool too_long = !decoded && decoded.error().code == Code::kTooLarge;
  if (too_long) {
    is_here = false;
  } else if (!decoded) {
    message.problem = decoded.error().message;
  } else if (is_here && !decoder->ended()) {
    message.problem = "the coded data ends early";
  }
  frame.payload = std::move(content);
  return decoded.has_value() && decoder->ended();
}

Status add_frame(PageFiller& filler, GrpcFrame frame, Direction direction, std::string_view coding) {
  const std::uint64_t number = filler.page().total++;
  if (!filler.is_wanted(number)) return {};
  SeenMessage message;
  message.number = number;
  message.direction = direction;
  message.type = frame.trailers ? "trailers" : "message";
  message.complete = frame.complete;
  message.compressed = frame.compressed;
  SLUICE_CHECK(filler.check(message));
  const bool is_whole = frame.payload.size() == frame.length;
  bool is_plain = !frame.compressed, is_here = is_whole || frame.payload.size() < filler.keep();
  if (frame.compressed && filler.query().form == Form::kDecoded) {
    is_plain = inflate(frame, coding, filler, message, is_here);
    if (is_plain && is_whole && is_here) message.bytes = frame.payload.size();
  } else {
    message.bytes = frame.length;
  }
  const bool is_small = is_whole && frame.payload.size() <= kSmallMessage;
  if (is_plain && is_small && !frame.trailers) message.small = frame.payload;
  filler.add(std::move(message), frame.payload, is_here);
  return {};
}

Status read_grpc(const capture::BodySource& ring, const flow::Exchange& exchange, Direction direction,
                 PageFiller& filler) {
  const auto form = form_of(exchange, direction);
  if (!form || body_info(exchange, direction).stored == 0) return {};
  BodyStream body = open(ring, exchange, direction);
  GrpcParser parser(*form, filler.keep());
  const std::string coding = field_of(exchange, direction, "grpc-encoding");
  for (;;) {
    SLUICE_CHECK(filler.go_on());
    SLUICE_TRY(const std::string_view piece, body.next());
    if (piece.empty()) break;
    parser.feed(piece);
    for (;;) {
      auto frame = parser.next();
      if (!frame) {
        filler.page().problem = frame.error().message;
        return {};
      }
      if (!*frame) break;
      if ((*frame)->trailers) filler.page().status = grpc_status((*frame)->payload);
      SLUICE_CHECK(add_frame(filler, **std::move(frame), direction, coding));
    }
  }
  if (auto frame = parser.finish()) SLUICE_CHECK(add_frame(filler, *std::move(frame), direction, coding));
  if (!body.problem().empty()) filler.page().problem = body.problem();
  return {};
}

Status read_grpc(const capture::BodySource& ring, const flow::Exchange& exchange, PageFiller& filler) {
  SLUICE_CHECK(read_grpc(ring, exchange, Direction::kRequest, filler));
  SLUICE_CHECK(read_grpc(ring, exchange, Direction::kResponse, filler));
  MessagePage& page = filler.page();
  if (!page.status) page.status = grpc_status(exchange.response.trailers);
  if (!page.status) page.status = grpc_status(shown_head(exchange, Direction::kResponse));
  return {};
}

}  // namespace

// ---- the page ----

void PageFiller::add(SeenMessage message, std::string_view content, bool is_here) {
  const bool has_room = page_.messages.empty() || content.size() <= left_;
  if (page_.messages.size() >= query_.limit || !has_room) {
    page_.next_offset = message.number;
    full_ = true;
    return;
  }
  Clip shown = clip(content, 0, left_, !is_here, query_.redactor, "");
  message.content = std::move(shown.octets);
  message.cut = shown.more;
  left_ -= std::min(left_, shown.bytes);
  page_.messages.push_back(std::move(message));
}

Status PageFiller::check(const SeenMessage& message) const {
  if (!message.compressed || query_.form != Form::kAsOnWire || !query_.redactor) return {};
  return fail(Code::kRefused, "A compressed message cannot be masked.");
}

Status PageFiller::go_on() const {
  if (query_.stop.stop_requested()) return fail(Code::kCancelled, "The call was cancelled.");
  return {};
}

std::string_view to_string(MessageKind kind) {
  switch (kind) {
    case MessageKind::kWebSocket:
      return "websocket";
    case MessageKind::kEvents:
      return "events";
    case MessageKind::kGrpc:
      return "grpc";
  }
  return "";
}

std::optional<MessageKind> message_kind(const flow::Exchange& exchange) {
  if (is_socket(exchange)) return MessageKind::kWebSocket;
  if (is_event_stream(field_of(exchange, Direction::kResponse, "content-type"))) return MessageKind::kEvents;
  if (form_of(exchange, Direction::kRequest) || form_of(exchange, Direction::kResponse)) return MessageKind::kGrpc;
  return std::nullopt;
}

Result<MessagePage> read_messages(const capture::BodySource& ring, const flow::Exchange& exchange,
                                  const MessageQuery& query) {
  const auto kind = message_kind(exchange);
  if (!kind) return fail(Code::kInvalid, "This exchange is not made of messages.");
  MessagePage page;
  page.kind = *kind;
  PageFiller filler(page, query);
  switch (*kind) {
    case MessageKind::kWebSocket:
      SLUICE_CHECK(read_socket_messages(ring, exchange, filler));
      break;
    case MessageKind::kEvents:
      SLUICE_CHECK(read_events(ring, exchange, filler));
      break;
    case MessageKind::kGrpc:
      SLUICE_CHECK(read_grpc(ring, exchange, filler));
      break;
  }
  return page;
}

}  // namespace sluice::analysis
