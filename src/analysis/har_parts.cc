#include "analysis/har_parts.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/text.h"

namespace sluice::analysis {
namespace {

std::string plain(std::string_view text) {
  std::string spaced(text);
  std::replace(spaced.begin(), spaced.end(), '+', ' ');
  return repair_utf8(percent_decode(spaced));
}

double ms(std::int64_t microseconds) { return static_cast<double>(std::max<std::int64_t>(microseconds, 0)) / 1000.0; }

// "Wed, 21 Oct 2015 07:28:00 GMT" (RFC 9110 §5.6.7) and the same with dashes as ISO 8601; "" for anything else.
std::string iso_date(std::string_view text) {
  static constexpr std::string_view kMonths = "JanFebMarAprMayJunJulAugSepOctNovDec";
  const std::size_t comma = text.find(", ");
  if (comma == std::string_view::npos || text.size() < comma + 22) return "";
  const std::string_view date = text.substr(comma + 2);
  const std::size_t month = kMonths.find(date.substr(3, 3));
  const auto digits = [&](std::size_t at, std::size_t count) {
    return date.substr(at, count).find_first_not_of("0123456789") == std::string_view::npos;
  };
  if (month == std::string_view::npos || month % 3 != 0 || !digits(0, 2) || !digits(7, 4) || !digits(12, 2) ||
      !digits(15, 2) || !digits(18, 2)) {
    return "";
  }
  return fmt::format("{}-{:02}-{}T{}.000Z", date.substr(7, 4), month / 3 + 1, date.substr(0, 2), date.substr(12, 8));
}

void add_attribute(Json& cookie, std::string_view attribute) {
  const std::size_t equals = attribute.find('=');
  const std::string name = to_lower(trim(attribute.substr(0, equals)));
  const std::string value(equals == std::string_view::npos ? "" : trim(attribute.substr(equals + 1)));
  if (name == "path" || name == "domain") cookie[name] = value;
  if (name == "httponly") cookie["httpOnly"] = true;
  if (name == "secure") cookie["secure"] = true;
  if (name == "samesite") cookie["_sameSite"] = value;
  if (name == "max-age") cookie["_maxAge"] = value;
  if (name != "expires") return;
  if (const std::string iso = iso_date(value); !iso.empty()) {
    cookie["expires"] = iso;
  } else {
    cookie["_expires"] = value;
  }
}

// name=value, or a value without a name (RFC 6265bis §5.6).
Json cookie_pair(std::string_view pair) {
  const std::size_t equals = pair.find('=');
  if (equals == std::string_view::npos) return {{"name", ""}, {"value", std::string(trim(pair))}};
  return {{"name", std::string(trim(pair.substr(0, equals)))}, {"value", std::string(trim(pair.substr(equals + 1)))}};
}

template <class Take>
void for_each_header(const Json& headers, std::string_view name, Take take) {
  for (const Json& header : headers) {
    if (iequals(header["name"].get_ref<const std::string&>(), name))
      take(header["value"].get_ref<const std::string&>());
  }
}

Json client_tls(const flow::ClientTls& tls) {
  return {{"protocol", tls.protocol}, {"cipher", tls.cipher}, {"alpn", tls.alpn}, {"sni", tls.sni},
          {"resumed", tls.resumed},   {"ja3", tls.ja3},       {"ja4", tls.ja4}};
}

Json server_tls(const flow::ServerTls& tls) {
  return {{"protocol", tls.protocol},      {"cipher", tls.cipher},   {"alpn", tls.alpn},
          {"serverName", tls.server_name}, {"resumed", tls.resumed}, {"ja3s", tls.ja3s},
          {"verified", tls.verified},      {"verdict", tls.verdict}};
}

}  // namespace

Json har_headers(const http::FieldList& fields, const Redactor* redactor) {
  Json list = Json::array();
  for (std::size_t i = 0; i < fields.size(); ++i) {
    const std::string value(fields.value(i));
    list.push_back(
        {{"name", repair_utf8(fields.name(i))},
         {"value", repair_utf8(redactor ? redactor->mask_header_value(fields.name(i), value).text : value)}});
  }
  return list;
}

Json har_query(std::string_view url) {
  Json list = Json::array();
  url = url.substr(0, url.find('#'));
  const std::size_t mark = url.find('?');
  if (mark == std::string_view::npos) return list;
  for (const std::string_view pair : split(url.substr(mark + 1), '&')) {
    if (pair.empty()) continue;
    const std::size_t equals = pair.find('=');
    list.push_back({{"name", plain(pair.substr(0, equals))},
                    {"value", equals == std::string_view::npos ? "" : plain(pair.substr(equals + 1))}});
  }
  return list;
}

Json har_request_cookies(const Json& headers) {
  Json list = Json::array();
  for_each_header(headers, "cookie", [&](const std::string& value) {
    for (const std::string_view pair : split(value, ';')) {
      if (!trim(pair).empty()) list.push_back(cookie_pair(pair));
    }
  });
  return list;
}

Json har_response_cookies(const Json& headers) {
  Json list = Json::array();
  for_each_header(headers, "set-cookie", [&](const std::string& value) {
    const std::vector<std::string_view> parts = split(value, ';');
    Json cookie = cookie_pair(parts.front());
    for (std::size_t i = 1; i < parts.size(); ++i) add_attribute(cookie, parts[i]);
    list.push_back(std::move(cookie));
  });
  return list;
}

Json har_timings(const flow::Timings& at) {
  const std::int64_t head = std::max<std::int64_t>(at.request_head, 0);
  const std::int64_t resolved = std::max(head, at.resolved), connected = std::max(resolved, at.connected);
  const std::int64_t secured = std::max(connected, at.upstream_tls), sent = std::max(secured, at.sent);
  const std::int64_t first = std::max(sent, at.first_byte), end = std::max(first, at.end);
  const auto step = [](std::int64_t when, std::int64_t length) { return when < 0 ? Json(-1) : Json(ms(length)); };
  const bool dialled = at.connected >= 0 || at.upstream_tls >= 0;
  return {{"blocked", ms(head)},
          {"dns", step(at.resolved, resolved - head)},
          {"connect", dialled ? Json(ms(secured - resolved)) : Json(-1)},
          {"send", ms(sent - secured)},
          {"wait", at.first_byte >= 0 ? ms(first - sent) : ms(end - sent)},
          {"receive", at.first_byte >= 0 ? ms(end - first) : 0.0},
          {"ssl", step(at.upstream_tls, secured - connected)}};
}

double har_time(const Json& timings) {
  double sum = 0;
  for (const auto& [name, value] : timings.items()) {
    if (name != "ssl" && value.get<double>() > 0) sum += value.get<double>();
  }
  return sum;
}

std::string har_version(Bytes head, bool is_response) {
  std::string_view line = head.substr(0, head.find_first_of("\r\n"));
  line = is_response ? line.substr(0, line.find(' ')) : line.substr(std::min(line.rfind(' '), line.size() - 1) + 1);
  return line.starts_with("HTTP/") && line.size() <= 8 ? std::string(line) : "";
}

void add_har_extras(Json& entry, const flow::Exchange& exchange) {
  entry["_id"] = exchange.id;
  entry["_seq"] = exchange.seq.value;
  entry["_state"] = flow::to_string(exchange.state);
  entry["_protocol"] = flow::to_string(exchange.protocol);
  if (exchange.failure) {
    entry["_error"] = {{"code", exchange.failure->code},
                       {"phase", flow::to_string(exchange.failure->phase)},
                       {"message", exchange.failure->message}};
  }
  if (!exchange.rule_ids.empty()) {
    Json& ids = entry["_ruleIds"] = Json::array();
    for (const std::uint32_t number : exchange.rule_ids) ids.push_back("rule_" + std::to_string(number));
  }
  if (exchange.matched_rule != 0) entry["_matchedRuleId"] = "rule_" + std::to_string(exchange.matched_rule);
  if (exchange.anomalies != 0) {
    Json& names = entry["_anomalies"] = Json::array();
    for (http::AnomalySet left = exchange.anomalies; left != 0; left &= left - 1) {
      names.push_back(http::to_string(static_cast<http::Anomaly>(left & (~left + 1))));
    }
  }
  if (const auto& client = exchange.connection) {
    entry["_clientAddress"] = client->client_address;
    if (client->tls) entry["_clientTls"] = client_tls(*client->tls);
    if (!client->http2.empty()) entry["_clientHttp2"] = client->http2;
  }
  if (exchange.upstream && exchange.upstream->tls) entry["_serverTls"] = server_tls(*exchange.upstream->tls);
}

}  // namespace sluice::analysis
