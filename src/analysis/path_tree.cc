#include "analysis/path_tree.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/text.h"

namespace sluice::analysis {
namespace {

constexpr std::size_t kMostLiterals = 3'000;  // children of one node; more are words of one parameter
constexpr std::size_t kMostHashes = 1'000;

// "users" → "user", "categories" → "category", "addresses" → "address".
std::string singular(std::string word) {
  const auto ends = [&](std::string_view with) { return word.size() > with.size() + 1 && word.ends_with(with); };
  if (ends("ies")) return word.substr(0, word.size() - 3) + "y";
  if (ends("sses") || ends("xes") || ends("ches") || ends("shes")) return word.substr(0, word.size() - 2);
  if (ends("s") && !ends("ss") && !ends("us") && !ends("is")) word.pop_back();
  return word;
}

// What a parameter behind `literal` is called, were it alone.
std::string parameter_name(std::string_view literal, SegmentKind kind) {
  std::string base;
  for (const std::string& word : name_words(percent_decode(literal))) base += (base.empty() ? "" : "_") + word;
  base = singular(base);
  const bool usable = !base.empty() && ascii_lower(base[0]) >= 'a' && ascii_lower(base[0]) <= 'z' && base.size() <= 40;
  switch (kind) {
    case SegmentKind::kDate:
    case SegmentKind::kDateTime:
      return "date";
    case SegmentKind::kEmail:
      return "email";
    case SegmentKind::kSlug:
      return usable ? base + "_slug" : "slug";
    case SegmentKind::kWord:
      return usable ? base + "_name" : "name";
    default:
      return usable ? base + "_id" : "id";
  }
}

std::string unique_name(const std::string& name, const std::vector<PathParameter>& taken) {
  const auto is_taken = [&](const std::string& wanted) {
    return std::any_of(taken.begin(), taken.end(), [&](const PathParameter& each) { return each.name == wanted; });
  };
  std::string unique = name;
  for (int n = 2; is_taken(unique); ++n) unique = fmt::format("{}_{}", name, n);
  return unique;
}

// A brace in a path would read as a parameter (OpenAPI 3.1 §4.8.8.2).
std::string literal_text(std::string_view segment) {
  std::string text;
  for (const char c : segment) {
    if (c == '{')
      text += "%7B";
    else if (c == '}')
      text += "%7D";
    else if (c > ' ' && c < 0x7f)
      text += c;
    else
      text += fmt::format("%{:02X}", static_cast<unsigned char>(c));
  }
  return text;
}

struct Walk {
  const std::string& scheme;
  const std::string& host;
  std::vector<ApiEndpoint>& out;
  std::vector<PathParameter> parameters;
};

void list_node(PathTree::Node& node, const std::string& path, const std::string& last, Walk& walk) {
  for (auto& [end, use] : node.ends) {
    ApiEndpoint endpoint;
    endpoint.scheme = walk.scheme;
    endpoint.host = walk.host;
    endpoint.method = end.method;
    endpoint.path = path.empty() ? "/" : path;
    endpoint.operation = end.operation;
    endpoint.operation_type = end.type;
    endpoint.operation_name = end.name;
    endpoint.parameters = walk.parameters;
    endpoint.use = std::move(use);
    walk.out.push_back(std::move(endpoint));
  }
  for (auto& [segment, child] : node.literals) list_node(*child, path + "/" + literal_text(segment), segment, walk);
  for (auto& [kind, child] : node.values) {
    const std::string name = unique_name(parameter_name(last, kind), walk.parameters);
    walk.parameters.push_back({name, kind, child->seen.hashes.size(), child->seen.count, child->seen.digits});
    list_node(*child, path + "/{" + name + "}", "", walk);
    walk.parameters.pop_back();
  }
}

}  // namespace

void PathTree::Values::add(std::string_view value) {
  ++count;
  digits = std::max(digits, value.size());
  if (hashes.empty()) only = value.substr(0, 64);
  if (hashes.size() < kMostHashes) hashes.insert(std::hash<std::string_view>()(value));
}

void PathTree::Values::take(Values&& other) {
  if (hashes.empty()) only = std::move(other.only);
  count += other.count;
  digits = std::max(digits, other.digits);
  for (const std::size_t hash : other.hashes) {
    if (hashes.size() < kMostHashes) hashes.insert(hash);
  }
}

bool PathTree::add(const FlowView& flow, const EndKey& end, EndpointUse&& use, std::size_t& nodes) {
  std::string_view rest = flow.path.substr(std::min<std::size_t>(1, flow.path.size()));
  Node* at = &root_;
  std::size_t depth = 0;
  ++at->count;
  bool more = !rest.empty();
  while (more) {
    if (++depth > kMostPathDepth || nodes >= kMostPathNodes) return false;
    const std::size_t slash = rest.find('/');
    const std::string_view segment = rest.substr(0, slash);
    more = slash != std::string_view::npos;
    rest.remove_prefix(more ? slash + 1 : rest.size());
    const std::string value =
        segment.find('%') == std::string_view::npos ? std::string(segment) : percent_decode(segment);
    SegmentKind kind = end.operation == Operation::kGrpc ? SegmentKind::kWord : segment_kind(value);
    const bool full =
        at->literals.size() >= kMostLiterals && at->literals.find(std::string(segment)) == at->literals.end();
    if (full) kind = SegmentKind::kSlug;
    std::unique_ptr<Node>& child =
        is_value(kind) || full ? at->values[kind] : at->literals[std::string(segment.substr(0, 512))];
    if (!child) {
      child = std::make_unique<Node>();
      ++nodes;
    }
    at = child.get();
    ++at->count;
    at->seen.add(value);
  }
  const auto found = at->ends.find(end);
  if (found == at->ends.end()) {
    if (at->ends.size() >= 1'000) return false;
    at->ends.emplace(end, std::move(use));
  } else {
    found->second.take(std::move(use));
  }
  return true;
}

void PathTree::infer(const ApiPatterns::ShapeReader& shape_of) { infer_values(root_, 0, shape_of); }

void PathTree::list(const std::string& scheme, const std::string& host, std::vector<ApiEndpoint>& out) {
  Walk walk{scheme, host, out, {}};
  list_node(root_, "", "", walk);
}

}  // namespace sluice::analysis
