// The last hand on everything that leaves: masks secrets, repairs UTF-8, keeps to the size limit, and makes the shapes
// that MCP prints. Text and structuredContent come from one value. engine.md 8, gate.md 7.
// Immutable; thread-safe.
#pragma once

#include <string>
#include <string_view>

#include "base/json.h"
#include "base/limits.h"
#include "base/redact.h"
#include "gateway/policy.h"
#include "gateway/registry.h"

namespace sluice::gateway {

class Presenter {
 public:
  Presenter(const Redactor& redactor, const McpLimits& limits) : redactor_(redactor), limits_(limits) {}

  // Null where this caller's call is answered unmasked: `owner`, or show_secrets.
  const Redactor* redactor_for(const Caller& caller, const Json& arguments) const;

  // CallToolResult of a success: `result` is what the tool function returned.
  Json success(const tools::Tool& tool, const Json& arguments, const Redactor* redactor, Json result) const;
  // CallToolResult of a failure: {"status":"error","error":…} as text, isError, no structuredContent.
  Json failure(std::string_view message, const Redactor* redactor) const;
  // The same as the tool's contract has it: of the toolset `mitmproxy` the sentence alone, with the code in _meta.
  Json failure(const tools::Tool& tool, const Error& error, const Redactor* redactor) const;
  // The same with the text as it is: refused arguments, denials.
  Json plain_failure(std::string_view text, const Redactor* redactor) const;
  // {"contents": […]} of resources/read.
  Json resource(const Resource& resource, const Redactor* redactor, Json value) const;

 private:
  std::size_t limit_for(const tools::Tool& tool, const Json& arguments) const;
  Json mitmproxy_success(const tools::Tool& tool, Json answer) const;
  void make_safe(Json& answer, const Redactor* redactor, std::size_t units) const;
  std::string safe_text(std::string_view text, const Redactor* redactor) const;

  const Redactor& redactor_;
  McpLimits limits_;
};

}  // namespace sluice::gateway
