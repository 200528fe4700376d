// detect_auth_pattern (mitm-tools.json; analysis.md).
#include <fmt/format.h>

#include <algorithm>

#include "analysis/auth.h"
#include "analysis/jwt.h"
#include "tools/mitm_inference.h"

namespace sluice::tools {
namespace {

using analysis::AuthScheme;
using analysis::AuthType;

constexpr std::size_t kMostListed = 30;   // schemes
constexpr int kLeastListed = 20;          // confidence of a scheme that is listed
constexpr std::size_t kMostSignals = 20;  // of one type

std::vector<ResultField> scheme_result() {
  return {{"type", "string", ""},
          {"host", "string", ""},
          {"in", "string", "header, query, cookie, body or tls"},
          {"name", "string", "of the field, parameter or cookie; may be empty"},
          {"confidence", "number", "sum of the weights, at most 100"},
          {"detected", "boolean", "50 and more"},
          {"evidence",
           "object[]",
           "",
           false,
           false,
           {{"name", "string", ""},
            {"weight", "number", ""},
            {"count", "number", "times seen"},
            {"meaning", "string", ""}}},
          {"flow_count", "number", "flows that carry it"},
          {"flows", "string[]", "the first five"}};
}

// Of AuthScheme::details, in this order.
std::vector<ResultField> detail_result() {
  return {{"realm", "string", "of a challenge", true},
          {"algorithm", "string", "Digest", true},
          {"mechanism", "string", "Negotiate: NTLM or SPNEGO", true},
          {"region", "string", "SigV4", true},
          {"service", "string", "SigV4", true},
          {"signed_headers", "string", "SigV4", true},
          {"issued_by", "object", "{flow, where, host, path} of the answer that handed the value out", true},
          {"tokens", "object[]", "{header, claims, signatureBytes} of JWTs, personal claims masked", true},
          {"grants", "object[]", "OAuth: {grant_type, token_url, authorization_url, scopes, issued_by, refresh}", true},
          {"discovery_url", "string", "OpenID Connect", true},
          {"cookie", "string", "the cookie that a CSRF token equals", true},
          {"http_only", "boolean", "cookie", true},
          {"secure", "boolean", "cookie", true},
          {"same_site", "string", "cookie", true},
          {"set_by", "string", "the flow that set the cookie first", true},
          {"endpoints_accepted", "number", "endpoints that took it"},
          {"refused_without", "string[]", "flows answered 401 or 403 without it", true},
          {"different_values", "number", "", true}};
}

Json evidence_json(const AuthScheme& scheme) {
  Json list = Json::array();
  for (const analysis::Evidence& piece : scheme.evidence) {
    list.push_back({{"name", piece.kind->name},
                    {"weight", piece.kind->weight},
                    {"count", piece.count},
                    {"meaning", piece.kind->meaning}});
  }
  return list;
}

// Claims about people are masked as secrets are.
Json scheme_json(AuthScheme& scheme, const Redactor* redactor) {
  if (const auto tokens = scheme.details.find("tokens"); redactor && tokens != scheme.details.end()) {
    for (Json& token : *tokens) analysis::mask_personal_claims(token, *redactor);
  }
  Json json = {{"type", to_string(scheme.type)},
               {"host", scheme.host},
               {"in", scheme.in},
               {"name", scheme.name},
               {"confidence", scheme.confidence()},
               {"detected", scheme.is_detected()},
               {"evidence", evidence_json(scheme)},
               {"flow_count", scheme.flow_count},
               {"flows", scheme.flows}};
  for (const ResultField& field : detail_result()) {
    if (const auto found = scheme.details.find(std::string(field.name)); found != scheme.details.end())
      json[std::string(field.name)] = std::move(*found);
  }
  return json;
}

void add_to_type(Json& type, const AuthScheme& scheme) {
  type["confidence"] = std::max(type["confidence"].get<int>(), scheme.confidence());
  if (!scheme.is_detected()) return;
  type["detected"] = true;
  for (const analysis::Evidence& piece : scheme.evidence) {
    std::string signal = fmt::format("{}{}{}", piece.kind->name, scheme.name.empty() ? "" : ": ", scheme.name);
    Json& signals = type["signals"];
    if (signals.size() < kMostSignals && std::find(signals.begin(), signals.end(), signal) == signals.end())
      signals.push_back(std::move(signal));
  }
  for (const std::string& id : scheme.flows) {
    Json& flows = type["flows"];
    if (flows.size() < analysis::kMostAuthFlows && std::find(flows.begin(), flows.end(), id) == flows.end())
      flows.push_back(id);
  }
}

ToolResult detect_auth_pattern(const Json& arguments, CallContext& context) {
  SLUICE_TRY(FlowChoice choice, read_choice(arguments));
  if (const auto ids = text_argument(arguments, "flow_ids")) {
    choice.ids = comma_list(*ids);
    if (choice.ids.empty() && !ids->empty()) return fail(Code::kInvalid, "flow_ids names no flow.");
  }
  analysis::AuthDetector detector;
  SLUICE_TRY(const FlowsSeen seen,
             visit_flows(context, choice, [&](const analysis::FlowView& flow) { detector.add(flow); }));
  Json types = Json::array(), details = Json::object();
  for (std::size_t i = 0; i < analysis::kAuthTypes; ++i) {
    details[std::string(to_string(static_cast<AuthType>(i)))] = {
        {"detected", false}, {"signals", Json::array()}, {"flows", Json::array()}, {"confidence", 0}};
  }
  Json schemes = Json::array();
  std::size_t more = 0;
  for (AuthScheme& scheme : detector.finish()) {
    add_to_type(details[std::string(to_string(scheme.type))], scheme);
    if (scheme.confidence() < kLeastListed) continue;
    if (schemes.size() < kMostListed)
      schemes.push_back(scheme_json(scheme, context.redactor));
    else
      ++more;
  }
  for (const auto& [name, type] : details.items()) {
    if (type["detected"].get<bool>()) types.push_back(name);
  }
  Json answer = {
      {"detected_auth_types", std::move(types)}, {"details", std::move(details)}, {"schemes", std::move(schemes)}};
  if (more > 0) answer["more_schemes"] = more;
  put_seen(answer, seen);
  return answer;
}

}  // namespace

Tool detect_auth_tool() {
  std::vector<ResultField> of_type = {{"detected", "boolean", ""},
                                      {"signals", "string[]", "evidence and where"},
                                      {"flows", "string[]", "the first five"},
                                      {"confidence", "number", "of its best scheme"}};
  std::vector<ResultField> details;
  for (std::size_t i = 0; i < analysis::kAuthTypes; ++i)
    details.push_back({to_string(static_cast<AuthType>(i)), "object", "", false, false, of_type});
  std::vector<ResultField> scheme = scheme_result();
  for (ResultField& field : detail_result()) scheme.push_back(std::move(field));
  Tool tool = {.name = "detect_auth_pattern",
               .title = "How clients authenticate",
               .summary =
                   "Which authentication flows use: bearer, JWT, basic, digest, NTLM, API keys, SigV4, OAuth, session "
                   "cookies, CSRF tokens, client certificates; with evidence, confidence and flows, without values.",
               .group = "analysis",
               .risk = Risk::kRead,
               .hints = kMitmproxy | kSlow | kReturnsTraffic | kIdempotent,
               .fields = {{.name = "flow_ids", .meaning = "Ids with commas between; absent: all flows of clients."}},
               .result = {{"detected_auth_types", "string[]", ""},
                          {"details", "object", "", false, false, details},
                          {"schemes", "object[]", "most certain first", false, false, scheme},
                          {"more_schemes", "number", "not listed", true}},
               .function = detect_auth_pattern};
  for (ResultField& field : seen_result()) tool.result.push_back(std::move(field));
  return tool;
}

}  // namespace sluice::tools
