// The endpoints of APIs, told from traffic: flows of one host by method and path, with path parameters told by spelling
// and by siblings (segment.h), GraphQL by operation, gRPC by method.
//
//   ApiPatterns patterns;
//   for (flow, oldest first) patterns.add(FlowView(exchange, bodies));
//   for (const ApiEndpoint& endpoint : patterns.finish(shape_of)) …
//
// What is no value by its spelling becomes a parameter only where many siblings are alike, also in what they answer:
// finish() asks `shape_of` for the shape of some flows' answers. Versions, locales and years stay as they are (years
// unless other numbers stand beside them); one position has one parameter; names are unique in a path.
// Memory is bounded whatever the traffic. Not thread-safe.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "analysis/flow_view.h"
#include "analysis/segment.h"

namespace sluice::analysis {

inline constexpr std::size_t kMostSamples = 200;      // flows of one endpoint that are looked at closely
inline constexpr std::size_t kMostShownSamples = 3;   // mitm-tools.json
inline constexpr std::size_t kMostQueryNames = 100;   // of one endpoint
inline constexpr std::size_t kMostHeaderNames = 100;  // of one endpoint
inline constexpr std::size_t kMostHosts = 500;
inline constexpr std::size_t kMostPathNodes = 100'000;  // of one analysis
inline constexpr std::size_t kMostPathDepth = 40;

// At most kMostSamples of any number of flows, evenly chosen: every 2^n-th.
class EvenSamples {
 public:
  void add(std::uint64_t seq, const std::string& id);
  void take(EvenSamples&& other);
  std::vector<std::string> ids(std::size_t most = kMostSamples) const;  // in the order of seq

 private:
  void thin();
  std::vector<std::pair<std::uint64_t, std::string>> kept_;
  std::size_t step_ = 1, seen_ = 0;
};

struct QueryUse {
  std::size_t count = 0;  // requests with it
  bool repeated = false;  // more than once in one request
};

// What the flows of one endpoint have in common.
struct EndpointUse {
  std::size_t count = 0;
  std::map<std::string, QueryUse> query;
  std::map<std::string, std::size_t> headers;  // in lower case; without those that every client sends
  std::map<int, std::size_t> statuses;         // 0: no answer
  std::map<std::string, std::size_t> request_types, response_types;  // media types without parameters; "": none
  bool websocket = false;
  EvenSamples samples;
  void take(EndpointUse&& other);
};

struct PathParameter {
  std::string name;
  SegmentKind kind = SegmentKind::kWord;  // kWord: of several kinds
  std::size_t support = 0;                // different values seen, up to 1000
  std::size_t count = 0;                  // requests
  std::size_t digits = 0;                 // the most, of integers
};

enum class Operation : std::uint8_t { kRest, kGraphql, kGrpc };

struct ApiEndpoint {
  std::string scheme, host;  // host with its port where that is not the usual one
  std::string method, path;  // "/users/{user_id}"; literals as they stood in URLs
  Operation operation = Operation::kRest;
  std::string operation_type, operation_name;  // GraphQL: query, GetUser; gRPC: the service and its method
  std::vector<PathParameter> parameters;       // in the order of the path
  EndpointUse use;
};

class PathTree;

class ApiPatterns {
 public:
  ApiPatterns();
  ~ApiPatterns();
  void add(const FlowView& flow);
  // Names of the members of a flow's JSON answer, to a depth of some; nullptr: it is no JSON.
  using Shape = std::shared_ptr<const std::set<std::string>>;
  using ShapeReader = std::function<Shape(const std::string& flow_id)>;
  // Most requests first. Once.
  std::vector<ApiEndpoint> finish(const ShapeReader& shape_of);
  std::size_t dropped() const { return dropped_; }  // flows beyond the limits

 private:
  std::map<std::string, std::unique_ptr<PathTree>> hosts_;  // scheme://host
  std::size_t nodes_ = 0, dropped_ = 0, operations_read_ = 0;
};

// "a", "a.b", "a[].b" of JSON; nullptr: it is none.
ApiPatterns::Shape json_shape(std::string_view body);

}  // namespace sluice::analysis
