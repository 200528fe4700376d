#include "analysis/flow_file.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "analysis/har_read_parts.h"
#include "analysis/tnetstring.h"
#include "base/text.h"
#include "base/url.h"

namespace sluice::analysis {
namespace {

using Type = TnetValue::Type;

constexpr std::int64_t kOldest = 17, kNewest = 21;
constexpr double kLatest = 9e9;  // seconds; beyond it a time is none

tl::unexpected<Error> invalid(const char* what) { return fail(Code::kInvalid, what); }

std::string text_in(const TnetValue& value, std::string_view key) {
  const TnetValue* found = value.find(key);
  return found && found->is_text() ? std::string(found->text) : "";
}
std::optional<std::int64_t> integer_in(const TnetValue& value, std::string_view key) {
  const TnetValue* found = value.find(key);
  return found && found->type == Type::kInteger ? std::optional(found->integer) : std::nullopt;
}
bool flag_in(const TnetValue& value, std::string_view key) {
  const TnetValue* found = value.find(key);
  return found && found->type == Type::kFlag && found->integer != 0;
}
// Of a time in seconds since 1970.
std::optional<WallTime> time_of(const TnetValue* value) {
  if (!value || !value->is_number() || !(value->number > 0) || value->number > kLatest) return std::nullopt;
  return WallTime(std::chrono::microseconds(std::llround(value->number * 1e6)));
}
std::optional<WallTime> time_in(const TnetValue& value, std::string_view key) { return time_of(value.find(key)); }

// The first of a pair (address, port), under the one of two names that it has.
const TnetValue* address_in(const TnetValue& value, std::string_view key, std::string_view later_key) {
  for (const std::string_view name : {key, later_key}) {
    const TnetValue* pair = value.find(name);
    if (pair && pair->type == Type::kList && pair->items.size() >= 2 && pair->items[0].is_text()) return pair;
  }
  return nullptr;
}

// Lines of [[name, value], …]. False: some were no fields.
bool add_fields(std::string& head, const TnetValue* headers) {
  if (!headers || headers->type != Type::kList) return true;
  bool all = true;
  for (const TnetValue& field : headers->items) {
    const bool good = field.type == Type::kList && field.items.size() == 2 && field.items[0].is_text() &&
                      field.items[1].is_text() && http::is_token(field.items[0].text);
    if (good) {
      head += std::string(field.items[0].text) + ": " + without_controls(field.items[1].text) + "\r\n";
    } else {
      all = false;
    }
  }
  return all;
}

class FlowReader {
 public:
  explicit FlowReader(const TnetValue& flow) : flow_(flow), exchange_(loaded_.exchange) {}

  Result<flow::Loaded> read() {
    const TnetValue* request = flow_.find("request");
    if (!request) return invalid("a flow without a request.");
    SLUICE_CHECK(read_request(*request));
    const TnetValue* response = flow_.find("response");
    const bool answered = response && response->type == Type::kDictionary;
    if (answered) SLUICE_CHECK(read_response(*response));
    exchange_.state = flow::State::kDone;
    read_error();
    read_times(*request, answered ? response : nullptr);
    read_connections();
    read_messages();
    return std::move(loaded_);
  }

 private:
  Status read_request(const TnetValue& request) {
    exchange_.method = text_in(request, "method");
    exchange_.scheme = to_lower(text_in(request, "scheme"));
    exchange_.host = to_lower(text_in(request, "host"));
    exchange_.target = without_controls(text_in(request, "path"));
    const std::int64_t port = integer_in(request, "port").value_or(0);
    if (!http::is_token(exchange_.method)) return invalid("a flow without a method.");
    if (exchange_.scheme != "http" && exchange_.scheme != "https")
      return invalid("a flow whose scheme is not http or https.");
    if (!is_valid_host(exchange_.host) && !is_ip_literal(exchange_.host)) return invalid("a flow without a host.");
    if (port < 1 || port > 65'535) return invalid("a flow without a port.");
    exchange_.port = static_cast<std::uint16_t>(port);
    if (exchange_.target.empty()) exchange_.target = "/";
    version_ = har_version_of(text_in(request, "http_version"));
    if (version_ == "HTTP/2" || version_ == "HTTP/3") exchange_.protocol = flow::Protocol::kHttp2;
    exchange_.request.head = fmt::format("{} {} {}\r\n", exchange_.method, exchange_.target, version_);
    const std::string authority = text_in(request, "authority");
    std::string fields;
    add_fields(fields, request.find("headers"));
    if (!authority.empty() && !flow::parse_fields("\r\n" + fields).find("host")) {
      exchange_.request.head += "host: " + without_controls(authority) + "\r\n";
    }
    exchange_.request.head += fields + "\r\n";
    read_trailers(exchange_.request, request);
    loaded_.request_body = text_in(request, "content");
    return {};
  }

  Status read_response(const TnetValue& response) {
    const std::int64_t status = integer_in(response, "status_code").value_or(0);
    if (status < 100 || status > 999) return invalid("a flow without a status.");
    exchange_.status = static_cast<int>(status);
    const std::string said = text_in(response, "http_version");
    exchange_.response.head = fmt::format("{} {} {}\r\n", said.empty() ? version_ : har_version_of(said), status,
                                          without_controls(text_in(response, "reason")));
    add_fields(exchange_.response.head, response.find("headers"));
    exchange_.response.head += "\r\n";
    read_trailers(exchange_.response, response);
    loaded_.response_body = text_in(response, "content");
    return {};
  }

  static void read_trailers(flow::Message& message, const TnetValue& from) {
    add_fields(message.trailers, from.find("trailers"));
    if (!message.trailers.empty()) message.trailers += "\r\n";
  }

  void read_error() {
    const TnetValue* error = flow_.find("error");
    if (!error || error->type != Type::kDictionary) {
      if (exchange_.status != 0) return;
      exchange_.state = flow::State::kFailed;
      exchange_.failure = flow::Failure{"no_response", flow::Phase::kFirstByte, "The file has no answer to it."};
      return;
    }
    exchange_.state = flow::State::kFailed;
    const auto phase = exchange_.status == 0 ? flow::Phase::kFirstByte : flow::Phase::kResponseBody;
    exchange_.failure = flow::Failure{"error", phase, repair_utf8(text_in(*error, "msg").substr(0, 1'000))};
  }

  void read_times(const TnetValue& request, const TnetValue* response) {
    const auto started = time_in(request, "timestamp_start");
    exchange_.started = started.value_or(time_in(flow_, "timestamp_created").value_or(WallTime{}));
    const auto after = [&](const std::optional<WallTime>& time) -> std::int64_t {
      if (!time || !started) return -1;
      return std::max<std::int64_t>(0, std::chrono::duration_cast<std::chrono::microseconds>(*time - *started).count());
    };
    flow::Timings& at = exchange_.timings;
    at.request_head = 0;
    at.request_end = at.sent = after(time_in(request, "timestamp_end"));
    if (!response) return;
    at.first_byte = at.response_head = after(time_in(*response, "timestamp_start"));
    at.end = std::max(at.first_byte, after(time_in(*response, "timestamp_end")));
  }

  void read_connections() {
    if (const TnetValue* client = flow_.find("client_conn"); client && client->type == Type::kDictionary) {
      auto connection = std::make_shared<flow::Connection>();
      connection->source = flow::Source::kInternal;
      connection->accepted = time_in(*client, "timestamp_start").value_or(exchange_.started);
      if (const TnetValue* address = address_in(*client, "peername", "address")) {
        connection->client_address = repair_utf8(address->items[0].text.substr(0, 100));
        const std::int64_t port = address->items[1].integer;
        if (port > 0 && port <= 65'535) connection->client_port = static_cast<std::uint16_t>(port);
      }
      if (flag_in(*client, "tls_established") || !text_in(*client, "tls_version").empty()) {
        auto tls = std::make_shared<flow::ClientTls>();
        read_tls(*client, *tls);
        tls->sni = repair_utf8(text_in(*client, "sni"));
        connection->tls = std::move(tls);
      }
      exchange_.connection = std::move(connection);
    }
    const TnetValue* server = flow_.find("server_conn");
    if (!server || server->type != Type::kDictionary) return;
    auto upstream = std::make_shared<flow::Upstream>();
    upstream->port = exchange_.port;
    if (const TnetValue* address = address_in(*server, "ip_address", "peername")) {
      const std::string ip(address->items[0].text);
      if (is_ip_literal(ip)) upstream->address = ip;
    }
    if (!text_in(*server, "tls_version").empty()) {
      auto tls = std::make_shared<flow::ServerTls>();
      read_tls(*server, *tls);
      tls->server_name = repair_utf8(text_in(*server, "sni"));
      upstream->tls = std::move(tls);
    }
    if (!upstream->address.empty() || upstream->tls) exchange_.upstream = std::move(upstream);
  }

  template <class Tls>
  static void read_tls(const TnetValue& connection, Tls& tls) {
    tls.protocol = repair_utf8(text_in(connection, "tls_version"));
    const std::string cipher = text_in(connection, "cipher");
    tls.cipher = repair_utf8(cipher.empty() ? text_in(connection, "cipher_name") : cipher);
    tls.alpn = repair_utf8(text_in(connection, "alpn"));
  }

  void read_messages() {
    const TnetValue* socket = flow_.find("websocket");
    if (!socket || socket->type != Type::kDictionary) return;
    exchange_.protocol = flow::Protocol::kWebSocket;
    loaded_.response_body.clear();
    if (const TnetValue* messages = socket->find("messages")) {
      for (const TnetValue& message : messages->items) {
        // (opcode, from_client, content, timestamp, dropped, injected)
        const std::vector<TnetValue>& part = message.items;
        if (part.size() < 4 || !part[2].is_text() || part[0].integer < 1 || part[0].integer > 2) continue;
        loaded_.messages.push_back({part[1].integer != 0 ? flow::Direction::kRequest : flow::Direction::kResponse,
                                    static_cast<std::uint8_t>(part[0].integer), true,
                                    time_of(&part[3]).value_or(exchange_.started), std::string(part[2].text)});
      }
    }
    const std::int64_t code = integer_in(*socket, "close_code").value_or(0);
    if (code < 1'000 || code > 4'999 || code == 1'005 || code == 1'006)
      return;  // RFC 6455 §7.4.1: those are never sent
    flow::LoadedMessage close{
        flag_in(*socket, "closed_by_client") ? flow::Direction::kRequest : flow::Direction::kResponse, 8, true,
        time_in(*socket, "timestamp_end").value_or(exchange_.started), ""};
    close.payload = {static_cast<char>(code >> 8), static_cast<char>(code & 0xFF)};
    close.payload += text_in(*socket, "close_reason");
    loaded_.messages.push_back(std::move(close));
  }

  const TnetValue& flow_;
  flow::Loaded loaded_;
  flow::Exchange& exchange_;
  std::string version_;
};

}  // namespace

Result<std::optional<flow::Loaded>> read_flow(std::string_view text) {
  SLUICE_TRY(const TnetValue flow, parse_tnet(text));
  if (flow.type != Type::kDictionary) return invalid("a flow that is no dictionary.");
  const TnetValue* version = flow.find("version");
  if (!version) return invalid("a flow without a version.");
  if (version->type != Type::kInteger || version->integer < kOldest || version->integer > kNewest) {
    const std::string which = version->type == Type::kInteger ? std::to_string(version->integer) : "below 17";
    return fail(Code::kConflict, fmt::format("This is flow format {}: {} to {} are read (mitmproxy 8 to 11). mitmdump "
                                             "-nr OLD -w NEW converts older files.",
                                             which, kOldest, kNewest));
  }
  if (text_in(flow, "type") != "http") return std::nullopt;
  SLUICE_TRY(flow::Loaded loaded, FlowReader(flow).read());
  return std::optional(std::move(loaded));
}

}  // namespace sluice::analysis
