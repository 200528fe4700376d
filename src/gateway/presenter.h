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
#include "gateway/resource.h"
#include "policy/result_filter.h"
#include "tools/tool.h"

namespace sluice::gateway {

class HandleNaming;  // handle_naming.h

class Presenter {
 public:
  Presenter(const Redactor& redactor, const McpLimits& limits) : redactor_(redactor), limits_(limits) {}

  // Null where this caller's call is answered unmasked: `owner`, or show_secrets.
  const Redactor* redactor_for(const Caller& caller, const Json& arguments) const;

  // How a caller's answers are made: masked, and by the rules of his policy.
  struct View {
    const Redactor* redactor = nullptr;             // null: unmasked
    const policy::ResultFilter* results = nullptr;  // null: the policy says nothing of answers
    bool observed = false;                          // monitor mode: nothing is withheld or changed
    std::string* withheld = nullptr;                // gets the rule that withheld, or would have
    HandleNaming* handles = nullptr;                // null: masks stay masks
    View(const Redactor* r) : redactor(r) {}        // NOLINT: as good as a redactor
    View(const Redactor* r, const policy::ResultFilter* f, bool only_look, std::string* rule)
        : redactor(r), results(f), observed(only_look), withheld(rule) {}
  };

  // CallToolResult of a success: `result` is what the tool function returned. Where a rule withholds it, or what is
  // left no longer fits the tool's output schema: isError, text only (gate.md 7).
  Json success(const tools::Tool& tool, const Json& arguments, const View& view, Json result) const;
  // CallToolResult of a failure: {"status":"error","error":…} as text, isError, no structuredContent.
  Json failure(std::string_view message, const View& view) const;
  // The same as the tool's contract has it: of the toolset `mitmproxy` the sentence alone, with the code in _meta.
  Json failure(const tools::Tool& tool, const Error& error, const View& view) const;
  // The same with the text as it is: refused arguments, denials.
  Json plain_failure(std::string_view text, const Redactor* redactor) const;
  // {"contents": […]} of resources/read. kRefused: a rule withholds it.
  Result<Json> resource(const Resource& resource, const View& view, Json value) const;
  // An upstream server's answer: as it came, but for what the policy says of answers (gate.md 7); kRefused: a rule
  // withholds it.
  Result<Json> foreign(const View& view, Json answer) const;
  // The same of a tool's; a denial is a result with isError. `entry`: as the server's list has it, with its output
  // schema; null: nobody knows. What masking left without that shape is isError, text only.
  Json foreign_tool(const View& view, const Json& entry, Json answer) const;
  // What a notice says of a call that runs; empty where a rule withholds it.
  std::string progress(std::string_view message, const View& view) const;

 private:
  std::size_t limit_for(const tools::Tool& tool, const Json& arguments) const;
  // `notes`: what is said beside an answer that has no room for it.
  Json mitmproxy_success(const tools::Tool& tool, Json answer, Json notes) const;
  struct Making {
    std::size_t units = 0;
    std::optional<std::int64_t> offset = {};  // of the answer's list, where the tool pages by its items
    Json* notes = nullptr;                    // not null: by id, and what is said of it goes here
  };
  struct Made {
    std::string denial;     // for the caller, if the answer is withheld
    bool redacted = false;  // by the policy
  };
  static std::optional<std::int64_t> offset_of(const tools::Tool& tool, const Json& answer, const Json& arguments);
  Made make_safe(Json& answer, const View& view, const Json& arguments, const Making& making) const;
  static std::string withhold_foreign(const View& view, const Json& answer);
  static std::string too_long(const View& view, const Json& answer);
  static std::string withhold(const View& view, std::string rule, const std::string& message);
  std::string safe_text(std::string_view text, const Redactor* redactor) const;

  const Redactor& redactor_;
  McpLimits limits_;
};

}  // namespace sluice::gateway
