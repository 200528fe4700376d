// The first of what a path, a selector or nothing finds in a flow's answer: as the caller is shown it, and as it is.
// Looked for in what is shown. Private to this folder.
#pragma once

#include <string>

#include "tools/mitm_subjects.h"

namespace sluice::tools {

struct Extracted {
  std::string shown, raw;
};
// kNotFound: nothing; kInvalid: the expression, or the body.
Result<Extracted> first_of_json(const flow::Exchange& exchange, const std::string& path, const CallContext& context);
Result<Extracted> first_of_html(const flow::Exchange& exchange, const std::string& selector,
                                const CallContext& context);
Result<Extracted> whole_answer(const flow::Exchange& exchange, const CallContext& context);

}  // namespace sluice::tools
