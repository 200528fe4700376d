// Programs that do captured requests again (analysis.md). Whatever traffic holds stands inside literals of the language
// and nowhere else; secrets come from environment variables; values of earlier answers are taken from them;
// certificates are verified. Header order is kept where the library can. Pure; thread-safe.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "analysis/flow_view.h"
#include "base/redact.h"

namespace sluice::analysis {

enum class CodeTarget : std::uint8_t {
  kCurlCffi,
  kRequests,
  kAiohttp,
  kPlaywright,
  kCurl,
  kNodeFetch,
  kGo,
  kCpp,
  kHttpFile,
  kPostman
};
std::optional<CodeTarget> find_code_target(std::string_view name);
std::string_view to_string(CodeTarget target);  // "curl_cffi", "requests", …

inline constexpr std::size_t kMostCodeSteps = 50;
inline constexpr std::size_t kLeastChained = 8;  // octets of a value that is taken from an earlier answer

struct CodeFlow {
  std::string method, url;  // absolute
  std::vector<NameValue> headers;
  std::string body;
  // Of the answer, decoded; for values that later requests send.
  std::vector<std::string> set_cookies;
  std::vector<NameValue> answer_headers;
  std::string answer;
  bool answer_is_json = false, answer_is_html = false;
  // A login check (analysis.md): the program ends where the answer is another.
  int expected_status = 0;    // 0: any
  std::string expected_text;  // of the body
};

// Oldest first. `redactor`: secrets come from the environment, and what is left of them in literals is masked; null:
// they stay literals.
std::string generate_code(CodeTarget target, const std::vector<CodeFlow>& flows, const Redactor* redactor);

}  // namespace sluice::analysis
