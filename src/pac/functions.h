// The functions that proxy scripts may call besides JavaScript's own: Netscape's, as browsers have them today, and
// Microsoft's for IPv6 ("Ex"). Plain functions on values; script.cc binds them. alert() and shExpMatch()'s rare cases
// are script.cc's. A wrong argument never throws: it gives false, null or "", as the function's kind is.
// Pure but for what Names and Clock tell.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>

#include "base/clock.h"
#include "pac/names.h"

namespace sluice::pac {

// What a script gave. `text` is its string form, whatever the kind; valid during the call.
struct Argument {
  std::optional<double> number;  // if it is a number
  std::string_view text;
};
using Arguments = std::span<const Argument>;
using Value = std::variant<std::monostate, bool, double, std::string>;  // monostate: null

struct Surroundings {
  Names& names;
  const Clock& clock;
};

struct Function {
  const char* name;
  Value (*call)(Surroundings&, Arguments);
};
std::span<const Function> functions();

// shExpMatch as browsers have it is a regular expression in disguise: '.' is escaped, '*' and '?' are translated, all
// else means what it means there. nullopt: this pattern (or text) needs that; `literal` takes all else as it stands.
std::optional<bool> match_shell(std::string_view text, std::string_view pattern, bool literal = false);

// --- times.cc ---
Value weekday_range(Surroundings& around, Arguments given);
Value date_range(Surroundings& around, Arguments given);
Value time_range(Surroundings& around, Arguments given);

}  // namespace sluice::pac
