#include "gateway/egress_book.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/url.h"

namespace sluice::gateway {
namespace {

using policy::EgressSet;

constexpr std::size_t kMostCounted = 1'000;  // grants between two looks

policy::Address plain(const net::asio::ip::address& address) {
  const auto v6 =
      address.is_v6() ? address.to_v6() : net::asio::ip::make_address_v6(net::asio::ip::v4_mapped, address.to_v4());
  return v6.to_bytes();
}

}  // namespace

EgressBook::TermsPtr EgressBook::terms_of(const EnginePtr& engine, std::int64_t expires_ms) {
  if (!engine) return nullptr;
  auto terms = std::make_shared<Terms>();
  const policy::Document& document = engine->document();
  if (document.egress) {
    auto set = EgressSet::compile(*document.egress);
    if (!set) return nullptr;
    terms->set = *std::move(set);
  }
  terms->is_monitor = document.mode == policy::Mode::kMonitor;
  terms->expires_ms = expires_ms;
  terms->revision = engine->revision();
  return terms;
}

void EgressBook::set_default(const EnginePtr& engine) {
  const TermsPtr terms = terms_of(engine, 0);
  const std::lock_guard lock(mutex_);
  default_ = terms;
}

void EgressBook::set_grants(const std::vector<Entry>& entries) {
  std::map<std::string, TermsPtr, std::less<>> grants;
  for (const Entry& entry : entries) grants[entry.grant] = terms_of(entry.engine, entry.expires_ms);
  const std::lock_guard lock(mutex_);
  grants_ = std::move(grants);
}

EgressBook::TermsPtr EgressBook::find(std::string_view grant) {
  const std::lock_guard lock(mutex_);
  if (grant == "default") return default_;
  newest_ms_ = std::max(newest_ms_, unix_ms(clock_.wall()));
  const auto found = grants_.find(grant);
  if (found == grants_.end() || !found->second) return nullptr;
  const bool ended = found->second->expires_ms != 0 && newest_ms_ >= found->second->expires_ms;
  return ended ? nullptr : found->second;
}

void EgressBook::count(std::string_view grant, bool observed) {
  const std::lock_guard lock(mutex_);
  const std::pair key(std::string(grant), observed);
  if (!refusals_.contains(key) && refusals_.size() >= kMostCounted) return;
  Refusals& one = refusals_[key];
  if (one.count++ == 0) {
    one.grant = grant;
    one.observed = observed;
    one.since = clock_.wall();
  }
}

std::vector<EgressBook::Refusals> EgressBook::take_refusals() {
  std::vector<Refusals> all;
  const std::lock_guard lock(mutex_);
  for (auto& [key, one] : refusals_) all.push_back(std::move(one));
  refusals_.clear();
  return all;
}

template <class Allows>
Status EgressBook::judge(std::string_view grant, std::string_view name, std::uint16_t port, const Allows& allows) {
  if (grant == "owner") return {};
  const TermsPtr terms = find(grant);
  if (terms && (!terms->set || allows(*terms->set))) return {};
  count(grant, terms && terms->is_monitor);
  if (terms && terms->is_monitor) return {};
  const std::string where = authority_text(name, port, 0);
  if (!terms) {
    return fail(Code::kRefused,
                fmt::format("egress: {} is not reached, since the grant {} has ended or has no policy", where, grant));
  }
  return fail(Code::kRefused,
              fmt::format("egress: {} is not among what the policy lets the grant {} reach", where, grant));
}

Status EgressBook::may_look_up(std::string_view grant, std::string_view name, std::uint16_t port) {
  // What passes only in monitor mode is counted once, when its address is judged.
  if (const TermsPtr terms = find(grant); terms && terms->is_monitor) return {};
  return judge(grant, name, port,
               [&](const EgressSet& set) { return set.judge(name, port) != EgressSet::Answer::kNo; });
}

Status EgressBook::may_name(std::string_view grant, std::string_view name, std::uint16_t port) {
  return judge(grant, name, port,
               [&](const EgressSet& set) { return set.judge(name, port) == EgressSet::Answer::kYes; });
}

Status EgressBook::may_reach(std::string_view grant, std::string_view name, const net::asio::ip::address& address,
                             std::uint16_t port) {
  return judge(grant, name, port, [&](const EgressSet& set) { return set.admits(name, port, plain(address)); });
}

std::uint64_t EgressBook::revision(std::string_view grant) {
  const TermsPtr terms = find(grant);
  return terms ? terms->revision : 0;
}

}  // namespace sluice::gateway
