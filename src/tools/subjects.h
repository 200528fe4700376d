// The tools by subject: one function for each file of definitions. Private to this folder.
#pragma once

#include <vector>

#include "tools/services.h"
#include "tools/tool.h"

namespace sluice::tools {

std::vector<Tool> lifecycle_tools();
std::vector<Tool> upstream_tools();
std::vector<Tool> rules_tools();
std::vector<Tool> breakpoint_tools();
std::vector<Tool> traffic_tools();
std::vector<Tool> modification_tools();
std::vector<Tool> tls_tools();
std::vector<Tool> host_options_tools();
std::vector<Tool> transparent_tools();
std::vector<Tool> session_tools();
std::vector<Tool> session_query_tools();
std::vector<Tool> session_check_tools();  // checkpoint, integrity, replay_verify
std::vector<Tool> comparison_tools();
std::vector<Tool> socket_tools();
// The toolset `mitmproxy` (mitm.md), in the order of its contract.
std::vector<Tool> mitmproxy_tools();

// A failure that the contract prints with its class in front.
inline tl::unexpected<Error> thrown(Error error) { return fail(error.code, "Error: " + error.message); }

// Typed reading of parsed arguments; absent optional ones are nullopt.
inline std::optional<std::string> text_argument(const Json& arguments, std::string_view name) {
  const Json* value = find_member(arguments, name);
  return value ? std::optional(value->get<std::string>()) : std::nullopt;
}
inline std::optional<std::int64_t> integer_argument(const Json& arguments, std::string_view name) {
  const Json* value = find_member(arguments, name);
  return value ? std::optional(value->get<std::int64_t>()) : std::nullopt;
}
inline std::optional<double> number_argument(const Json& arguments, std::string_view name) {
  const Json* value = find_member(arguments, name);
  return value ? std::optional(value->get<double>()) : std::nullopt;
}
inline bool flag_argument(const Json& arguments, std::string_view name) {
  const Json* value = find_member(arguments, name);
  return value && value->get<bool>();
}

}  // namespace sluice::tools
