// What keeps a looping agent from filling the disk with its denials (gate.md 4): beyond a rate they are counted, one
// audit line a second for each grant. Where a policy says max_denials, a grant that has passed it gets no answers until
// the window ends.
// Control thread only.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "gateway/audit.h"

namespace sluice::gateway {

class Denials {
 public:
  Denials(const Clock& clock, AuditLog& audit) : clock_(clock), audit_(audit) {}

  // One more of this grant. True: it gets a line of its own.
  bool add(std::string_view grant, std::string_view rule);
  // The same without a line of its own: of what no rule was asked about.
  void tally(std::string_view grant, std::string_view rule) {
    count(tallied_[std::string(rule)][std::string(grant)], rule);
  }
  // From now until then nothing of this grant is answered.
  void shut_out(std::string_view grant, WallTime until);
  // Whether that is so now; each time that it is counts as a denial without a line.
  std::optional<WallTime> shut_out_until(std::string_view grant);
  // Writes what was counted: at most one line a grant for denials, and one for each rule that was tallied.
  void each_second();

 private:
  struct Grant {
    std::int64_t minute = 0;  // of the lines of their own
    std::uint64_t lines = 0, unwritten = 0;
    std::string rule;
    WallTime since{};
    std::optional<WallTime> until;
  };
  void count(Grant& grant, std::string_view rule);

  const Clock& clock_;
  AuditLog& audit_;
  using Counted = std::map<std::string, Grant, std::less<>>;  // of a few: tokens are made by people
  void write(Counted& counted);
  Counted grants_;
  std::map<std::string, Counted, std::less<>> tallied_;  // by rule, of which there are a few
};

}  // namespace sluice::gateway
