// Which siblings in a tree of paths are values of one parameter.
#include <algorithm>
#include <optional>

#include "analysis/path_tree.h"

namespace sluice::analysis {
namespace {

using Node = PathTree::Node;

// Siblings that are needed for one parameter: of slugs whose answers are alike or unknown, of words whose answers are
// alike, of anything that is hardly ever asked for twice.
constexpr std::size_t kManySlugs = 5, kManyWords = 8, kManyOnce = 40;
constexpr double kAlike = 0.75;            // of members in common (Jaccard)
constexpr std::size_t kMostShapes = 300;   // answers that are read at one node
constexpr std::size_t kMostClusters = 20;  // of one node
constexpr std::size_t kTopLevel = 1;       // deeper a small number is an id
constexpr std::size_t kMostVersionDigits = 2;

// The nearest endpoint below, and how far down it is.
struct Nearest {
  std::size_t depth = 0;
  std::string methods, flow;
};

std::optional<Nearest> nearest_end(const Node& node, std::size_t depth) {
  if (!node.ends.empty()) {
    Nearest found{depth, "", ""};
    for (const auto& [end, use] : node.ends) {
      found.methods += end.method + " ";
      // A GET's answer says what the thing is.
      if (!found.flow.empty() && end.method != "GET") continue;
      const auto ids = use.samples.ids(1);
      if (!ids.empty()) found.flow = ids.front();
    }
    return found;
  }
  std::optional<Nearest> best;
  if (depth > 6) return best;
  const auto look = [&](const Node& child) {
    auto found = nearest_end(child, depth + 1);
    if (found && (!best || found->depth < best->depth)) best = std::move(found);
  };
  std::size_t looked = 0;
  for (const auto& [name, child] : node.literals) {
    if (++looked > 20) break;
    look(*child);
  }
  for (const auto& [kind, child] : node.values) look(*child);
  return best;
}

struct Sibling {
  std::string segment;
  SegmentKind kind = SegmentKind::kWord;
  Nearest nearest;
  ApiPatterns::Shape shape;
  std::size_t count = 0;
  bool leaf = false;
};

double alikeness(const ApiPatterns::Shape& a, const ApiPatterns::Shape& b) {
  if (!a || !b) return !a && !b ? 1.0 : 0.0;
  std::size_t common = 0;
  for (const std::string& name : *a) common += b->count(name);
  const std::size_t all = a->size() + b->size() - common;
  return all == 0 ? 1.0 : static_cast<double>(common) / static_cast<double>(all);
}

bool are_alike(const Sibling& a, const Sibling& b) {
  return a.nearest.depth == b.nearest.depth && alikeness(a.shape, b.shape) >= kAlike;
}

// Whether a cluster of alike siblings is many values of one thing.
bool is_parameter(const std::vector<Sibling>& cluster) {
  std::size_t slugs = 0, requests = 0, leaves = 0;
  for (const Sibling& sibling : cluster) {
    slugs += sibling.kind == SegmentKind::kSlug;
    requests += sibling.count;
    leaves += sibling.leaf;
  }
  const std::size_t size = cluster.size();
  const bool shaped = cluster.front().shape && !cluster.front().shape->empty();
  if (slugs * 10 >= size * 6 && size >= kManySlugs) return true;
  if (shaped && size >= kManyWords) return true;
  return size >= kManyOnce && leaves == size && requests <= size * 2;
}

bool is_candidate(SegmentKind kind) { return kind == SegmentKind::kWord || kind == SegmentKind::kSlug; }

std::vector<Sibling> siblings_of(const Node& node, const ApiPatterns::ShapeReader& shape_of) {
  std::vector<Sibling> siblings;
  for (const auto& [segment, child] : node.literals) {
    if (segment.empty()) continue;
    const SegmentKind kind = segment_kind(segment);
    if (!is_candidate(kind)) continue;
    const bool grpc = std::any_of(child->ends.begin(), child->ends.end(),
                                  [](const auto& end) { return end.first.operation != Operation::kRest; });
    auto nearest = nearest_end(*child, 0);
    if (grpc || !nearest) continue;
    siblings.push_back(
        {segment, kind, *std::move(nearest), nullptr, child->count, child->literals.empty() && child->values.empty()});
  }
  if (siblings.size() < kManySlugs) return {};
  std::size_t read = 0;
  for (Sibling& sibling : siblings) {
    if (++read <= kMostShapes && !sibling.nearest.flow.empty()) sibling.shape = shape_of(sibling.nearest.flow);
  }
  // Beyond what is read a sibling is like the first that is not.
  return siblings;
}

void merge_siblings(Node& node, const ApiPatterns::ShapeReader& shape_of) {
  std::vector<std::vector<Sibling>> clusters;
  for (Sibling& sibling : siblings_of(node, shape_of)) {
    const auto same = std::find_if(clusters.begin(), clusters.end(),
                                   [&](const auto& cluster) { return are_alike(cluster.front(), sibling); });
    if (same != clusters.end())
      same->push_back(std::move(sibling));
    else if (clusters.size() < kMostClusters)
      clusters.push_back({std::move(sibling)});
  }
  for (std::vector<Sibling>& cluster : clusters) {
    if (!is_parameter(cluster)) continue;
    const bool slugs = std::count_if(cluster.begin(), cluster.end(),
                                     [](const Sibling& each) { return each.kind == SegmentKind::kSlug; }) > 0;
    std::unique_ptr<Node>& into = node.values[slugs ? SegmentKind::kSlug : SegmentKind::kWord];
    if (!into) into = std::make_unique<Node>();
    for (const Sibling& sibling : cluster) {
      const auto found = node.literals.find(sibling.segment);
      merge_nodes(*into, std::move(*found->second));
      node.literals.erase(found);
    }
  }
}

// Years beside other numbers are numbers.
void merge_years(Node& node) {
  const auto integers = node.values.find(SegmentKind::kInteger);
  if (integers == node.values.end()) return;
  for (auto at = node.literals.begin(); at != node.literals.end();) {
    if (segment_kind(at->first) != SegmentKind::kYear) {
      ++at;
      continue;
    }
    merge_nodes(*integers->second, std::move(*at->second));
    at = node.literals.erase(at);
  }
}

// "/2/tweets": one small number at the top with a path below it, and always the same.
void keep_versions(Node& node, std::size_t depth) {
  const auto integers = node.values.find(SegmentKind::kInteger);
  if (depth > kTopLevel || integers == node.values.end()) return;
  Node& number = *integers->second;
  const bool version = number.seen.hashes.size() == 1 && number.seen.digits <= kMostVersionDigits &&
                       number.ends.empty() && number.seen.count >= 3 && number.literals.size() >= 2;
  if (!version) return;
  std::unique_ptr<Node> kept = std::move(integers->second);
  node.values.erase(integers);
  node.literals.emplace(kept->seen.only, std::move(kept));
}

// Two parameters never at one position.
void unite_values(Node& node) {
  if (node.values.size() < 2) return;
  auto all = std::make_unique<Node>();
  for (auto& [kind, child] : node.values) merge_nodes(*all, std::move(*child));
  node.values.clear();
  node.values.emplace(SegmentKind::kToken, std::move(all));
}

}  // namespace

void merge_nodes(Node& into, Node&& from) {
  into.count += from.count;
  into.seen.take(std::move(from.seen));
  for (auto& [end, use] : from.ends) {
    const auto found = into.ends.find(end);
    if (found == into.ends.end())
      into.ends.emplace(end, std::move(use));
    else
      found->second.take(std::move(use));
  }
  const auto merge_child = [](std::unique_ptr<Node>& mine, std::unique_ptr<Node>& other) {
    if (mine)
      merge_nodes(*mine, std::move(*other));
    else
      mine = std::move(other);
  };
  for (auto& [segment, child] : from.literals) merge_child(into.literals[segment], child);
  for (auto& [kind, child] : from.values) merge_child(into.values[kind], child);
}

void infer_values(Node& node, std::size_t depth, const ApiPatterns::ShapeReader& shape_of) {
  merge_years(node);
  keep_versions(node, depth);
  merge_siblings(node, shape_of);
  unite_values(node);
  for (auto& [segment, child] : node.literals) infer_values(*child, depth + 1, shape_of);
  for (auto& [kind, child] : node.values) infer_values(*child, depth + 1, shape_of);
}

}  // namespace sluice::analysis
