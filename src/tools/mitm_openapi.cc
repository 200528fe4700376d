// export_openapi_spec (mitm-tools.json; analysis.md): OpenAPI 3.1 of one host.
#include <algorithm>
#include <map>

#include "analysis/api_patterns.h"
#include "analysis/auth.h"
#include "analysis/openapi.h"
#include "base/text.h"
#include "tools/mitm_inference.h"

namespace sluice::tools {
namespace {

using analysis::ApiEndpoint;

constexpr ByteCount kMostBody = 256 * kKiB;    // decoded octets of a sample
constexpr ByteCount kMostRead = 512 * kMiB;    // of all samples together
constexpr std::size_t kMostUnits = 900'000;    // of the document: an answer has a MiB
constexpr std::size_t kFewerOperations = 200;  // of a document that would be longer
constexpr std::size_t kMostOtherHosts = 20;

struct Hosts {
  std::string chosen;                                         // scheme://host
  std::vector<std::pair<std::string, std::size_t>> requests;  // most first
};

Hosts busiest(const std::vector<ApiEndpoint>& endpoints) {
  std::map<std::string, std::size_t> counts;
  for (const ApiEndpoint& each : endpoints) counts[each.scheme + "://" + each.host] += each.use.count;
  Hosts hosts;
  hosts.requests.assign(counts.begin(), counts.end());
  std::stable_sort(hosts.requests.begin(), hosts.requests.end(),
                   [](const auto& a, const auto& b) { return a.second > b.second; });
  if (!hosts.requests.empty()) hosts.chosen = hosts.requests.front().first;
  return hosts;
}

Result<Json> write_document(const std::vector<ApiEndpoint>& endpoints, const std::vector<analysis::AuthScheme>& schemes,
                            const analysis::OpenApiOptions& options, CallContext& context, bool& cut,
                            std::size_t& samples) {
  analysis::OpenApiWriter writer(endpoints, schemes, options);
  ByteCount left = kMostRead;
  const analysis::BodyReader bodies = [&](const flow::Exchange& exchange, flow::Direction direction) {
    std::string body = read_body(context, exchange, direction, std::min(left, kMostBody));
    left -= std::min<ByteCount>(left, body.size());
    return body;
  };
  for (std::size_t i = 0; i < endpoints.size(); ++i) {
    if (!writer.wants(i)) continue;
    for (const std::string& id : endpoints[i].use.samples.ids()) {
      if (context.stop.stop_requested()) return fail(Code::kCancelled, "The call was cancelled.");
      if (const auto exchange = context.services->ring.find(id)) writer.add(i, analysis::FlowView(*exchange, bodies));
    }
  }
  samples = writer.samples();
  cut = writer.is_cut() || left == 0;
  return writer.finish();
}

ToolResult export_openapi_spec(const Json& arguments, CallContext& context) {
  SLUICE_TRY(const FlowChoice choice, read_choice(arguments));
  analysis::ApiPatterns patterns;
  analysis::AuthDetector detector;
  SLUICE_TRY(const FlowsSeen seen, visit_flows(context, choice, [&](const analysis::FlowView& flow) {
               patterns.add(flow);
               detector.add(flow);
             }));
  std::vector<ApiEndpoint> all = patterns.finish(shape_reader(context, kMostBody));
  const Hosts hosts = busiest(all);
  std::vector<ApiEndpoint> endpoints;
  for (ApiEndpoint& each : all) {
    if (each.scheme + "://" + each.host == hosts.chosen) endpoints.push_back(std::move(each));
  }
  std::vector<analysis::AuthScheme> schemes = detector.finish();
  std::erase_if(schemes, [&](const analysis::AuthScheme& scheme) {
    if (endpoints.empty()) return true;
    // Tokens may come from another host than the one that takes them.
    const bool elsewhere =
        scheme.type == analysis::AuthType::kOauth2 || scheme.type == analysis::AuthType::kOpenIdConnect;
    return !elsewhere && scheme.host != endpoints.front().host;
  });
  bool cut = false;
  std::size_t samples = 0;
  analysis::OpenApiOptions options{.redactor = context.redactor};
  SLUICE_TRY(Json document, write_document(endpoints, schemes, options, context, cut, samples));
  // A document that the answer would cut is none: without examples, then with fewer operations.
  if (dump_json(document, JsonStyle::kIndented).size() > kMostUnits) {
    options.examples = false;
    SLUICE_TRY(document, write_document(endpoints, schemes, options, context, cut, samples));
  }
  while (dump_json(document, JsonStyle::kIndented).size() > kMostUnits && options.most_operations > 1) {
    options.most_operations = std::min(options.most_operations / 2, kFewerOperations);
    SLUICE_TRY(document, write_document(endpoints, schemes, options, context, cut, samples));
  }
  Json note = {{"flows", seen.flows},
               {"samples", samples},
               {"samples_per_operation", analysis::kMostSamples},
               {"examples", options.examples},
               {"other_hosts", Json::array()}};
  for (std::size_t i = 1; i < hosts.requests.size() && i <= kMostOtherHosts; ++i)
    note["other_hosts"].push_back({{"host", hosts.requests[i].first}, {"requests", hosts.requests[i].second}});
  if (seen.generated > 0) note["generated"] = seen.generated;
  if (!seen.whole || cut || patterns.dropped() > 0) note["incomplete"] = true;
  document["x-sluice"] = std::move(note);
  return document;
}

}  // namespace

Tool openapi_tool() {
  Tool tool = {.name = "export_openapi_spec",
               .title = "OpenAPI description",
               .summary =
                   "OpenAPI 3.1 of one host told from its flows: typed parameters, bodies and answers with schemas, "
                   "masked examples, security. Several hosts: the busiest; x-sluice names the others.",
               .group = "analysis",
               .risk = Risk::kRead,
               .hints = kMitmproxy | kSlow | kReturnsTraffic | kIdempotent | kUncapped,
               .fields = {domain_field(), flow_limit_field()},
               .result = {{"openapi", "string", "3.1.0"},
                          {"info", "object", ""},
                          {"servers", "array", ""},
                          {"tags", "array", ""},
                          {"paths", "object", ""},
                          {"components", "object", "security schemes", true},
                          {"x-grpc-services", "object", "service: methods", true},
                          {"x-sluice",
                           "object",
                           "",
                           false,
                           false,
                           {{"flows", "number", "looked at"},
                            {"samples", "number", "bodies and heads behind the schemas"},
                            {"samples_per_operation", "number", "at most, evenly chosen"},
                            {"examples", "boolean", "false: left out, the document was too long"},
                            {"other_hosts", "array", "{host, requests}: pass one as host"},
                            {"generated", "number", "flows left out: our own", true},
                            {"incomplete", "boolean", "a limit left something out", true}}}},
               .function = export_openapi_spec};
  for (Field& field : choice_fields()) tool.fields.push_back(std::move(field));
  return tool;
}

}  // namespace sluice::tools
