#include "analysis/codegen.h"

#include <algorithm>
#include <array>

#include "analysis/code_plan.h"

namespace sluice::analysis {
namespace {

constexpr auto kNames = std::to_array<std::string_view>(
    {"curl_cffi", "requests", "aiohttp", "playwright", "curl", "node_fetch", "go", "cpp", "http", "postman"});

}  // namespace

std::optional<CodeTarget> find_code_target(std::string_view name) {
  const auto found = std::find(kNames.begin(), kNames.end(), name);
  if (found == kNames.end()) return std::nullopt;
  return static_cast<CodeTarget>(found - kNames.begin());
}

std::string_view to_string(CodeTarget target) { return kNames[static_cast<std::size_t>(target)]; }

std::string generate_code(CodeTarget target, const std::vector<CodeFlow>& flows, const Redactor* redactor) {
  const Chain chain = target == CodeTarget::kHttpFile ? Chain::kByReference : Chain::kAll;
  const CodePlan plan = plan_code(flows, {.chain = chain, .redactor = redactor});
  switch (target) {
    case CodeTarget::kCurlCffi:
    case CodeTarget::kRequests:
    case CodeTarget::kAiohttp:
    case CodeTarget::kPlaywright:
      return write_python(plan, target);
    case CodeTarget::kCurl:
      return write_curl(plan);
    case CodeTarget::kNodeFetch:
      return write_node(plan);
    case CodeTarget::kGo:
      return write_go(plan);
    case CodeTarget::kCpp:
      return write_cpp(plan);
    case CodeTarget::kHttpFile:
      return write_http_file(plan);
    case CodeTarget::kPostman:
      return write_postman(plan);
  }
  return "";
}

}  // namespace sluice::analysis
