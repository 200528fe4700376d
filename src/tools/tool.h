// A tool is one constant beside its function: name, title, summary, group, risk, fields, result fields. From it come
// the input schema and its strict parsing, the output schema, MCP annotations, CLI help, docs/tools.md and the class
// that policies see. A tool function takes parsed arguments and a context and returns a result; it never builds MCP
// envelopes, truncates, masks or logs (DESIGN 4, engine.md 8).
#pragma once

#include <cstdint>
#include <functional>
#include <initializer_list>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/json.h"
#include "base/result.h"

namespace sluice {
class Redactor;  // base/redact.h
}

namespace sluice::tools {

struct Services;  // services.h

enum class Risk { kRead, kWrite, kExecute, kDestructive };
std::string_view to_string(Risk risk);

enum class Toolset { kProxy, kCore, kMitmproxy, kAll };
std::optional<Toolset> find_toolset(std::string_view name);  // "proxy", "core", "mitmproxy", "all"

enum class FieldType {
  kString,
  kNumber,
  kInteger,  // a number on the wire; a fraction is cut off, never refused
  kBoolean,
  kObject,             // `fields`
  kStringArray,        // `choices` hold for each item
  kStringMap,          // {name: string}
  kNullableStringMap,  // {name: string or null}
  kPairs,              // [[string, string], …]
  kObjects,            // array of objects with `fields`
  kAny,                // any JSON, null too
};

struct Field {
  std::string_view name;
  FieldType type = FieldType::kString;
  std::string_view meaning;  // one line
  bool required = false;
  Json default_value = nullptr;            // null: none
  bool default_filled = true;              // false: advertised, but what is absent stays absent
  std::vector<std::string_view> choices;   // enum
  std::vector<Field> fields;               // of an object
  std::optional<double> minimum, maximum;  // clamped, never refused
  bool takes_handles = false;              // secret handles in it are filled in (secret_handles.h); said in its schema
};

// Behind the meaning of a field that does.
inline constexpr std::string_view kTakesHandles = " Takes secret handles.";

// What is answered: enough to make an output schema. `type` uses JSON Schema words.
struct ResultField {
  std::string_view name;
  std::string_view type;  // "string", "number", "boolean", "object", "array", "any"; items: "string[]", "object[]"
  std::string_view meaning;
  bool optional = false;
  bool nullable = false;
  std::vector<ResultField> fields = {};  // of an object or of an array's items
};

// Who calls, how long they wait, and what the call may do besides answering.
struct CallContext {
  std::string grant = "default";  // identity: "default", "owner", …
  std::string credential = {};    // the hash of the token that the caller showed; for what goes on after the call
  std::string server = "sluice";
  std::string session;  // legacy session id or connection; empty for stateless calls
  // Null: answered unmasked. The presenter masks; a tool needs this only where it cuts a window out of a text or says
  // whether a text holds something.
  const Redactor* redactor = nullptr;
  std::stop_token stop;  // cancelled: stop the work
  std::optional<MonoTime> deadline;
  std::function<void(double progress, double total, std::string_view message)> progress;  // may be empty
  Services* services = nullptr;
  bool handles = false;            // the caller's policy has secret handles (secret_handles.h)
  bool* egress_refused = nullptr;  // set where the policy's `egress` refused what the call sent; may be null
  // The entries of tools/list as this caller sees them. Only for tools that are not slow: they run where it may be
  // asked. Empty in tests.
  std::function<Json()> list_tools;
};

// The members beside `status`, in the contract's order. A failure's text goes to the caller as the contract prints it,
// "Error: " included where the contract has it.
using ToolResult = Result<Json>;
using ToolFunction = ToolResult (*)(const Json& arguments, CallContext& context);

enum ToolHints : unsigned {
  kNoHints = 0,
  kReturnsTraffic = 1u << 0,  // gets show_secrets; the presenter masks
  kIncludesBody = 1u << 1,    // an explicit `limit` lifts the answer cap to 1 MiB
  kUncapped = 1u << 2,        // answers up to 1 MiB (proxy_list_rules, proxy_get_ca_cert)
  kCore = 1u << 3,            // part of the toolset `core`
  kIdempotent = 1u << 4,
  kOpenWorld = 1u << 5,  // reaches beyond this machine
  kSlow = 1u << 6,       // may pass 5 ms: runs on the background pool
  // Of the toolset `mitmproxy`: answers as mitm.md has them, prose or indented JSON, without `status`.
  kMitmproxy = 1u << 7,
  kWrapped = 1u << 8,         // the contract's answer is the member `result`: a sentence or an array (engine.md 8)
  kBeyondContract = 1u << 9,  // with kMitmproxy: answers as those do, but is no tool of mitm.md: in `all` alone
  // Secrets in it are masked by the tool, which knows what stands where: a program's text is no data.
  kMasksItself = 1u << 10,
  kById = 1u << 11,  // with kMitmproxy: the answer's members are what it lists, by id; nothing else stands among them
  // Its `offset` skips items of the list that is answered: where that is cut, the answer says where to go on.
  kPagesByItem = 1u << 12,
};

struct Tool {
  std::string_view name;
  std::string_view title;
  std::string_view summary;  // when to use it and what it answers
  std::string_view group;    // "lifecycle", "rules", "traffic", "modification", "tls"
  Risk risk;                 // no default: a tool without one does not compile
  unsigned hints = kNoHints;
  std::vector<Field> fields;
  std::vector<ResultField> result;  // beside `status`
  ToolFunction function = nullptr;
};

// Every tool of this build, in the order of the contract. Built once by app/wiring.
std::vector<Tool> all_tools();
bool belongs_to(const Tool& tool, Toolset toolset);

// Valid in draft-07 and in 2020-12; additionalProperties: false at every depth.
Json input_schema(const Tool& tool);
// Type object; members that the presenter adds (redacted, cut, truncated, …) are allowed.
Json output_schema(const Tool& tool);
// Strict: unknown keys refused with the nearest name at every depth, null = absent, defaults filled in, numbers
// truncated and clamped. The result holds the effective arguments that policies judge. kInvalid with the contract's
// sentence.
Result<Json> parse_arguments(const Tool& tool, const Json& arguments);

// docs/tools.md.
std::string tools_markdown(const std::vector<Tool>& tools);

}  // namespace sluice::tools
