#include "tools/exchange_json.h"

#include <cmath>

#include "analysis/flow_view.h"
#include "base/text.h"
#include "fingerprint/fingerprint.h"
#include "tools/message_json.h"

namespace sluice::tools {
namespace {

// Every Anomaly bit, for naming those that are set.
constexpr unsigned kAnomalyBits = 32;

Json anomalies_json(http::AnomalySet anomalies) {
  Json names = Json::array();
  for (unsigned i = 0; i < kAnomalyBits; ++i) {
    const http::AnomalySet one = http::AnomalySet{1} << i;
    if (anomalies & one) names.push_back(http::to_string(static_cast<http::Anomaly>(one)));
  }
  return names;
}

Json rule_ids_json(const flow::Exchange& exchange) {
  Json ids = Json::array();
  for (const std::uint32_t number : exchange.rule_ids) ids.push_back("rule_" + std::to_string(number));
  return ids;
}

Json error_json(const flow::Exchange& exchange) {
  if (!exchange.failure) return nullptr;
  return {{"code", exchange.failure->code},
          {"phase", flow::to_string(exchange.failure->phase)},
          {"message", exchange.failure->message}};
}

// When the whole request had been read (proxy.md c).
std::int64_t timestamp_ms(const flow::Exchange& exchange) {
  return unix_ms(exchange.started) + std::max<std::int64_t>(exchange.timings.request_end, 0) / 1000;
}

// Lower-case names, repeated values joined with ", ".
std::string_view start_line(std::string_view head) {
  const std::string_view line = head.substr(0, head.find('\n'));
  return line.ends_with('\r') ? line.substr(0, line.size() - 1) : line;
}

Json raw_head_json(const std::string& head, const std::string& trailers) {
  Json raw = {{"startLine", start_line(head)}, {"headers", raw_headers_json(flow::parse_fields(head))}};
  if (!trailers.empty()) raw["trailers"] = raw_headers_json(flow::parse_fields(trailers));
  return raw;
}

// A head that a rule changed, as the other side had it; null if it was the same.
Json other_head_json(const std::string& head, bool differs, const Redactor* redactor) {
  if (!differs) return nullptr;
  return {{"startLine", start_line(head)}, {"headers", headers_json(flow::parse_fields(head), redactor)}};
}

std::string status_message(const flow::Exchange& exchange) {
  const std::string_view reason = flow::reason_of(analysis::shown_head(exchange, flow::Direction::kResponse));
  return std::string(reason.empty() ? http::reason_phrase(exchange.status) : reason);
}

// A raw tunnel has no status: what came back is its answer all the same.
bool has_answer(const flow::Exchange& exchange) {
  const bool raw = exchange.protocol == flow::Protocol::kTcp || exchange.protocol == flow::Protocol::kTls;
  return exchange.status != 0 || (raw && exchange.upstream);
}

Json status_of(const flow::Exchange& exchange) { return exchange.status == 0 ? Json() : Json(exchange.status); }

Json timings_json(const flow::Timings& timings) {
  Json json = {{"unit", "us"}};
  const auto put = [&json](const char* name, std::int64_t value) {
    if (value >= 0) json[name] = value;
  };
  put("requestHead", timings.request_head);
  put("requestEnd", timings.request_end);
  put("resolved", timings.resolved);
  put("connected", timings.connected);
  put("upstreamTls", timings.upstream_tls);
  put("sent", timings.sent);
  put("firstByte", timings.first_byte);
  put("responseHead", timings.response_head);
  put("end", timings.end);
  return json;
}

Json chain_json(const tls::CertificateChain& chain) {
  Json list = Json::array();
  for (const auto& certificate : chain) {
    list.push_back({{"subject", certificate.subject},
                    {"issuer", certificate.issuer},
                    {"serial", certificate.serial_hex},
                    {"notBefore", certificate.not_before_ms},
                    {"notAfter", certificate.not_after_ms},
                    {"sans", certificate.sans},
                    {"sha256", certificate.sha256}});
  }
  return list;
}

Json client_json(const flow::Connection& connection) {
  Json json = {{"id", connection.id.value},
               {"clientAddress", connection.client_address},
               {"clientPort", connection.client_port},
               {"listenerAddress", connection.listener_address},
               {"listenerPort", connection.listener_port},
               {"destination", connection.destination},
               {"accepted", unix_ms(connection.accepted)}};
  if (const flow::Process* const process = connection.process.load()) {
    json["process"] = {{"pid", process->pid}, {"name", process->name}};
  }
  if (connection.tls) {
    const flow::ClientTls& tls = *connection.tls;
    json["tls"] = {{"protocol", tls.protocol}, {"cipher", tls.cipher},    {"alpn", tls.alpn},
                   {"resumed", tls.resumed},   {"ja3Text", tls.ja3_text}, {"ja4Raw", tls.ja4_raw}};
  }
  if (!connection.http2.empty()) {
    json["http2"] = {{"fingerprint", fingerprint::http2_hash(connection.http2)}, {"text", connection.http2}};
  }
  return json;
}

Json upstream_json(const flow::Upstream& upstream, bool reused) {
  Json json = {{"id", upstream.id}, {"address", upstream.address}, {"port", upstream.port}, {"reused", reused}};
  if (!upstream.proxy.empty()) json["proxy"] = upstream.proxy;
  if (upstream.tls) {
    const flow::ServerTls& tls = *upstream.tls;
    json["tls"] = {{"serverName", tls.server_name}, {"alpn", tls.alpn},       {"resumed", tls.resumed},
                   {"verified", tls.verified},      {"verdict", tls.verdict}, {"ja3sText", tls.ja3s_text},
                   {"chain", chain_json(tls.chain)}};
  }
  return json;
}

Json connection_json(const flow::Exchange& exchange) {
  return {{"client", exchange.connection ? client_json(*exchange.connection) : Json()},
          {"upstream", exchange.upstream ? upstream_json(*exchange.upstream, exchange.upstream_reused) : Json()}};
}

Result<Json> request_json(const capture::BodySource& ring, const flow::Exchange& exchange, const ExchangeView& view) {
  Json json = {{"method", exchange.method},
               {"url", flow::url_of(exchange)},
               {"hostname", exchange.host},
               {"path", exchange.target},
               {"headers", headers_json(flow::parse_fields(exchange.request.head), view.body.redactor)},
               {"bodyPreview", body_preview(ring, exchange, flow::Direction::kRequest, view.body.redactor)},
               {"bodySize", exchange.request.body.size}};
  if (view.include & kRawHead) json["rawHead"] = raw_head_json(exchange.request.head, exchange.request.trailers);
  if (view.include & kRequestBody) {
    SLUICE_TRY(json["body"], body_json(ring, exchange, flow::Direction::kRequest, view.body));
  }
  return json;
}

Result<Json> response_json(const capture::BodySource& ring, const flow::Exchange& exchange, const ExchangeView& view) {
  const std::string& head = analysis::shown_head(exchange, flow::Direction::kResponse);
  Json json = {{"statusCode", status_of(exchange)},
               {"statusMessage", status_message(exchange)},
               {"headers", headers_json(flow::parse_fields(head), view.body.redactor)},
               {"bodyPreview", body_preview(ring, exchange, flow::Direction::kResponse, view.body.redactor)},
               {"bodySize", exchange.response.body.size}};
  if (view.include & kRawHead) json["rawHead"] = raw_head_json(head, exchange.response.trailers);
  if (view.include & kResponseBody) {
    SLUICE_TRY(json["body"], body_json(ring, exchange, flow::Direction::kResponse, view.body));
  }
  return json;
}

Json source_json(const flow::Exchange& exchange, bool explicit_when_unset) {
  const flow::Source source = exchange.connection ? exchange.connection->source : flow::Source::kInternal;
  if (source == flow::Source::kInternal) return explicit_when_unset ? Json("explicit") : Json();
  return flow::to_string(source);
}

Json matched_json(const flow::Exchange& exchange) {
  return exchange.matched_rule == 0 ? Json() : Json("rule_" + std::to_string(exchange.matched_rule));
}

void add_tail(Json& json, const flow::Exchange& exchange) {
  json["seq"] = exchange.seq.value;
  json["rev"] = exchange.rev;
  json["state"] = flow::to_string(exchange.state);
  json["protocol"] = flow::to_string(exchange.protocol);
  json["error"] = error_json(exchange);
  json["ruleIds"] = rule_ids_json(exchange);
  json["anomalies"] = anomalies_json(exchange.anomalies);
}

Json nullable(std::optional<std::int64_t> value) { return value ? Json(*value) : Json(); }

}  // namespace

Json headers_json(const http::FieldList& fields, const Redactor* redactor) {
  Json headers = Json::object();
  for (std::size_t i = 0; i < fields.size(); ++i) {
    const std::string name = to_lower(fields.name(i));
    std::string value = analysis::shown_value(fields, i, redactor);
    auto found = headers.find(name);
    if (found == headers.end()) {
      headers[name] = std::move(value);
    } else {
      found->get_ref<std::string&>().append(", ").append(value);
    }
  }
  return headers;
}

Json raw_headers_json(const http::FieldList& fields) {
  Json list = Json::array();
  for (std::size_t i = 0; i < fields.size(); ++i) {
    list.push_back({{"name", fields.name(i)}, {"value", fields.value(i)}});
  }
  return list;
}

std::optional<std::int64_t> duration_ms(const flow::Exchange& exchange) {
  if (!has_answer(exchange) || exchange.timings.end < 0) return std::nullopt;
  return std::llround(static_cast<double>(exchange.timings.end) / 1000.0);
}

Json list_row(const flow::Exchange& exchange) {
  Json row = {{"id", exchange.id},
              {"timestamp", timestamp_ms(exchange)},
              {"source", source_json(exchange, true)},
              {"method", exchange.method},
              {"url", flow::url_of(exchange)},
              {"hostname", exchange.host},
              {"status", status_of(exchange)},
              {"duration", nullable(duration_ms(exchange))},
              {"requestSize", exchange.request.body.size},
              {"responseSize", has_answer(exchange) ? Json(exchange.response.body.size) : Json()}};
  if (exchange.connection && exchange.connection->tls) {
    const flow::ClientTls& tls = *exchange.connection->tls;
    if (!tls.ja3.empty()) row["ja3"] = tls.ja3;
    if (!tls.ja4.empty()) row["ja4"] = tls.ja4;
  }
  row["seq"] = exchange.seq.value;
  row["rev"] = exchange.rev;
  row["state"] = flow::to_string(exchange.state);
  row["protocol"] = flow::to_string(exchange.protocol);
  // Rows are many: what is empty is left out.
  if (exchange.failure) row["error"] = error_json(exchange);
  if (!exchange.rule_ids.empty()) row["ruleIds"] = rule_ids_json(exchange);
  if (exchange.anomalies != 0) row["anomalies"] = anomalies_json(exchange.anomalies);
  return row;
}

Json search_row(const flow::Exchange& exchange) {
  return {{"id", exchange.id},
          {"timestamp", timestamp_ms(exchange)},
          {"method", exchange.method},
          {"url", flow::url_of(exchange)},
          {"status", status_of(exchange)},
          {"duration", nullable(duration_ms(exchange))},
          {"seq", exchange.seq.value},
          {"rev", exchange.rev},
          {"state", flow::to_string(exchange.state)}};
}

Result<Json> exchange_json(const capture::BodySource& ring, const flow::Exchange& exchange, const ExchangeView& view) {
  Json json = {{"id", exchange.id}, {"timestamp", timestamp_ms(exchange)}};
  if (Json source = source_json(exchange, false); !source.is_null()) json["source"] = std::move(source);
  SLUICE_TRY(json["request"], request_json(ring, exchange, view));
  if (Json tls = tls_json(exchange, view.server_tls); !tls.is_null()) json["tls"] = std::move(tls);
  json["matchedRuleId"] = matched_json(exchange);
  if (has_answer(exchange)) {
    SLUICE_TRY(json["response"], response_json(ring, exchange, view));
  }
  if (const auto duration = duration_ms(exchange)) json["duration"] = *duration;
  add_tail(json, exchange);
  if (view.include & kOriginal) {
    const bool answer_changed = !exchange.response.effective.empty();
    const bool request_changed = !exchange.request.effective.empty();
    const Redactor* const redactor = view.body.redactor;
    json["original"] = {{"response", other_head_json(exchange.response.head, answer_changed, redactor)}};
    json["effective"] = {{"request", other_head_json(exchange.request.effective, request_changed, redactor)}};
  }
  if (view.include & kTimings) json["timings"] = timings_json(exchange.timings);
  if (view.include & kConnection) json["connection"] = connection_json(exchange);
  if (view.include & kMessages) {
    SLUICE_TRY(json["messages"], messages_json(ring, exchange, view.messages));
  }
  return json;
}

Json tls_json(const flow::Exchange& exchange, bool server) {
  Json json = Json::object();
  if (exchange.connection && exchange.connection->tls) {
    const flow::ClientTls& tls = *exchange.connection->tls;
    Json client = Json::object();
    if (!tls.sni.empty()) client["sniHostname"] = tls.sni;
    if (!tls.alpn_offered.empty()) client["clientAlpn"] = tls.alpn_offered;
    if (!tls.ja3.empty()) client["ja3Fingerprint"] = tls.ja3;
    if (!tls.ja4.empty()) client["ja4Fingerprint"] = tls.ja4;
    json["client"] = std::move(client);
  }
  if (server && exchange.upstream && exchange.upstream->tls) {
    const flow::ServerTls& tls = *exchange.upstream->tls;
    Json shown = {{"protocol", tls.protocol}, {"cipher", tls.cipher}};
    if (!tls.ja3s.empty()) shown["ja3sFingerprint"] = tls.ja3s;
    json["server"] = std::move(shown);
  }
  return json.empty() ? Json() : json;
}

}  // namespace sluice::tools
