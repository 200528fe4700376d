#include "analysis/har_read.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>

#include "analysis/har_read_parts.h"
#include "base/text.h"
#include "base/url.h"
#include "codings/codings.h"

namespace sluice::analysis {
namespace {

using flow::Direction;

constexpr JsonLimits kLimits{.max_depth = 64, .max_members = 10'000, .refuse_duplicate_keys = false};

// `member` of `object` if it is of that type; nullptr: it is not there, or of another.
const Json* object_in(const Json& object, std::string_view member) {
  const Json* value = find_member(object, member);
  return value && value->is_object() ? value : nullptr;
}
const Json* array_in(const Json& object, std::string_view member) {
  const Json* value = find_member(object, member);
  return value && value->is_array() ? value : nullptr;
}
std::string text_in(const Json& object, std::string_view member) { return har_text(object, member).value_or(""); }

// Its octets: of base64 where it says so.
std::optional<std::string> body_text(const Json& content, std::vector<std::string>& warnings) {
  auto text = har_text(content, "text");
  if (!text) return std::nullopt;
  for (const char* member : {"encoding", "_encoding"}) {
    if (!iequals(text_in(content, member), "base64")) continue;
    auto octets = base64_decode(*text);
    if (octets) return octets;
    // Some break lines in it.
    std::erase_if(*text, [](char c) { return c == '\n' || c == '\r' || c == ' '; });
    octets = base64_decode(*text);
    if (!octets) warnings.push_back("a body is no base64.");
    return octets;
  }
  return text;
}

// Whether the octets are coded as it is said already: some keep bodies as they were.
bool looks_coded(Bytes octets, codings::Coding coding) {
  if (coding == codings::Coding::kGzip) return octets.starts_with("\x1F\x8B");
  if (coding == codings::Coding::kZstd) return octets.starts_with("\x28\xB5\x2F\xFD");
  return false;
}

// HAR has bodies without their content codings (§"content"); on the wire they had them.
std::string coded(std::string body, std::string_view content_encoding) {
  const auto codings = codings::parse_codings(content_encoding);
  if (body.empty() || !codings || codings->empty() || looks_coded(body, codings->back())) return body;
  auto again = codings::encode_all(body, *codings);
  return again ? *std::move(again) : body;
}

class Reader {
 public:
  Reader(const Json& entry, WallTime now) : entry_(entry), now_(now), exchange_(out_.loaded.exchange) {}

  Result<HarEntry> read() {
    if (!entry_.is_object()) return fail(Code::kInvalid, "entry is not an object.");
    const Json* request = object_in(entry_, "request");
    if (!request) return fail(Code::kInvalid, "missing request object.");
    SLUICE_CHECK(read_request(*request));
    const Json* response = object_in(entry_, "response");
    if (!response) warn("missing response object.");
    if (response) read_response(*response);
    read_start();
    read_har_extras(entry_, out_.loaded);
    read_messages();
    read_bodies(*request, response);
    exchange_.timings = read_har_timings(entry_, exchange_.status != 0);
    if (exchange_.status == 0) {
      exchange_.timings.first_byte = exchange_.timings.response_head = -1;
      if (exchange_.state == flow::State::kDone) {
        exchange_.state = flow::State::kFailed;
        exchange_.failure = flow::Failure{"no_response", flow::Phase::kFirstByte, "The file has no answer to it."};
      }
    }
    return std::move(out_);
  }

 private:
  void warn(const char* text) { out_.warnings.emplace_back(text); }

  Status read_request(const Json& request) {
    exchange_.method = to_upper(text_in(request, "method"));
    if (exchange_.method.empty()) return fail(Code::kInvalid, "missing request.method.");
    if (!http::is_token(exchange_.method)) return fail(Code::kInvalid, "invalid request.method.");
    const std::string text = text_in(request, "url");
    if (text.empty()) return fail(Code::kInvalid, "missing request.url.");
    const auto url = parse_url(text);
    if (!url) return fail(Code::kInvalid, "invalid request.url (" + url.error().message + ").");
    const bool socket = url->scheme == "ws" || url->scheme == "wss";
    exchange_.scheme = url->scheme == "ws" ? "http" : url->scheme == "wss" ? "https" : url->scheme;
    exchange_.host = url->host;
    exchange_.port = url->port;
    exchange_.target = without_controls(url->target);
    version_ = har_version_of(text_in(request, "httpVersion"));
    exchange_.protocol = version_.starts_with("HTTP/2") || version_.starts_with("HTTP/3") ? flow::Protocol::kHttp2
                                                                                          : flow::Protocol::kHttp1;
    if (socket) exchange_.protocol = flow::Protocol::kWebSocket;
    exchange_.request.head = fmt::format("{} {} {}\r\n", exchange_.method, exchange_.target, version_);
    add_lines(exchange_.request, request, object_in(request, "postData"));
    return {};
  }

  void read_response(const Json& response) {
    const Json* status = find_member(response, "status");
    const double number = status && status->is_number() ? status->get<double>() : 0;
    exchange_.status = number >= 100 && number <= 999 ? static_cast<int>(number) : 0;
    if (exchange_.status == 0) return;
    std::string version = text_in(response, "httpVersion");
    version = version.empty() ? version_ : har_version_of(version);
    exchange_.response.head =
        fmt::format("{} {} {}\r\n", version, exchange_.status, without_controls(text_in(response, "statusText")));
    add_lines(exchange_.response, response, object_in(response, "content"));
    if (exchange_.status == 101 && iequals(header(exchange_.response, "upgrade"), "websocket")) {
      exchange_.protocol = flow::Protocol::kWebSocket;
    }
  }

  void add_lines(flow::Message& message, const Json& from, const Json* body) {
    if (!add_har_fields(message.head, array_in(from, "headers"))) warn("headers that are none were left out.");
    if (body) add_type(message, *body);
    message.head += "\r\n";
    if (const Json* trailers = array_in(from, "_trailers")) {
      (void)add_har_fields(message.trailers, trailers);
      if (!message.trailers.empty()) message.trailers += "\r\n";
    }
  }

  // Some programs say of a body what it is, and leave the field out.
  static void add_type(flow::Message& message, const Json& body) {
    const std::string type(trim(without_controls(text_in(body, "mimeType"))));
    const bool known = !type.empty() && type != "x-unknown" && type.find('/') != std::string::npos;
    const bool there = !text_in(body, "text").empty() || array_in(body, "params");
    if (known && there && header(message, "content-type").empty()) message.head += "Content-Type: " + type + "\r\n";
  }

  static std::string header(const flow::Message& message, std::string_view name) {
    return flow::parse_fields(message.head).joined(name).value_or("");
  }

  void read_start() {
    const std::string text = text_in(entry_, "startedDateTime");
    const auto started = parse_iso8601(text);
    if (!started)
      warn(text.empty() ? "missing startedDateTime, using import time."
                        : "invalid startedDateTime, using import time.");
    exchange_.started = started.value_or(now_);
  }

  void read_bodies(const Json& request, const Json* response) {
    flow::Loaded& loaded = out_.loaded;
    const bool socket = exchange_.protocol == flow::Protocol::kWebSocket;
    if (const Json* post = object_in(request, "postData"); post && !socket) {
      auto body = body_text(*post, out_.warnings);
      if (!body || body->empty()) body = form_of(*post);
      if (body) loaded.request_body = coded(*std::move(body), header(exchange_.request, "content-encoding"));
    }
    if (socket) return;
    loaded.request_missing = missing_of(request, exchange_.request, loaded.request_body.size());
    if (!response || exchange_.status == 0) return;
    if (const Json* content = object_in(*response, "content")) {
      if (auto body = body_text(*content, out_.warnings)) {
        loaded.response_body = coded(*std::move(body), header(exchange_.response, "content-encoding"));
      }
    }
    loaded.response_missing = missing_of(*response, exchange_.response, loaded.response_body.size());
  }

  // Octets of a body that the file does not have. Only Sluice says that for one it has a part of.
  ByteCount missing_of(const Json& side, const flow::Message& message, std::size_t have) const {
    const Json* size = find_member(side, "bodySize");
    if (!size || !size->is_number() || !(size->get<double>() > 0) || size->get<double>() > 1e15) return 0;
    const auto all = static_cast<ByteCount>(size->get<double>());
    if (exchange_.method == "HEAD" && &message == &exchange_.response) return 0;
    if (have == 0) return all;
    const bool plain = header(message, "content-encoding").empty();
    return find_member(entry_, "_state") && plain && all > have ? all - have : 0;
  }

  // The fields of a form where its text is not there.
  static std::optional<std::string> form_of(const Json& post) {
    const Json* params = array_in(post, "params");
    if (!params || !text_in(post, "mimeType").starts_with("application/x-www-form-urlencoded")) return std::nullopt;
    std::string form;
    for (const Json& param : *params) {
      if (!param.is_object()) continue;
      if (!form.empty()) form += '&';
      form += form_encode(text_in(param, "name")) + '=' + form_encode(text_in(param, "value"));
    }
    return form;
  }

  void read_messages() {
    const Json* messages = array_in(entry_, "_webSocketMessages");
    if (!messages) return;
    exchange_.protocol = flow::Protocol::kWebSocket;
    for (const Json& message : *messages) {
      if (auto read = read_har_message(message)) {
        out_.loaded.messages.push_back(*std::move(read));
      } else {
        warn("a WebSocket message that is none was left out.");
      }
    }
  }

  const Json& entry_;
  const WallTime now_;
  HarEntry out_;
  flow::Exchange& exchange_;
  std::string version_;
};

}  // namespace

Result<HarEntry> read_har_entry(std::string_view text, WallTime now) {
  const auto entry = parse_json(text, kLimits);
  if (!entry) return fail(Code::kInvalid, "cannot be read (" + entry.error().message + ").");
  return Reader(*entry, now).read();
}

}  // namespace sluice::analysis
