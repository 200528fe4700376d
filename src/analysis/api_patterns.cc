#include "analysis/api_patterns.h"

#include <algorithm>
#include <array>

#include "analysis/graphql.h"
#include "analysis/grpc.h"
#include "analysis/path_tree.h"
#include "base/text.h"

namespace sluice::analysis {
namespace {

constexpr std::size_t kMostOperationsRead = 20'000;  // bodies of GraphQL requests
constexpr std::size_t kMostOperationName = 128;
constexpr std::size_t kMostTypes = 20;  // media types of one endpoint
constexpr std::size_t kMostShapeNames = 200;
constexpr std::size_t kMostShapeDepth = 3;
constexpr std::size_t kItemsOfShape = 3;  // of an array
constexpr ByteCount kMostGraphql = 256 * kKiB;
constexpr ByteCount kMostShaped = 256 * kKiB;

// Of every client, or of the connection: they tell nothing about an endpoint.
constexpr auto kUsual =
    std::to_array<std::string_view>({"accept", "accept-encoding", "accept-language", "connection", "content-length",
                                     "content-type", "host", "keep-alive", "priority", "proxy-connection", "te",
                                     "transfer-encoding", "upgrade-insecure-requests", "user-agent"});
static_assert(std::is_sorted(kUsual.begin(), kUsual.end()));

bool is_usual(const std::string& name) {
  return std::binary_search(kUsual.begin(), kUsual.end(), std::string_view(name)) || name.starts_with("sec-");
}

template <class Key>
void count_in(std::map<Key, std::size_t>& counts, const Key& key, std::size_t most, std::size_t more = 1) {
  const auto found = counts.find(key);
  if (found != counts.end())
    found->second += more;
  else if (counts.size() < most)
    counts.emplace(key, more);
}

EndpointUse use_of(const FlowView& flow) {
  EndpointUse use;
  use.count = 1;
  for (const NameValue& pair : parse_pairs(flow.query)) {
    if (use.query.size() >= kMostQueryNames || pair.name.empty() || pair.name.size() > 128) continue;
    QueryUse& query = use.query[pair.name];
    query.repeated |= query.count > 0;
    query.count = 1;
  }
  for (std::size_t i = 0; i < flow.request.size(); ++i) {
    std::string name = to_lower(flow.request.name(i));
    if (!is_usual(name) && name.size() <= 128 && use.headers.size() < kMostHeaderNames)
      use.headers.emplace(std::move(name), 1);
  }
  use.statuses.emplace(flow.exchange.status, 1);
  use.request_types.emplace(flow.exchange.request.body.size == 0 ? "" : media_type_of(flow.request), 1);
  use.response_types.emplace(flow.exchange.response.body.size == 0 ? "" : media_type_of(flow.response), 1);
  use.websocket = flow.exchange.protocol == flow::Protocol::kWebSocket;
  use.samples.add(flow.exchange.seq.value, flow.exchange.id);
  return use;
}

// The operation that a request asks for; a name is taken from operationName, else from the document.
void name_operation(const std::string& document, const std::string& wanted, PathTree::EndKey& end) {
  const auto operations = graphql_operations(document);
  if (!operations) return;
  end.operation = Operation::kGraphql;
  const GraphqlOperation* chosen = &operations->front();
  for (const GraphqlOperation& each : *operations) {
    if (!wanted.empty() && each.name == wanted) chosen = &each;
  }
  end.type = chosen->type;
  end.name = chosen->name.substr(0, kMostOperationName);
}

void look_for_graphql(const FlowView& flow, PathTree::EndKey& end, std::size_t& read) {
  const std::string media = media_type_of(flow.request);
  const bool named = ifind(flow.path, "graphql") != std::string_view::npos || flow.path.ends_with("/gql");
  const bool typed = media == "application/graphql" || media == "application/graphql+json";
  if (!named && !typed) return;
  std::string document, wanted;
  for (const NameValue& pair : parse_pairs(flow.query)) {
    if (pair.name == "query") document = pair.value;
    if (pair.name == "operationName") wanted = pair.value;
  }
  const ByteCount size = flow.exchange.request.body.size;
  if (document.empty() && size > 0 && size <= kMostGraphql && read < kMostOperationsRead) {
    ++read;
    const std::string body = flow.request_body();
    if (media == "application/graphql") document = body;
    const auto json = document.empty() ? parse_json(body, {.refuse_duplicate_keys = false}) : fail(Code::kInvalid, "");
    const Json* asked = json && json->is_array() && !json->empty() ? &json->front() : json ? &*json : nullptr;
    const auto text = [&](std::string_view name) {
      const Json* member = asked ? find_member(*asked, name) : nullptr;
      return member && member->is_string() ? member->get<std::string>() : std::string();
    };
    if (document.empty()) document = text("query");
    wanted = text("operationName");
  }
  if (!document.empty()) name_operation(document, wanted, end);
}

void look_for_grpc(const FlowView& flow, PathTree::EndKey& end) {
  const auto type = flow.request.find("content-type");
  if (!type || !grpc_form(*type)) return;
  const std::string_view path = flow.path.substr(1);
  const std::size_t slash = path.rfind('/');
  if (slash == std::string_view::npos) return;
  end.operation = Operation::kGrpc;
  end.type = path.substr(0, slash).substr(0, kMostOperationName);
  end.name = path.substr(slash + 1).substr(0, kMostOperationName);
}

void add_shape(const Json& value, const std::string& prefix, std::size_t depth, std::set<std::string>& names) {
  if (depth > kMostShapeDepth || names.size() >= kMostShapeNames) return;
  if (value.is_array()) {
    for (std::size_t i = 0; i < value.size() && i < kItemsOfShape; ++i)
      add_shape(value[i], prefix + "[]", depth, names);
  } else if (value.is_object()) {
    for (const auto& [name, member] : value.items()) {
      if (names.size() >= kMostShapeNames) return;
      const std::string here = prefix + "." + name;
      names.insert(here);
      add_shape(member, here, depth + 1, names);
    }
  }
}

}  // namespace

// --- EvenSamples ---

void EvenSamples::add(std::uint64_t seq, const std::string& id) {
  if (seen_++ % step_ != 0) return;
  kept_.emplace_back(seq, id);
  thin();
}

void EvenSamples::thin() {
  while (kept_.size() > 2 * kMostSamples) {
    std::vector<std::pair<std::uint64_t, std::string>> half;
    for (std::size_t i = 0; i < kept_.size(); i += 2) half.push_back(std::move(kept_[i]));
    kept_ = std::move(half);
    step_ *= 2;
  }
}

void EvenSamples::take(EvenSamples&& other) {
  seen_ += other.seen_;
  // One flow after the other, as add() has them.
  if (other.kept_.size() == 1 && step_ > 1 && other.step_ == 1 && (seen_ - 1) % step_ != 0) return;
  const bool ordered = kept_.empty() || other.kept_.empty() || kept_.back().first <= other.kept_.front().first;
  for (auto& each : other.kept_) kept_.push_back(std::move(each));
  if (!ordered) std::sort(kept_.begin(), kept_.end());
  step_ = std::max(step_, other.step_);
  thin();
}

std::vector<std::string> EvenSamples::ids(std::size_t most) const {
  std::vector<std::string> ids;
  const std::size_t wanted = std::min(most, kept_.size());
  for (std::size_t i = 0; i < wanted; ++i) ids.push_back(kept_[i * kept_.size() / wanted].second);
  return ids;
}

// --- EndpointUse ---

void EndpointUse::take(EndpointUse&& other) {
  count += other.count;
  for (const auto& [name, use] : other.query) {
    const auto found = query.find(name);
    if (found == query.end()) {
      if (query.size() < kMostQueryNames) query.emplace(name, use);
      continue;
    }
    found->second.count += use.count;
    found->second.repeated |= use.repeated;
  }
  for (const auto& [name, more] : other.headers) count_in(headers, name, kMostHeaderNames, more);
  for (const auto& [status, more] : other.statuses) count_in(statuses, status, 100, more);
  for (const auto& [type, more] : other.request_types) count_in(request_types, type, kMostTypes, more);
  for (const auto& [type, more] : other.response_types) count_in(response_types, type, kMostTypes, more);
  websocket |= other.websocket;
  samples.take(std::move(other.samples));
}

// --- ApiPatterns ---

ApiPatterns::ApiPatterns() = default;
ApiPatterns::~ApiPatterns() = default;

void ApiPatterns::add(const FlowView& flow) {
  const std::string key = flow.exchange.scheme + "://" + flow.authority;
  auto host = hosts_.find(key);
  if (host == hosts_.end()) {
    if (hosts_.size() >= kMostHosts) {
      ++dropped_;
      return;
    }
    host = hosts_.emplace(key, std::make_unique<PathTree>()).first;
  }
  PathTree::EndKey end{flow.exchange.method.substr(0, 32), Operation::kRest, "", ""};
  look_for_grpc(flow, end);
  if (end.operation == Operation::kRest) look_for_graphql(flow, end, operations_read_);
  if (!host->second->add(flow, end, use_of(flow), nodes_)) ++dropped_;
}

std::vector<ApiEndpoint> ApiPatterns::finish(const ShapeReader& shape_of) {
  std::vector<ApiEndpoint> all;
  for (auto& [key, tree] : hosts_) {
    tree->infer(shape_of);
    const std::size_t mark = key.find("://");
    tree->list(key.substr(0, mark), key.substr(mark + 3), all);
  }
  hosts_.clear();
  std::stable_sort(all.begin(), all.end(),
                   [](const ApiEndpoint& a, const ApiEndpoint& b) { return a.use.count > b.use.count; });
  return all;
}

ApiPatterns::Shape json_shape(std::string_view body) {
  if (body.empty() || body.size() > kMostShaped) return nullptr;
  const auto json = parse_json(body, {.refuse_duplicate_keys = false});
  if (!json || !json->is_structured()) return nullptr;
  auto names = std::make_shared<std::set<std::string>>();
  add_shape(*json, "", 0, *names);
  return names;
}

}  // namespace sluice::analysis
