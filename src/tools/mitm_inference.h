// The flows that a tool of inference looks at: chosen by domain, host and number, or by their ids; oldest first;
// without what Sluice made itself. Private to this folder.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "analysis/api_patterns.h"
#include "analysis/flow_view.h"
#include "tools/mitm_subjects.h"

namespace sluice::tools {

struct FlowChoice {
  std::vector<std::string> ids;  // not empty: these, whatever they are
  capture::Filter filter;        // of the domain or host
  std::size_t most = SIZE_MAX;   // the newest so many
  bool include_generated = false;
  ByteCount body_limit = 256 * kKiB;  // decoded octets of a body that are read
};

struct FlowsSeen {
  std::size_t flows = 0;
  std::size_t generated = 0;         // left out
  std::vector<std::string> missing;  // ids of no flow
  bool whole = true;                 // false: time ran out
};

// The arguments domain, host, limit, include_generated, as far as the tool has them.
Result<FlowChoice> read_choice(const Json& arguments);
// kCancelled.
Result<FlowsSeen> visit_flows(CallContext& context, const FlowChoice& choice,
                              const std::function<void(const analysis::FlowView&)>& visit);

// A decoded body or its beginning; empty: none.
std::string read_body(const CallContext& context, const flow::Exchange& exchange, flow::Direction direction,
                      ByteCount limit);
analysis::ApiPatterns::ShapeReader shape_reader(const CallContext& context, ByteCount limit);

std::vector<Field> choice_fields();  // host, include_generated
Field domain_field();
Field flow_limit_field();
// {analysed, generated?, missing?, truncated?}
void put_seen(Json& answer, const FlowsSeen& seen);
std::vector<ResultField> seen_result();

}  // namespace sluice::tools
