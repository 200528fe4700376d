#include "tools/session_variables.h"

namespace sluice::tools {

Status SessionVariables::set(const std::string& grant, std::string_view name, std::string value) {
  if (!analysis::is_variable_name(name)) {
    return fail(Code::kInvalid,
                "This is no name of a variable: take letters, digits and _, at most 64, no digit first.");
  }
  if (value.size() > analysis::kMaxVariableValue)
    return fail(Code::kTooLarge, "A variable holds at most 64 KiB: take a part of it.");
  const std::lock_guard guard(mutex_);
  const auto found = grants_.find(grant);
  if (found == grants_.end() && grants_.size() >= kMaxGrants)
    return fail(Code::kTooLarge, "1000 grants have variables already: delete some.");
  analysis::Variables& variables = found == grants_.end() ? grants_[grant] : found->second;
  if (!variables.contains(name) && variables.size() >= kMaxOfGrant)
    return fail(Code::kTooLarge, "There are 200 variables already: delete some with delete_session_variable.");
  variables.insert_or_assign(std::string(name), std::move(value));
  return {};
}

bool SessionVariables::erase(const std::string& grant, std::string_view name) {
  const std::lock_guard guard(mutex_);
  const auto found = grants_.find(grant);
  if (found == grants_.end()) return false;
  const auto variable = found->second.find(name);
  if (variable == found->second.end()) return false;
  found->second.erase(variable);
  if (found->second.empty()) grants_.erase(found);
  return true;
}

analysis::Variables SessionVariables::of(const std::string& grant) const {
  const std::lock_guard guard(mutex_);
  const auto found = grants_.find(grant);
  return found == grants_.end() ? analysis::Variables() : found->second;
}

}  // namespace sluice::tools
