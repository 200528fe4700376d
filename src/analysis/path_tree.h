// The paths of one host as a tree of segments. Private to this folder.
#pragma once

#include "analysis/api_patterns.h"

namespace sluice::analysis {

class PathTree {
 public:
  struct EndKey {
    std::string method;
    Operation operation = Operation::kRest;
    std::string type, name;
    auto operator<=>(const EndKey&) const = default;
  };
  struct Values {
    std::set<std::size_t> hashes;
    std::size_t count = 0, digits = 0;
    std::string only;  // the value while there is but one
    void add(std::string_view value);
    void take(Values&& other);
  };
  struct Node {
    std::map<std::string, std::unique_ptr<Node>> literals;  // as they stood
    std::map<SegmentKind, std::unique_ptr<Node>> values;
    Values seen;  // of a node under `values`
    std::map<EndKey, EndpointUse> ends;
    std::size_t count = 0;  // requests through it
  };

  // False: too deep, or `nodes` has reached kMostPathNodes.
  bool add(const FlowView& flow, const EndKey& end, EndpointUse&& use, std::size_t& nodes);
  void infer(const ApiPatterns::ShapeReader& shape_of);
  void list(const std::string& scheme, const std::string& host, std::vector<ApiEndpoint>& out);

 private:
  Node root_;
};

// path_merge.cc
void merge_nodes(PathTree::Node& into, PathTree::Node&& from);
void infer_values(PathTree::Node& node, std::size_t depth, const ApiPatterns::ShapeReader& shape_of);

}  // namespace sluice::analysis
