// Session variables put into what a caller gives for a request (analysis.md): `${name}`, or `$` and the longest
// identifier [A-Za-z_][A-Za-z0-9_]*, looked up exactly. One pass: values are never read again. Each value is encoded
// for its place, so that none can add a member, a parameter or a field:
//
//   kText    as it is
//   kJson    inside a string as JSON escapes it; elsewhere a number, true, false or null as it is, or a string
//   kUrl     percent-encoded but for RFC 3986 §2.3's unreserved; none makes a "." or ".." segment (§3.3)
//   kForm    the same, without the latter
//   kHeader  as it is; a value with a control character is refused (RFC 9110 §5.5)
//
// Octets around a token stay. `$$name` and `$${name}` give the literal where `name` is defined; any other `$$` stays.
// Which host a URL leads to is for the caller of this to check afterwards. Pure; thread-safe.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"

namespace sluice::analysis {

inline constexpr std::size_t kMaxVariableName = 64;        // octets
inline constexpr ByteCount kMaxVariableValue = 64 * kKiB;  // a cookie or a token is far shorter
inline constexpr std::size_t kMaxUnresolved = 100;         // names listed

using Variables = std::map<std::string, std::string, std::less<>>;

enum class VariablePlace : std::uint8_t { kText, kJson, kUrl, kForm, kHeader };
// What a caller gives, or what was captured, where `$name` may mean anything: only `${name}` counts.
enum class Given : std::uint8_t { kByCaller, kCaptured };

// Octets of a text in whose place a variable is meant.
struct Stretch {
  std::size_t at = 0, size = 0;
  std::string name;
};

struct SubstituteOptions {
  VariablePlace place = VariablePlace::kText;
  Given given = Given::kByCaller;
  ByteCount most = 16 * kMiB;        // octets of the result
  std::vector<Stretch> stretches{};  // in the order of the text, apart from each other
  bool tokens = true;                // false: only the stretches give way, `$` is a character
};

struct Substituted {
  std::string text;
  std::vector<std::string> used, unresolved;  // names, each once, in the order of the text
};

// kInvalid: a value cannot stand in its place; kTooLarge. One sentence with the variable's name, never its value.
Result<Substituted> substitute(std::string_view text, const Variables& variables, const SubstituteOptions& options);

bool is_variable_name(std::string_view name);

}  // namespace sluice::analysis
