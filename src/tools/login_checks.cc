#include "tools/login_checks.h"

namespace sluice::tools {

Status LoginChecks::set(const std::string& grant, LoginCheck check) {
  if (check.content.size() > kMaxContent)
    return fail(Code::kTooLarge, "The body of a login check has at most 64 KiB: take a smaller request.");
  const std::lock_guard guard(mutex_);
  const auto found = grants_.find(grant);
  if (found == grants_.end() && grants_.size() >= kMaxGrants)
    return fail(Code::kTooLarge, "1000 grants have login checks already: delete some.");
  auto& checks = found == grants_.end() ? grants_[grant] : found->second;
  if (!checks.contains(check.name) && checks.size() >= kMaxOfGrant)
    return fail(Code::kTooLarge, "There are 20 login checks already: delete some.");
  std::string name = check.name;
  checks.insert_or_assign(std::move(name), std::make_shared<const LoginCheck>(std::move(check)));
  return {};
}

bool LoginChecks::erase(const std::string& grant, std::string_view name) {
  const std::lock_guard guard(mutex_);
  const auto found = grants_.find(grant);
  if (found == grants_.end()) return false;
  const auto check = found->second.find(name);
  if (check == found->second.end()) return false;
  found->second.erase(check);
  if (found->second.empty()) grants_.erase(found);
  return true;
}

LoginCheckPtr LoginChecks::find(const std::string& grant, std::string_view name) const {
  const std::lock_guard guard(mutex_);
  const auto found = grants_.find(grant);
  if (found == grants_.end()) return nullptr;
  const auto check = found->second.find(name);
  return check == found->second.end() ? nullptr : check->second;
}

LoginCheckPtr LoginChecks::of_origin(const std::string& grant, std::string_view scheme, std::string_view host,
                                     std::uint16_t port) const {
  for (const LoginCheckPtr& check : of(grant)) {
    const flow::Exchange& exchange = check->exchange;
    if (exchange.scheme == scheme && exchange.host == host && exchange.port == port) return check;
  }
  return nullptr;
}

std::vector<LoginCheckPtr> LoginChecks::of(const std::string& grant) const {
  const std::lock_guard guard(mutex_);
  std::vector<LoginCheckPtr> all;
  const auto found = grants_.find(grant);
  if (found == grants_.end()) return all;
  for (const auto& [name, check] : found->second) all.push_back(check);
  return all;
}

}  // namespace sluice::tools
