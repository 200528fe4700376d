#include "gateway/denials.h"

namespace sluice::gateway {
namespace {

constexpr std::uint64_t kLinesOfAMinute = 600;
constexpr std::string_view kShutOut = "/max_denials";

}  // namespace

void Denials::count(Grant& grant, std::string_view rule) {
  if (grant.unwritten++ == 0) grant.since = clock_.wall();
  grant.rule = rule;
}

bool Denials::add(std::string_view grant, std::string_view rule) {
  Grant& one = grants_[std::string(grant)];
  const std::int64_t minute =
      std::chrono::duration_cast<std::chrono::minutes>(clock_.mono().time_since_epoch()).count();
  if (minute != one.minute) {
    one.minute = minute;
    one.lines = 0;
  }
  if (one.lines < kLinesOfAMinute) {
    ++one.lines;
    return true;
  }
  count(one, rule);
  return false;
}

void Denials::shut_out(std::string_view grant, WallTime until) { grants_[std::string(grant)].until = until; }

std::optional<WallTime> Denials::shut_out_until(std::string_view grant) {
  const auto found = grants_.find(grant);
  if (found == grants_.end() || !found->second.until) return std::nullopt;
  if (clock_.wall() >= *found->second.until) {
    found->second.until.reset();
    return std::nullopt;
  }
  count(found->second, kShutOut);
  return found->second.until;
}

void Denials::each_second() {
  write(grants_);
  for (auto& [rule, counted] : tallied_) write(counted);
}

void Denials::write(Counted& counted) {
  for (auto& [name, grant] : counted) {
    if (grant.unwritten == 0) continue;
    audit_.append(AuditLog::SummaryRecord{name, grant.rule, grant.unwritten, grant.since});
    grant.unwritten = 0;
  }
}

}  // namespace sluice::gateway
