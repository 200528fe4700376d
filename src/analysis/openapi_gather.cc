// What samples say of an operation.
#include <algorithm>
#include <array>

#include "analysis/multipart.h"
#include "analysis/openapi_draft.h"
#include "base/text.h"

namespace sluice::analysis {
namespace {

constexpr std::size_t kMostParameters = 60;  // of one place of an operation
constexpr std::size_t kMostFields = 200;     // of a form
constexpr std::size_t kMostContents = 8;     // media types of one message
constexpr std::size_t kMostSecurity = 16;    // combinations of one operation
constexpr std::size_t kMostExample = 4'000;  // octets
constexpr JsonLimits kBodyJson{.max_depth = 64, .max_members = 20'000, .refuse_duplicate_keys = false};

// Fields that OpenAPI leaves to the transport, or that a browser or a proxy adds.
constexpr auto kTransport = std::to_array<std::string_view>({"authorization",
                                                             "baggage",
                                                             "cache-control",
                                                             "cookie",
                                                             "dnt",
                                                             "expect",
                                                             "forwarded",
                                                             "from",
                                                             "if-match",
                                                             "if-modified-since",
                                                             "if-none-match",
                                                             "if-range",
                                                             "if-unmodified-since",
                                                             "max-forwards",
                                                             "origin",
                                                             "pragma",
                                                             "proxy-authorization",
                                                             "range",
                                                             "referer",
                                                             "save-data",
                                                             "traceparent",
                                                             "tracestate",
                                                             "trailer",
                                                             "upgrade",
                                                             "via"});
static_assert(std::is_sorted(kTransport.begin(), kTransport.end()));

bool is_transport(std::string_view name) {
  return std::binary_search(kTransport.begin(), kTransport.end(), name) || name.starts_with("x-forwarded-") ||
         name == "x-requested-with" || name == "x-real-ip";
}

// Refused for what it was: it says nothing about what a sound request is.
bool is_unsound(int status) { return status == 400 || status == 405 || status == 415 || status == 422; }

}  // namespace

bool OpenApiWriter::is_credential(std::string_view in, std::string_view name) const {
  return std::any_of(schemes_.begin(), schemes_.end(), [&](const Scheme& each) {
    return each.scheme->in == in && (in == "header" ? iequals(each.scheme->name, name) : each.scheme->name == name);
  });
}

void OpenApiWriter::add(std::size_t index, const FlowView& flow) {
  OperationDraft& draft = this->draft(index);
  ++samples_;
  const ApiEndpoint& endpoint = endpoints_[index];
  // Values of the path: its segments beside those of the pattern.
  const auto wanted = split(endpoint.path, '/'), given = split(flow.path, '/');
  for (std::size_t i = 0; i < wanted.size() && i < given.size(); ++i) {
    if (!wanted[i].starts_with('{')) continue;
    const std::string name(wanted[i].substr(1, wanted[i].size() - 2));
    auto& schema = draft.path[name];
    if (!schema) schema = std::make_unique<JsonSchema>(name, nodes_);
    schema->add_text(percent_decode(given[i]));
  }
  const int status = flow.exchange.status;
  const bool only = endpoint.use.statuses.size() == 1;
  if (!is_unsound(status) || only) {
    ++draft.requests;
    add_parameters(draft, flow);
    add_message(draft.request, flow, flow::Direction::kRequest);
  }
  if (flow.accepted()) add_security(draft, flow);
  if (status >= 100 && status <= 599) add_answer(draft, flow);
}

void OpenApiWriter::add_parameters(OperationDraft& draft, const FlowView& flow) {
  const auto parameter = [&](auto& places, const std::string& name) -> OperationDraft::Parameter* {
    const auto found = places.find(name);
    if (found != places.end()) return &found->second;
    if (places.size() >= kMostParameters || name.empty() || name.size() > 128) return nullptr;
    auto& made = places[name];
    made.schema = std::make_unique<JsonSchema>(name, nodes_);
    return &made;
  };
  std::set<std::string> seen;
  for (const NameValue& pair : parse_pairs(flow.query)) {
    if (is_credential("query", pair.name)) continue;
    OperationDraft::Parameter* const place = parameter(draft.query, pair.name);
    if (!place) continue;
    const bool again = !seen.insert(pair.name).second;
    place->repeated |= again || pair.name.ends_with("[]");
    place->count += again ? 0 : 1;
    place->schema->add_text(pair.value);
  }
  for (std::size_t i = 0; i < flow.request.size(); ++i) {
    const std::string lower = to_lower(flow.request.name(i));
    if (is_transport(lower) || !draft.endpoints.front()->use.headers.contains(lower) || is_credential("header", lower))
      continue;
    if (OperationDraft::Parameter* const place = parameter(draft.headers, lower)) {
      ++place->count;
      place->schema->add_text(trim(flow.request.value(i)));
    }
  }
}

void OpenApiWriter::add_security(OperationDraft& draft, const FlowView& flow) {
  const std::vector<NameValue> query = parse_pairs(flow.query), cookies = parse_cookies(flow.request);
  const auto named = [](const std::vector<NameValue>& pairs, const std::string& name) {
    return std::any_of(pairs.begin(), pairs.end(), [&](const NameValue& each) { return each.name == name; });
  };
  std::vector<std::size_t> used;
  for (std::size_t i = 0; i < schemes_.size(); ++i) {
    const AuthScheme& scheme = *schemes_[i].scheme;
    bool there = false;
    if (scheme.in == "header") {
      const auto value = flow.request.find(scheme.name);
      const std::string word = schemes_[i].json.value("scheme", "");
      there = value && (word.empty() || ifind(*value, word) == 0);
    } else if (scheme.in == "query") {
      there = named(query, scheme.name);
    } else if (scheme.in == "cookie") {
      there = named(cookies, scheme.name);
    } else if (scheme.in == "tls") {
      there = true;
    }
    if (there) used.push_back(i);
  }
  if (draft.security.size() < kMostSecurity || draft.security.contains(used)) ++draft.security[used];
}

void OpenApiWriter::add_answer(OperationDraft& draft, const FlowView& flow) {
  Message& message = draft.responses[flow.exchange.status];
  const int status = flow.exchange.status;
  // RFC 9110 §6.4.1: no content, whatever the fields say. What rules changed is not the origin's.
  const bool none = status < 200 || status == 204 || status == 304 || flow.exchange.method == "HEAD" ||
                    !flow.exchange.response.effective.empty();
  if (none)
    ++message.without_body;
  else
    add_message(message, flow, flow::Direction::kResponse);
}

void OpenApiWriter::add_message(Message& message, const FlowView& flow, flow::Direction direction) {
  const bool request = direction == flow::Direction::kRequest;
  const flow::Message& raw = request ? flow.exchange.request : flow.exchange.response;
  if (raw.body.size == 0) {
    ++message.without_body;
    return;
  }
  ++message.with_body;
  const http::FieldList& fields = request ? flow.request : flow.response;
  std::string media = media_type_of(fields);
  if (media.empty() || media.find('/') == std::string::npos || media.size() > 100) media = "application/octet-stream";
  if (!message.contents.contains(media) && message.contents.size() >= kMostContents) return;
  Message::Content& content = message.contents[media];
  ++content.count;
  const bool form = media == "application/x-www-form-urlencoded", multipart = media == "multipart/form-data";
  if (!is_json_media(media) && !form && !multipart) return;
  const std::string body = request ? flow.request_body() : flow.response_body();
  if (is_json_media(media)) {
    const auto json = parse_json(body, kBodyJson);
    if (!json) return;
    if (!content.schema) content.schema = std::make_unique<JsonSchema>("", nodes_);
    content.schema->add(*json);
    // The first one that is short: examples are for people.
    if (!content.example && body.size() <= kMostExample) content.example = *json;
    return;
  }
  std::set<std::string> seen;
  const auto add_field = [&](const std::string& name, std::string_view value) {
    if (name.empty() || (!content.fields.contains(name) && content.fields.size() >= kMostFields)) return;
    auto& schema = content.fields[name];
    if (!schema) schema = std::make_unique<JsonSchema>(name, nodes_);
    schema->add_text(value);
    if (seen.insert(name).second)
      ++content.field_counts[name];
    else
      content.repeated.insert(name);
  };
  if (form) {
    for (const NameValue& pair : parse_pairs(body)) add_field(pair.name, pair.value);
    return;
  }
  const auto type = fields.find("content-type");
  const auto boundary = type ? field_parameter(*type, "boundary") : std::nullopt;
  const auto parts = boundary ? parse_multipart(body, *boundary) : fail(Code::kInvalid, "");
  if (!parts) return;
  for (const BodyPart& part : parts->parts) {
    const auto disposition = flow::parse_fields(part.head).joined("content-disposition").value_or("");
    const std::string name = field_parameter(disposition, "name").value_or("");
    const bool file = field_parameter(disposition, "filename").has_value();
    if (file) content.files.insert(name);
    add_field(name, file ? std::string_view("file") : part.content);
  }
}

}  // namespace sluice::analysis
