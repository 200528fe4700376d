// Which of several host patterns speaks for a host: a name or an IP literal alone, `*.suffix` for all names below a
// suffix (whole labels; not the suffix itself), `*` for every host. The most specific one wins. Pure; immutable once
// filled.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>

#include "base/result.h"

namespace sluice::proxy {

class HostTable {
 public:
  // kInvalid: no host pattern; kConflict: it was given before. One sentence, with the pattern.
  Status add(std::string_view pattern, std::size_t value);
  // Equal for patterns that mean the same: lower case, no trailing dot, no brackets. kInvalid: no host pattern.
  static Result<std::string> normal_pattern(std::string_view pattern);
  std::optional<std::size_t> find(std::string_view host) const;  // any case; a trailing dot does not matter
  bool empty() const { return hosts_.empty() && suffixes_.empty() && !any_; }

 private:
  struct Hash {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const { return std::hash<std::string_view>()(text); }
  };
  using Map = std::unordered_map<std::string, std::size_t, Hash, std::equal_to<>>;
  Map hosts_, suffixes_;  // suffixes without "*."
  std::optional<std::size_t> any_;
};

}  // namespace sluice::proxy
