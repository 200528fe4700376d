// The session variables of each grant (analysis.md): texts that a caller set or took from flows, for requests that it
// sends later. In memory; what one grant has no other sees. Thread-safe; bounded.
#pragma once

#include <map>
#include <mutex>
#include <string>
#include <string_view>

#include "analysis/variables.h"

namespace sluice::tools {

class SessionVariables {
 public:
  static constexpr std::size_t kMaxOfGrant = 200;
  static constexpr std::size_t kMaxGrants = 1'000;

  // kInvalid: no name of a variable; kTooLarge: a limit above, or kMaxVariableValue. One sentence without the value.
  Status set(const std::string& grant, std::string_view name, std::string value);
  bool erase(const std::string& grant, std::string_view name);
  // A copy, for one call.
  analysis::Variables of(const std::string& grant) const;

 private:
  mutable std::mutex mutex_;
  std::map<std::string, analysis::Variables> grants_;
};

}  // namespace sluice::tools
