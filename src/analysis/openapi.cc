#include "analysis/openapi.h"

#include <fmt/format.h>

#include <algorithm>

#include "analysis/openapi_draft.h"
#include "base/text.h"
#include "http/message.h"

namespace sluice::analysis {
namespace {

constexpr std::array<std::string_view, 8> kMethods = {"GET",     "PUT",  "POST",  "DELETE",
                                                      "OPTIONS", "HEAD", "PATCH", "TRACE"};
constexpr std::size_t kMostNotes = 200;  // GraphQL operations, gRPC methods

bool is_method(const std::string& method) {
  return std::find(kMethods.begin(), kMethods.end(), method) != kMethods.end();
}

// "users/{user_id}" → "UsersByUserId".
std::string camel(std::string_view text) {
  std::string name;
  bool by = false;
  for (const std::string_view segment : split(text, '/')) {
    by = segment.starts_with('{');
    if (by) name += "By";
    for (std::string word : name_words(segment)) {
      word[0] = static_cast<char>(word[0] >= 'a' && word[0] <= 'z' ? word[0] - 32 : word[0]);
      name += word;
    }
  }
  return name.substr(0, 100);
}

// Of what is left of letters, digits, '.', '-' and '_' (OpenAPI 3.1 §4.8.7).
std::string component_key(std::string_view prefix, std::string_view name) {
  std::string key(prefix);
  for (const char c : name) {
    const bool plain =
        (c >= '0' && c <= '9') || (ascii_lower(c) >= 'a' && ascii_lower(c) <= 'z') || c == '-' || c == '_';
    key += plain ? c : '_';
  }
  return key;
}

// The first literal segment that names a thing.
std::string tag_of(const std::string& path) {
  for (const std::string_view segment : split(path, '/')) {
    const SegmentKind kind = segment_kind(segment);
    if (segment.empty() || segment.starts_with('{') || segment == "api" || kind == SegmentKind::kVersion) continue;
    return std::string(segment);
  }
  return "root";
}

Json oauth_flows(const AuthScheme& scheme) {
  Json flows = Json::object();
  const Json* grants = find_member(scheme.details, "grants");
  if (!grants) return flows;
  for (const Json& grant : *grants) {
    const std::string type = grant.value("grant_type", ""), token = grant.value("token_url", ""),
                      authorization = grant.value("authorization_url", "");
    Json scopes = Json::object();
    if (const Json* list = find_member(grant, "scopes")) {
      for (const Json& scope : *list) scopes[scope.get<std::string>()] = "";
    }
    if (type == "authorization_code" && !token.empty() && !authorization.empty())
      flows["authorizationCode"] = {{"authorizationUrl", authorization}, {"tokenUrl", token}, {"scopes", scopes}};
    if (type == "client_credentials" && !token.empty())
      flows["clientCredentials"] = {{"tokenUrl", token}, {"scopes", scopes}};
    if (type == "password" && !token.empty()) flows["password"] = {{"tokenUrl", token}, {"scopes", scopes}};
    if (type == "implicit" && !authorization.empty())
      flows["implicit"] = {{"authorizationUrl", authorization}, {"scopes", scopes}};
  }
  return flows;
}

Json api_key(std::string_view in, const std::string& name) { return {{"type", "apiKey"}, {"in", in}, {"name", name}}; }
Json http_scheme(std::string_view scheme) { return {{"type", "http"}, {"scheme", scheme}}; }

}  // namespace

OpenApiWriter::OpenApiWriter(const std::vector<ApiEndpoint>& endpoints, const std::vector<AuthScheme>& schemes,
                             OpenApiOptions options)
    : endpoints_(endpoints), options_(options) {
  make_schemes(schemes);
  for (std::size_t i = 0; i < endpoints_.size(); ++i) {
    if (endpoints_[i].operation == Operation::kGrpc || !is_method(endpoints_[i].method)) continue;
    const std::string key = endpoints_[i].method + " " + endpoints_[i].path;
    if (const auto found = draft_of_.find(key); found != draft_of_.end()) {
      drafts_[found->second]->endpoints.push_back(&endpoints_[i]);
    } else if (drafts_.size() < options_.most_operations) {
      draft_of_.emplace(key, drafts_.size());
      drafts_.push_back(std::make_unique<OperationDraft>());
      drafts_.back()->endpoints.push_back(&endpoints_[i]);
    } else {
      cut_ = true;
    }
  }
}

OpenApiWriter::~OpenApiWriter() = default;

bool OpenApiWriter::wants(std::size_t index) const {
  return draft_of_.contains(endpoints_[index].method + " " + endpoints_[index].path) &&
         endpoints_[index].operation != Operation::kGrpc;
}

OpenApiWriter::OperationDraft& OpenApiWriter::draft(std::size_t index) {
  return *drafts_[draft_of_.at(endpoints_[index].method + " " + endpoints_[index].path)];
}

void OpenApiWriter::make_schemes(const std::vector<AuthScheme>& schemes) {
  const auto jwt_in = [&](std::string_view in, const std::string& name) {
    return std::any_of(schemes.begin(), schemes.end(), [&](const AuthScheme& each) {
      return each.type == AuthType::kJwt && each.in == in && iequals(each.name, name);
    });
  };
  for (const AuthScheme& scheme : schemes) {
    if (!scheme.is_detected()) continue;
    std::string key;
    Json json;
    switch (scheme.type) {
      case AuthType::kBasic:
        key = "basicAuth", json = http_scheme("basic");
        break;
      case AuthType::kDigest:
        key = "digestAuth", json = http_scheme("digest");
        break;
      case AuthType::kNegotiate:
        key = "negotiateAuth", json = http_scheme("negotiate");
        break;
      case AuthType::kNtlm:
        key = "ntlmAuth", json = http_scheme("ntlm");
        break;
      case AuthType::kBearer:
        key = "bearerAuth", json = http_scheme("bearer");
        if (jwt_in("header", "Authorization")) json["bearerFormat"] = "JWT";
        break;
      case AuthType::kAwsSigV4:
        key = component_key("sigV4_", scheme.in), json = api_key(scheme.in, scheme.name);
        json["x-amazon-apigateway-authtype"] = "awsSigv4";
        break;
      case AuthType::kApiKey:
      case AuthType::kCsrf:
        if (scheme.in == "body") continue;
        key = component_key(scheme.type == AuthType::kCsrf ? "csrf_" : "apiKey_", scheme.name);
        json = api_key(scheme.in, scheme.name);
        break;
      case AuthType::kSessionCookie:
        key = component_key("cookie_", scheme.name), json = api_key("cookie", scheme.name);
        break;
      case AuthType::kJwt:
        // Elsewhere it is what carries it.
        if (iequals(scheme.name, "authorization") || scheme.in == "query") continue;
        key = component_key("jwt_", scheme.name), json = api_key(scheme.in, scheme.name);
        break;
      case AuthType::kMutualTls:
        key = "mutualTLS", json = {{"type", "mutualTLS"}};
        break;
      case AuthType::kOauth2:
        key = "oauth2", json = {{"type", "oauth2"}, {"flows", oauth_flows(scheme)}};
        if (json["flows"].empty()) continue;
        break;
      case AuthType::kOpenIdConnect:
        if (!scheme.details.contains("discovery_url")) continue;
        key = "openIdConnect";
        json = {{"type", "openIdConnect"}, {"openIdConnectUrl", scheme.details["discovery_url"]}};
        break;
    }
    const bool taken = std::any_of(schemes_.begin(), schemes_.end(), [&](const Scheme& each) {
      const bool same_place = !scheme.name.empty() && scheme.in == "cookie" && each.scheme->in == "cookie" &&
                              each.scheme->name == scheme.name;
      return each.key == key || same_place;
    });
    if (!taken) schemes_.push_back({std::move(key), &scheme, std::move(json)});
  }
}

// Before names are made of it, in which nobody would find a secret again.
std::string OpenApiWriter::path_of(const ApiEndpoint& endpoint) const {
  return options_.redactor ? options_.redactor->mask_known(endpoint.path).text : endpoint.path;
}

std::string OpenApiWriter::operation_id(const std::string& method, const std::string& path) {
  std::string id = to_lower(method) + camel(path);
  if (path == "/") id += "Root";
  std::string unique = id;
  for (int n = 2; !operation_ids_.insert(unique).second; ++n) unique = fmt::format("{}_{}", id, n);
  return unique;
}

Json OpenApiWriter::parameters_json(const OperationDraft& draft) const {
  Json list = Json::array();
  for (const PathParameter& each : draft.endpoints.front()->parameters) {
    Json schema = Json::object();
    const auto found = draft.path.find(each.name);
    if (found != draft.path.end()) schema = found->second->schema();
    if (!schema.contains("type")) schema["type"] = each.kind == SegmentKind::kInteger ? "integer" : "string";
    schema.erase("enum");
    // A slug may look like a number now and then.
    if (schema["type"].is_array()) schema = {{"type", "string"}};
    if (each.kind == SegmentKind::kInteger && each.digits >= 10) schema["format"] = "int64";
    list.push_back({{"name", each.name},
                    {"in", "path"},
                    {"required", true},
                    {"description", fmt::format("{}; {} values seen", to_string(each.kind), each.support)},
                    {"schema", std::move(schema)}});
  }
  const auto put = [&](const std::map<std::string, OperationDraft::Parameter>& places, std::string_view in) {
    for (const auto& [name, place] : places) {
      Json schema = place.schema->schema();
      const bool repeated = place.repeated;
      if (schema.contains("type") && schema["type"].is_array()) {
        // All is text; several types are none.
        const bool numbers =
            schema["type"].size() == 2 && schema["type"][0] == "integer" && schema["type"][1] == "number";
        schema = {{"type", numbers ? "number" : "string"}};
      }
      if (repeated) schema = {{"type", "array"}, {"items", std::move(schema)}};
      Json parameter = {{"name", name}, {"in", in}};
      if (draft.requests >= kRequiredFrom && place.count >= draft.requests) parameter["required"] = true;
      parameter["schema"] = std::move(schema);
      if (repeated && in == "query") {
        parameter["style"] = "form";
        parameter["explode"] = true;
      }
      list.push_back(std::move(parameter));
    }
  };
  put(draft.query, "query");
  put(draft.headers, "header");
  return list;
}

Json OpenApiWriter::content_json(const Message& message) const {
  Json content = Json::object();
  for (const auto& [media, each] : message.contents) {
    Json entry = Json::object();
    if (each.schema) {
      entry["schema"] = each.schema->schema();
      if (each.example && options_.examples) entry["example"] = each.schema->example(*each.example, options_.redactor);
    } else if (!each.fields.empty()) {
      Json properties = Json::object(), required = Json::array();
      for (const auto& [name, schema] : each.fields) {
        Json property = each.files.contains(name) ? Json{{"type", "string"}, {"format", "binary"}} : schema->schema();
        if (each.repeated.contains(name)) property = {{"type", "array"}, {"items", std::move(property)}};
        properties[name] = std::move(property);
        if (each.count >= kRequiredFrom && each.field_counts.at(name) == each.count) required.push_back(name);
      }
      entry["schema"] = {{"type", "object"}, {"properties", std::move(properties)}};
      if (!required.empty()) entry["schema"]["required"] = std::move(required);
    } else if (media.starts_with("text/") || media.ends_with("xml") || media.find("javascript") != std::string::npos) {
      entry["schema"] = {{"type", "string"}};
    } else {
      entry["schema"] = Json::object();
    }
    content[media] = std::move(entry);
  }
  return content;
}

Json OpenApiWriter::responses_json(const OperationDraft& draft) const {
  Json responses = Json::object();
  for (const auto& [status, message] : draft.responses) {
    const std::string_view phrase = http::reason_phrase(status);
    Json response = {{"description", phrase.empty() ? fmt::format("Status {}", status) : std::string(phrase)}};
    if (Json content = content_json(message); !content.empty()) response["content"] = std::move(content);
    responses[std::to_string(status)] = std::move(response);
  }
  if (responses.empty()) responses["default"] = {{"description", "No answer was seen"}};
  return responses;
}

// What accepted requests carried: all of them, or some.
Json OpenApiWriter::security_json(const OperationDraft& draft) const {
  Json security = Json::array();
  for (const auto& [used, count] : draft.security) {
    Json requirement = Json::object();
    for (const std::size_t index : used) requirement[schemes_[index].key] = Json::array();
    security.push_back(std::move(requirement));
  }
  if (security.size() == 1 && security.front().empty()) return Json::array();
  return security;
}

Json OpenApiWriter::operation_json(const OperationDraft& draft, const std::string& path) {
  const ApiEndpoint& endpoint = *draft.endpoints.front();
  std::size_t requests = 0;
  for (const ApiEndpoint* each : draft.endpoints) requests += each->use.count;
  Json json = {{"operationId", operation_id(endpoint.method, path)},
               {"summary", endpoint.method + " " + path},
               {"description", fmt::format("Told from {} requests.", requests)},
               {"tags", Json::array({tag_of(path)})}};
  if (Json parameters = parameters_json(draft); !parameters.empty()) json["parameters"] = std::move(parameters);
  if (Json content = content_json(draft.request); !content.empty() && endpoint.method != "TRACE") {
    json["requestBody"] = {{"content", std::move(content)}};
    if (draft.request.without_body == 0 && draft.request.with_body >= kRequiredFrom)
      json["requestBody"]["required"] = true;
  }
  json["responses"] = responses_json(draft);
  json["security"] = security_json(draft);
  if (endpoint.use.websocket) json["x-websocket"] = true;
  for (const ApiEndpoint* each : draft.endpoints) {
    if (each->operation != Operation::kGraphql || json["x-graphql-operations"].size() >= kMostNotes) continue;
    json["x-graphql-operations"].push_back(
        {{"type", each->operation_type}, {"name", each->operation_name}, {"requests", each->use.count}});
  }
  if (json.contains("x-graphql-operations") && json["x-graphql-operations"].is_null())
    json.erase("x-graphql-operations");
  return json;
}

Json OpenApiWriter::finish() {
  const ApiEndpoint* const first = endpoints_.empty() ? nullptr : &endpoints_.front();
  const std::string host = first ? first->host : "";
  Json document = {
      {"openapi", "3.1.0"},
      {"info",
       {{"title", "API of " + host},
        {"version", "1.0.0"},
        {"description", fmt::format("Told from captured traffic: {} samples, at most {} of each operation, "
                                    "evenly chosen.",
                                    samples_, kMostSamples)}}},
      {"servers", Json::array()}};
  if (first) document["servers"].push_back({{"url", first->scheme + "://" + host}});
  std::map<std::string, Json> paths;
  std::set<std::string> tags;
  for (const auto& draft : drafts_) {
    const ApiEndpoint& endpoint = *draft->endpoints.front();
    const std::string path = path_of(endpoint);
    tags.insert(tag_of(path));
    paths[path][to_lower(endpoint.method)] = operation_json(*draft, path);
  }
  document["tags"] = Json::array();
  for (const std::string& tag : tags) document["tags"].push_back({{"name", tag}, {"description", "Paths of " + tag}});
  document["paths"] = Json::object();
  for (auto& [path, item] : paths) document["paths"][path] = std::move(item);
  Json schemes = Json::object();
  for (const Scheme& scheme : schemes_) schemes[scheme.key] = scheme.json;
  if (!schemes.empty()) document["components"] = {{"securitySchemes", std::move(schemes)}};
  Json services = Json::object();
  for (const ApiEndpoint& endpoint : endpoints_) {
    if (endpoint.operation == Operation::kGrpc && services.size() < kMostNotes)
      services[endpoint.operation_type].push_back(endpoint.operation_name);
  }
  if (!services.empty()) document["x-grpc-services"] = std::move(services);
  return document;
}

}  // namespace sluice::analysis
