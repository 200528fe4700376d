// One entry of HAR 1.2 (w3c.github.io/web-performance/specs/HAR/Overview.html), WebSocket messages as Chrome writes
// them.
#include <fmt/format.h>

#include "analysis/export_body.h"
#include "analysis/export_formats.h"
#include "analysis/har_parts.h"
#include "analysis/messages.h"
#include "base/text.h"

namespace sluice::analysis {
namespace {

using flow::Direction;

constexpr std::size_t kMessagesAtOnce = 500;
constexpr ByteCount kMessageBudget = 1 * kMiB;  // of messages read at once; a longer one is cut, and says so
constexpr ByteCount kFileBudget = 16 * kMiB;    // the same, into a file
// `text` must be there (HAR 1.2, postData).
constexpr std::string_view kLeftOut = ",\"text\":\"\",\"comment\":\"Left out: without bodies.\"";

class HarWriter {
 public:
  HarWriter(const ExportSource& source, ExportSink& sink) : source_(source), exchange_(source.exchange), sink_(sink) {}

  Status write() {
    const Json timings = har_timings(exchange_.timings);
    Json entry = {{"startedDateTime", iso8601_ms(exchange_.started)}, {"time", har_time(timings)}};
    open(entry);
    sink_.put(",\"request\":");
    SLUICE_CHECK(write_request());
    if (sink_.stopped()) return {};
    sink_.put(",\"response\":");
    SLUICE_CHECK(write_response());
    if (sink_.stopped()) return {};
    if (exchange_.protocol == flow::Protocol::kWebSocket && source_.with_bodies) SLUICE_CHECK(write_messages());
    if (sink_.stopped()) return {};
    Json rest = {{"cache", Json::object()}, {"timings", timings}};
    if (exchange_.upstream && !exchange_.upstream->address.empty()) {
      rest["serverIPAddress"] = exchange_.upstream->address;
    }
    if (exchange_.connection) rest["connection"] = std::to_string(exchange_.connection->id.value);
    if (exchange_.protocol == flow::Protocol::kWebSocket) rest["_resourceType"] = "websocket";
    if (message_kind(exchange_) == MessageKind::kEvents) rest["_resourceType"] = "eventsource";
    add_har_extras(rest, exchange_);
    const std::string text = dump_json(rest);
    sink_.put(",");
    sink_.put(std::string_view(text).substr(1));
    return {};
  }

 private:
  // An object without its end.
  void open(const Json& object) {
    const std::string text = dump_json(object);
    sink_.put(std::string_view(text).substr(0, text.size() - 1));
  }

  std::string shown_url() const {
    const std::string url = flow::url_of(exchange_);
    return repair_utf8(source_.redactor ? source_.redactor->mask_url(url).text : url);
  }

  Status write_request() {
    const http::FieldList fields = flow::parse_fields(exchange_.request.head);
    const std::string url = shown_url();
    const Json headers = har_headers(fields, source_.redactor);
    open({{"method", repair_utf8(exchange_.method)},
          {"url", url},
          {"httpVersion", har_version(exchange_.request.head, false)},
          {"cookies", har_request_cookies(headers)},
          {"headers", headers},
          {"queryString", har_query(url)},
          {"headersSize", head_size(exchange_.request.head)},
          {"bodySize", exchange_.request.body.size}});
    if (exchange_.request.body.size > 0 && exchange_.protocol != flow::Protocol::kWebSocket) {
      sink_.put(",\"postData\":");
      open({{"mimeType", repair_utf8(fields.joined("content-type").value_or(""))}});
      if (source_.with_bodies) {
        ExportBody body(source_, Direction::kRequest, Form::kDecoded);
        SLUICE_CHECK(measure(body, Direction::kRequest));
        SLUICE_CHECK(write_text(body, Direction::kRequest, ",\"_encoding\":\"base64\""));
      } else {
        sink_.put(kLeftOut);
      }
      sink_.put("}");
    }
    write_trailers(exchange_.request);
    sink_.put("}");
    return {};
  }

  void write_trailers(const flow::Message& message) {
    if (message.trailers.empty()) return;
    sink_.put(",\"_trailers\":" + dump_json(har_headers(flow::parse_fields(message.trailers), source_.redactor)));
  }

  Status write_response() {
    const std::string& head = shown_head(exchange_, Direction::kResponse);
    const http::FieldList fields = flow::parse_fields(head);
    const Json headers = har_headers(fields, source_.redactor);
    const auto location = fields.joined("location").value_or("");
    const bool answered = exchange_.status != 0;
    open({{"status", exchange_.status},
          {"statusText", repair_utf8(flow::reason_of(head))},
          {"httpVersion", har_version(head, true)},
          {"cookies", har_response_cookies(headers)},
          {"headers", headers},
          {"redirectURL", repair_utf8(source_.redactor ? source_.redactor->mask_url(location).text : location)},
          {"headersSize", answered ? head_size(head) : Json(-1)},
          {"bodySize", answered ? Json(exchange_.response.body.size) : Json(-1)}});
    if (exchange_.failure) sink_.put(",\"_error\":" + dump_json(exchange_.failure->message));
    sink_.put(",\"content\":");
    SLUICE_CHECK(write_content(fields.joined("content-type").value_or("x-unknown")));
    write_trailers(exchange_.response);
    sink_.put("}");
    return {};
  }

  Status write_content(std::string_view type) {
    ExportBody body(source_, Direction::kResponse, Form::kDecoded);
    const bool has_body = exchange_.response.body.size > 0 && exchange_.protocol != flow::Protocol::kWebSocket;
    if (has_body && !source_.with_bodies) {
      open({{"size", exchange_.response.body.size}, {"mimeType", repair_utf8(type)}});
      sink_.put(",\"comment\":\"Left out: without bodies.\"}");
      return {};
    }
    if (has_body) SLUICE_CHECK(measure(body, Direction::kResponse));
    Json content = {{"size", body.size()}, {"mimeType", repair_utf8(type)}};
    const ByteCount wire = exchange_.response.body.size;
    if (has_body && !source_.redactor && body.problem().empty()) {
      content["compression"] = static_cast<std::int64_t>(body.size()) - static_cast<std::int64_t>(wire);
    }
    open(content);
    if (has_body) SLUICE_CHECK(write_text(body, Direction::kResponse, ",\"encoding\":\"base64\""));
    sink_.put("}");
    return {};
  }

  Status measure(ExportBody& body, Direction direction) {
    if (sink_.has_passed()) return {};
    SLUICE_CHECK(body.measure());
    if (!body.is_text()) sink_.set_odd(direction);
    return {};
  }

  Status write_text(ExportBody& body, Direction direction, std::string_view when_base64) {
    const bool text = !sink_.is_odd(direction);
    if (!body.problem().empty()) sink_.put(",\"comment\":" + dump_json(Json(body.problem())));
    if (!text) sink_.put(when_base64);
    sink_.put(",\"text\":\"");
    SLUICE_CHECK(body.put(sink_, text ? ExportBody::Encoding::kJsonText : ExportBody::Encoding::kBase64));
    sink_.put("\"");
    return {};
  }

  // HTTP/2's are not octets on the wire.
  Json head_size(const std::string& head) const {
    if (exchange_.protocol == flow::Protocol::kHttp2) return -1;
    return head.size();
  }

  // A part that is counted by messages.
  Status write_messages() {
    sink_.put(",\"_webSocketMessages\":[");
    const auto from = sink_.begin();
    any_message_ = from.value_or(0) > 0;
    MessageQuery query{.offset = from.value_or(0),
                       .limit = kMessagesAtOnce,
                       .budget = sink_.hands_on() ? kFileBudget : kMessageBudget,
                       .redactor = source_.redactor,
                       .stop = source_.stop};
    for (bool more = from.has_value(); more && !sink_.stopped();) {
      const auto page = read_messages(source_.bodies, exchange_, query);
      if (!page && page.error().code == Code::kCancelled) return fail(page.error());
      if (!page) break;  // it left the spool
      more = page->next_offset && !page->messages.empty();
      query.offset = page->next_offset.value_or(0);
      for (const SeenMessage& message : page->messages) {
        if (!sink_.has_room()) sink_.stop(any_message_ ? message.number : 0);
        if (sink_.stopped()) break;
        sink_.put_whole(any_message_ ? "," : "");
        sink_.put_whole(dump_json(message_json(message)));
        any_message_ = true;
      }
    }
    sink_.end();
    sink_.put("]");
    return {};
  }

  std::string masked(const std::string& text) const {
    return source_.redactor ? source_.redactor->mask_text(text).text : text;
  }

  Json message_json(const SeenMessage& message) const {
    const bool binary = message.type == "binary" || !is_utf8(message.content);
    const int opcode = message.type == "text"     ? 1
                       : message.type == "binary" ? 2
                       : message.type == "close"  ? 8
                       : message.type == "ping"   ? 9
                                                  : 10;
    Json json = {{"type", message.direction == Direction::kRequest ? "send" : "receive"},
                 {"time", message.at ? static_cast<double>(unix_ms(*message.at)) / 1000.0 : 0.0},
                 {"opcode", opcode},
                 {"data", binary ? base64_encode(message.content) : message.content}};
    if (binary && opcode != 2) json["_encoding"] = "base64";
    if (message.close_code) json["_closeCode"] = *message.close_code;
    if (!message.close_reason.empty()) json["_closeReason"] = repair_utf8(masked(message.close_reason));
    if (message.cut) json["_cut"] = true;
    if (!message.complete) json["_complete"] = false;
    if (!message.problem.empty()) json["_problem"] = message.problem;
    return json;
  }

  const ExportSource& source_;
  const flow::Exchange& exchange_;
  ExportSink& sink_;
  bool any_message_ = false;
};

}  // namespace

Status write_har_entry(const ExportSource& source, ExportSink& sink) { return HarWriter(source, sink).write(); }

}  // namespace sluice::analysis
