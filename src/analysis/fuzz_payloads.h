// What fuzzing puts in place of a value, by class (mitm.md 7, analysis.md "Fuzzing"). None of it carries a statement
// that could change data: quotes, conditions, sleeps, sums, markup. Pure.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"

namespace sluice::analysis {

enum class FuzzClass {
  kSqli,
  kXss,
  kPathTraversal,
  kCommandInjection,
  kSsti,
  kOpenRedirect,
  kHeaderInjection,
  kTypeConfusion,
  kBoundary
};
std::optional<FuzzClass> find_fuzz_class(std::string_view name);  // "sqli", "command_injection", …

struct FuzzPayload {
  std::string text;
  std::optional<Json> json;  // in a JSON body, in place of the text
  bool is_encoded = false;   // percent-encoded already: goes into URLs and forms as it is
  // What says that it worked, where the answer has it and the baseline has not.
  enum class Proof { kNone, kText, kLocation, kHeader, kDelay } proof = Proof::kNone;
  std::string expects;
};
inline constexpr std::chrono::seconds kFuzzDelay{3};  // what Proof::kDelay makes a server wait

// `marker`: letters and digits that stand nowhere else, so that reflections are found.
std::vector<FuzzPayload> fuzz_payloads(FuzzClass kind, const std::string& marker);
// The caller's own: as they are, looked for as reflections.
std::vector<FuzzPayload> own_payloads(const std::vector<std::string>& texts);

}  // namespace sluice::analysis
