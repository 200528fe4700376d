#include "analysis/har_read_parts.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>

#include "analysis/har_read.h"
#include "base/text.h"
#include "base/url.h"

namespace sluice::analysis {
namespace {

constexpr std::size_t kMostRules = 1'000;
constexpr double kMostMs = 1e12;

std::string text_of(const Json& object, std::string_view member) { return har_text(object, member).value_or(""); }
bool flag_of(const Json& object, std::string_view member) {
  const Json* value = find_member(object, member);
  return value && value->is_boolean() && value->get<bool>();
}
double number_of(const Json& object, std::string_view member, double absent) {
  const Json* value = find_member(object, member);
  return value && value->is_number() ? value->get<double>() : absent;
}

// Days since 1970-01-01 of a date of the Gregorian calendar.
std::int64_t days_of(int year, int month, int day) {
  year -= month <= 2;
  const int era = (year >= 0 ? year : year - 399) / 400;
  const int of_era = year - era * 400;
  const int of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
  return std::int64_t{era} * 146'097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719'468;
}

std::optional<int> digits(std::string_view& text, std::size_t count) {
  int number = 0;
  if (text.size() < count) return std::nullopt;
  for (const char c : text.substr(0, count)) {
    if (c < '0' || c > '9') return std::nullopt;
    number = number * 10 + (c - '0');
  }
  text.remove_prefix(count);
  return number;
}

bool skip(std::string_view& text, char c) {
  if (!text.starts_with(c)) return false;
  text.remove_prefix(1);
  return true;
}

// Minutes east of UTC.
std::optional<int> zone_of(std::string_view text) {
  if (text.empty() || text == "Z" || text == "z") return 0;
  const bool west = text[0] == '-';
  if (!west && text[0] != '+') return std::nullopt;
  text.remove_prefix(1);
  const auto hours = digits(text, 2);
  (void)skip(text, ':');
  const auto minutes = text.empty() ? std::optional(0) : digits(text, 2);
  if (!hours || !minutes || !text.empty() || *hours > 23 || *minutes > 59) return std::nullopt;
  const int all = *hours * 60 + *minutes;
  return west ? -all : all;
}

template <class Enum>
std::optional<Enum> named(std::string_view name, Enum last) {
  for (unsigned i = 0; i <= static_cast<unsigned>(last); ++i) {
    if (flow::to_string(static_cast<Enum>(i)) == name) return static_cast<Enum>(i);
  }
  return std::nullopt;
}

std::uint32_t rule_of(std::string_view name) {
  std::uint32_t number = 0;
  if (!name.starts_with("rule_")) return 0;
  (void)std::from_chars(name.data() + 5, name.data() + name.size(), number);
  return number;
}

http::AnomalySet anomaly_of(std::string_view name) {
  for (http::AnomalySet one = 1; one <= static_cast<http::AnomalySet>(http::Anomaly::kHoldLimit); one <<= 1) {
    if (http::to_string(static_cast<http::Anomaly>(one)) == name) return one;
  }
  return 0;
}

std::shared_ptr<const flow::ClientTls> client_tls_of(const Json& from) {
  auto tls = std::make_shared<flow::ClientTls>();
  tls->protocol = text_of(from, "protocol");
  tls->cipher = text_of(from, "cipher");
  tls->alpn = text_of(from, "alpn");
  tls->sni = text_of(from, "sni");
  tls->resumed = flag_of(from, "resumed");
  tls->ja3 = text_of(from, "ja3");
  tls->ja4 = text_of(from, "ja4");
  return tls;
}

std::shared_ptr<const flow::ServerTls> server_tls_of(const Json& from) {
  auto tls = std::make_shared<flow::ServerTls>();
  tls->protocol = text_of(from, "protocol");
  tls->cipher = text_of(from, "cipher");
  tls->alpn = text_of(from, "alpn");
  tls->server_name = text_of(from, "serverName");
  tls->resumed = flag_of(from, "resumed");
  tls->ja3s = text_of(from, "ja3s");
  tls->verified = flag_of(from, "verified");
  tls->verdict = text_of(from, "verdict");
  return tls;
}

// The number that `connection` is or ends with; else one of the exchange's own would have to be made: 0.
std::uint64_t connection_of(const Json& entry) {
  const std::string text = text_of(entry, "connection");
  std::uint64_t number = 0;
  const auto read = std::from_chars(text.data(), text.data() + text.size(), number);
  return read.ec == std::errc() && read.ptr == text.data() + text.size() ? number : 0;
}

void read_connection(const Json& entry, flow::Loaded& loaded) {
  const Json* tls = find_member(entry, "_clientTls");
  const std::string address = text_of(entry, "_clientAddress"), http2 = text_of(entry, "_clientHttp2");
  const std::uint64_t number = connection_of(entry);
  if (number == 0 && !tls && address.empty()) return;
  auto connection = std::make_shared<flow::Connection>();
  connection->id = ConnectionId{number};
  connection->source = flow::Source::kInternal;
  connection->client_address = address;
  connection->http2 = http2;
  connection->accepted = loaded.exchange.started;
  if (tls && tls->is_object()) connection->tls = client_tls_of(*tls);
  loaded.exchange.connection = std::move(connection);
}

void read_upstream(const Json& entry, flow::Loaded& loaded) {
  std::string address = text_of(entry, "serverIPAddress");
  if (address.starts_with('[') && address.ends_with(']')) address = address.substr(1, address.size() - 2);
  if (!is_ip_literal(address)) address.clear();
  const Json* tls = find_member(entry, "_serverTls");
  if (address.empty() && !tls) return;
  auto upstream = std::make_shared<flow::Upstream>();
  upstream->address = address;
  upstream->port = loaded.exchange.port;
  if (tls && tls->is_object()) upstream->tls = server_tls_of(*tls);
  loaded.exchange.upstream = std::move(upstream);
}

void read_outcome(const Json& entry, flow::Exchange& exchange) {
  if (const auto protocol = named(text_of(entry, "_protocol"), flow::Protocol::kWebSocket))
    exchange.protocol = *protocol;
  exchange.state = named(text_of(entry, "_state"), flow::State::kDropped).value_or(flow::State::kDone);
  if (exchange.state == flow::State::kOpen) exchange.state = flow::State::kAborted;
  if (const Json* error = find_member(entry, "_error"); error && error->is_object()) {
    exchange.failure =
        flow::Failure{text_of(*error, "code"),
                      named(text_of(*error, "phase"), flow::Phase::kTunnel).value_or(flow::Phase::kRequestHead),
                      text_of(*error, "message")};
  }
  if (const Json* rules = find_member(entry, "_ruleIds"); rules && rules->is_array()) {
    for (const Json& rule : *rules) {
      const std::uint32_t number = rule.is_string() ? rule_of(rule.get_ref<const std::string&>()) : 0;
      if (number != 0 && exchange.rule_ids.size() < kMostRules) exchange.rule_ids.push_back(number);
    }
  }
  exchange.matched_rule = rule_of(text_of(entry, "_matchedRuleId"));
  if (const Json* anomalies = find_member(entry, "_anomalies"); anomalies && anomalies->is_array()) {
    for (const Json& name : *anomalies) {
      if (name.is_string()) exchange.anomalies |= anomaly_of(name.get_ref<const std::string&>());
    }
  }
}

}  // namespace

std::optional<WallTime> parse_iso8601(std::string_view text) {
  const auto year = digits(text, 4);
  const bool dash = skip(text, '-');
  const auto month = digits(text, 2);
  const bool second_dash = skip(text, '-');
  const auto day = digits(text, 2);
  if (!year || !month || !day || !dash || !second_dash || *month < 1 || *month > 12 || *day < 1 || *day > 31) {
    return std::nullopt;
  }
  if (*year < 1678 || *year > 2261) return std::nullopt;  // what 64 bits of nanoseconds hold
  if (!skip(text, 'T') && !skip(text, 't') && !skip(text, ' ')) return std::nullopt;
  const auto hour = digits(text, 2);
  const bool colon = skip(text, ':');
  const auto minute = digits(text, 2);
  if (!hour || !minute || !colon || *hour > 23 || *minute > 59) return std::nullopt;
  int second = 0;
  std::int64_t nanoseconds = 0;
  if (skip(text, ':')) {
    const auto given = digits(text, 2);
    if (!given || *given > 60) return std::nullopt;
    second = *given;
    if (skip(text, '.') || skip(text, ',')) {
      std::int64_t unit = 100'000'000;
      while (!text.empty() && text[0] >= '0' && text[0] <= '9') {
        nanoseconds += unit * (text[0] - '0');
        unit /= 10;
        text.remove_prefix(1);
      }
    }
  }
  const auto zone = zone_of(text);
  if (!zone) return std::nullopt;
  const std::int64_t minutes = (days_of(*year, *month, *day) * 24 + *hour) * 60 + *minute - *zone;
  return WallTime(std::chrono::seconds(minutes * 60 + second) + std::chrono::nanoseconds(nanoseconds));
}

std::optional<std::string> har_text(const Json& object, std::string_view member) {
  const Json* value = find_member(object, member);
  return value && value->is_string() ? std::optional(value->get<std::string>()) : std::nullopt;
}

std::string har_version_of(std::string_view said) {
  const std::string version = to_lower(trim(said));
  if (version == "h2" || version == "http/2" || version == "http/2.0" || version == "spdy") return "HTTP/2";
  if (version.starts_with("h3") || version.starts_with("http/3") || version.find("quic") != version.npos)
    return "HTTP/3";
  if (version == "http/1.0") return "HTTP/1.0";
  return "HTTP/1.1";
}

std::string without_controls(std::string_view text) {
  std::string line(text);
  std::replace_if(
      line.begin(), line.end(), [](char c) { return (c >= 0 && c < 0x20 && c != '\t') || c == 0x7F; }, ' ');
  return line;
}

std::string form_encode(std::string_view text) {
  std::string out;
  for (const char c : text) {
    const bool plain = (c >= '0' && c <= '9') || (ascii_lower(c) >= 'a' && ascii_lower(c) <= 'z') ||
                       std::string_view("*-._").find(c) != std::string_view::npos;
    if (c == ' ') {
      out += '+';
    } else if (plain) {
      out += c;
    } else {
      out += fmt::format("%{:02X}", static_cast<unsigned char>(c));
    }
  }
  return out;
}

bool add_har_fields(std::string& head, const Json* headers) {
  if (!headers) return true;
  bool all = true, has_host = false;
  std::string authority, lines;
  for (const Json& header : *headers) {
    const auto name = header.is_object() ? har_text(header, "name") : std::nullopt;
    const auto value = header.is_object() ? har_text(header, "value") : std::nullopt;
    if (name && value && name->starts_with(':')) {  // RFC 9113 §8.3
      if (*name == ":authority") authority = *value;
      continue;
    }
    if (!name || !value || !http::is_token(*name)) {
      all = false;
      continue;
    }
    has_host = has_host || iequals(*name, "host");
    lines += *name + ": " + without_controls(*value) + "\r\n";
  }
  if (!authority.empty() && !has_host) head += "host: " + without_controls(authority) + "\r\n";
  head += lines;
  return all;
}

flow::Timings read_har_timings(const Json& entry, bool answered) {
  static const Json kNone = Json::object();
  const Json* found = find_member(entry, "timings");
  const Json& timings = found && found->is_object() ? *found : kNone;
  const auto us = [](double ms) { return std::llround(std::clamp(ms, 0.0, kMostMs) * 1000.0); };
  const auto step = [&](const char* name) { return number_of(timings, name, -1); };
  flow::Timings out;
  const double dns = step("dns"), connect = step("connect");
  const double ssl = std::min(step("ssl"), connect);
  std::int64_t at = out.request_head = us(step("blocked"));
  if (dns >= 0) at = out.resolved = at + us(dns);
  if (connect >= 0) {
    const std::int64_t secured = at + us(connect);
    out.connected = ssl >= 0 ? secured - us(ssl) : secured;
    if (ssl >= 0) out.upstream_tls = secured;
    at = secured;
  }
  at = out.sent = at + us(step("send"));
  at += us(step("wait"));
  if (answered) out.first_byte = out.response_head = at;
  at += us(step("receive"));
  out.end = std::max<std::int64_t>(at, us(number_of(entry, "time", 0)));
  return out;
}

std::optional<flow::LoadedMessage> read_har_message(const Json& message) {
  if (!message.is_object()) return std::nullopt;
  const double opcode = number_of(message, "opcode", 1), time = number_of(message, "time", 0);
  const auto data = har_text(message, "data");
  const std::string type = text_of(message, "type");
  if (!(opcode >= 1 && opcode <= 10) || (type != "send" && type != "receive")) return std::nullopt;
  flow::LoadedMessage out;
  out.direction = type == "send" ? flow::Direction::kRequest : flow::Direction::kResponse;
  out.opcode = static_cast<std::uint8_t>(opcode);
  if (time > 0 && time < 9e9) out.at = WallTime(std::chrono::milliseconds(std::llround(time * 1000.0)));
  const Json* complete = find_member(message, "_complete");
  out.complete = !complete || !complete->is_boolean() || complete->get<bool>();
  if (out.opcode == 8) {  // RFC 6455 §5.5.1
    const double code = number_of(message, "_closeCode", -1);
    if (code < 0 || code > 65'535) return out;
    const auto number = static_cast<unsigned>(code);
    out.payload = {static_cast<char>(number >> 8), static_cast<char>(number & 0xFF)};
    out.payload += text_of(message, "_closeReason");
    return out;
  }
  if (!data) return std::nullopt;
  const bool base64 = out.opcode == 2 || text_of(message, "_encoding") == "base64";
  auto octets = base64 ? base64_decode(*data) : std::nullopt;
  out.payload = octets ? *std::move(octets) : *data;
  return out;
}

void read_har_extras(const Json& entry, flow::Loaded& loaded) {
  read_outcome(entry, loaded.exchange);
  read_connection(entry, loaded);
  read_upstream(entry, loaded);
}

}  // namespace sluice::analysis
