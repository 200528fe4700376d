// get_api_patterns (mitm-tools.json; analysis.md).
#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "analysis/api_patterns.h"
#include "base/text.h"
#include "tools/mitm_inference.h"
#include "tools/page.h"

namespace sluice::tools {
namespace {

using analysis::ApiEndpoint;

constexpr std::size_t kMostShownHeaders = 10;  // mitm-tools.json
constexpr std::size_t kMostShownQuery = 40;
constexpr ByteCount kMostShaped = 64 * kKiB;

// json|form|xml|text|unknown of mitm-tools.json, and what is told apart beyond it.
std::string_view kind_of(std::string_view media) {
  if (analysis::is_json_media(media)) return "json";
  if (media.find("form") != std::string_view::npos) return "form";
  if (media.find("html") != std::string_view::npos) return "html";
  if (media.find("xml") != std::string_view::npos) return "xml";
  if (media.find("grpc") != std::string_view::npos) return "grpc";
  return media.starts_with("text/") ? "text" : "unknown";
}

Json query_json(const ApiEndpoint& endpoint) {
  Json list = Json::array();
  for (const auto& [name, use] : endpoint.use.query) {
    if (list.size() == kMostShownQuery) break;
    list.push_back({{"name", name},
                    {"count", use.count},
                    {"always", use.count == endpoint.use.count},
                    {"repeated", use.repeated}});
  }
  return list;
}

Json headers_json(const ApiEndpoint& endpoint) {
  std::vector<std::pair<std::string, std::size_t>> most(endpoint.use.headers.begin(), endpoint.use.headers.end());
  std::stable_sort(most.begin(), most.end(), [](const auto& a, const auto& b) { return a.second > b.second; });
  Json headers = Json::object();
  for (std::size_t i = 0; i < most.size() && i < kMostShownHeaders; ++i) headers[most[i].first] = most[i].second;
  return headers;
}

Json endpoint_json(const ApiEndpoint& endpoint) {
  Json names = Json::array(), queries = Json::array(), parameters = Json::array();
  for (const analysis::PathParameter& each : endpoint.parameters) {
    names.push_back(each.name);
    parameters.push_back(
        {{"name", each.name}, {"kind", to_string(each.kind)}, {"support", each.support}, {"count", each.count}});
  }
  for (const auto& [name, use] : endpoint.use.query) {
    if (queries.size() < kMostShownQuery) queries.push_back(name);
  }
  Json statuses = Json::object(), kinds = Json::object();
  for (const auto& [status, count] : endpoint.use.statuses) {
    if (status != 0) statuses[std::to_string(status)] = count;
  }
  for (const auto& [media, count] : endpoint.use.response_types) {
    const std::string kind(kind_of(media));
    kinds[kind] = kinds.value(kind, std::size_t{0}) + count;
  }
  Json json = {{"endpoint", endpoint.method + " " + endpoint.path},
               {"method", endpoint.method},
               {"path_pattern", endpoint.path},
               {"path_params", std::move(names)},
               {"query_params", std::move(queries)},
               {"common_headers", headers_json(endpoint)},
               {"status_codes", std::move(statuses)},
               {"content_types", std::move(kinds)},
               {"request_count", endpoint.use.count},
               {"sample_flow_ids", endpoint.use.samples.ids(analysis::kMostShownSamples)},
               {"scheme", endpoint.scheme},
               {"host", endpoint.host},
               {"parameters", std::move(parameters)},
               {"query", query_json(endpoint)}};
  if (endpoint.operation != analysis::Operation::kRest) {
    const bool grpc = endpoint.operation == analysis::Operation::kGrpc;
    json["operation"] = {
        {"protocol", grpc ? "grpc" : "graphql"}, {"type", endpoint.operation_type}, {"name", endpoint.operation_name}};
  }
  if (endpoint.use.websocket) json["websocket"] = true;
  return json;
}

ToolResult get_api_patterns(const Json& arguments, CallContext& context) {
  SLUICE_TRY(const FlowChoice choice, read_choice(arguments));
  SLUICE_TRY(const auto cursor, read_cursor(arguments));
  const std::size_t offset = cursor.value_or(0);
  analysis::ApiPatterns patterns;
  SLUICE_TRY(const FlowsSeen seen,
             visit_flows(context, choice, [&](const analysis::FlowView& flow) { patterns.add(flow); }));
  const auto endpoints = patterns.finish(shape_reader(context, kMostShaped));
  Json rows = Json::array();
  std::size_t units = 2, next = std::min(offset, endpoints.size());
  for (; next < endpoints.size(); ++next) {
    Json row = endpoint_json(endpoints[next]);
    const std::size_t more = utf16_length(dump_json(row, JsonStyle::kIndented)) + 1;
    if (!rows.empty() && units + more > kPageOctets) break;
    units += more;
    rows.push_back(std::move(row));
  }
  Json answer = {{"result", std::move(rows)}, {"total", endpoints.size()}};
  if (next < endpoints.size()) answer["next_cursor"] = std::to_string(next);
  if (patterns.dropped() > 0) answer["dropped"] = patterns.dropped();
  put_seen(answer, seen);
  return answer;
}

std::vector<ResultField> endpoint_result() {
  return {{"endpoint", "string", "METHOD path"},
          {"method", "string", ""},
          {"path_pattern", "string", "/users/{user_id}"},
          {"path_params", "string[]", "unique names"},
          {"query_params", "string[]", ""},
          {"common_headers", "object", "name: requests"},
          {"status_codes", "object", "status: answers"},
          {"content_types", "object", "json, form, html, xml, grpc, text or unknown: answers"},
          {"request_count", "number", ""},
          {"sample_flow_ids", "string[]", "up to three"},
          {"scheme", "string", ""},
          {"host", "string", "with its port where that is not the usual one"},
          {"parameters",
           "object[]",
           "of the path",
           false,
           false,
           {{"name", "string", ""},
            {"kind", "string", "integer, uuid, ulid, date, date-time, email, hash, token, slug or word"},
            {"support", "number", "different values"},
            {"count", "number", "requests"}}},
          {"query",
           "object[]",
           "",
           false,
           false,
           {{"name", "string", ""},
            {"count", "number", "requests with it"},
            {"always", "boolean", "in all"},
            {"repeated", "boolean", "more than once in one"}}},
          {"operation",
           "object",
           "GraphQL: query, mutation or subscription and its name; gRPC: service and method",
           true,
           false,
           {{"protocol", "string", "graphql or grpc"}, {"type", "string", ""}, {"name", "string", ""}}},
          {"websocket", "boolean", "", true}};
}

}  // namespace

Tool api_patterns_tool() {
  Tool tool = {.name = "get_api_patterns",
               .title = "Endpoints of an API",
               .summary =
                   "The endpoints that flows show, most used first: path parameters with how many values support "
                   "them, queries, headers, statuses; GraphQL by operation, gRPC by method.",
               .group = "analysis",
               .risk = Risk::kRead,
               .hints = kMitmproxy | kWrapped | kSlow | kReturnsTraffic | kIdempotent,
               .fields = {domain_field(), flow_limit_field()},
               .result = {{"result", "object[]", "", false, false, endpoint_result()},
                          {"total", "number", "endpoints"},
                          {"next_cursor", "string", "there are more", true},
                          {"dropped", "number", "flows beyond a limit of the analysis", true}},
               .function = get_api_patterns};
  for (Field& field : choice_fields()) tool.fields.push_back(std::move(field));
  tool.fields.push_back({.name = "cursor", .meaning = "next_cursor of the last answer."});
  for (ResultField& field : seen_result()) tool.result.push_back(std::move(field));
  return tool;
}

}  // namespace sluice::tools
