// A grant's session variables put into what the caller gives for a request, and, where it asks for it, into what was
// captured (analysis.md). Private to this folder.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "analysis/variables.h"
#include "replay/request.h"
#include "tools/mitm_subjects.h"
#include "tools/secret_values.h"

namespace sluice::tools {

class CallerValues {
 public:
  // `handles`: where secret handles stand in what the caller gives, they are filled in, too; null: they are not.
  explicit CallerValues(const CallContext& context, SecretFiller* handles = nullptr)
      : variables_(context.services->variables->of(context.grant)), handles_(handles) {}

  Result<std::string> put(std::string_view text, analysis::VariablePlace place,
                          analysis::Given given = analysis::Given::kByCaller);
  // Names that the caller gave and that have no value, each once.
  const std::vector<std::string>& unresolved() const { return unresolved_; }

 private:
  analysis::Variables variables_;
  SecretFiller* const handles_;
  std::vector<std::string> unresolved_;
};

// {"Name": "value" or null} as text; null removes the field.
Status read_headers_json(const std::string& text, CallerValues& values, replay::Overrides& overrides);

}  // namespace sluice::tools
