#include "proxy/upstream_table.h"

#include <algorithm>

#include "base/text.h"
#include "base/url.h"

namespace sluice::proxy {
namespace {

constexpr std::size_t kMostOverrides = 10'000;

UpstreamProxyPtr through(const UpstreamEntry& entry, std::string_view host, std::uint16_t port, std::string_view name) {
  if (entry.bypass.matches(host, port) || (!name.empty() && entry.bypass.matches(name, port))) return nullptr;
  return entry.proxy;
}

// "host:3128" means an HTTP proxy, as curl and others take it.
std::string with_scheme(const std::string& variable) {
  return variable.find("://") == variable.npos ? "http://" + variable : variable;
}

}  // namespace

UpstreamProxyPtr UpstreamTable::find(std::string_view scheme, std::string_view host, std::uint16_t port,
                                     std::string_view name) const {
  if (empty()) return nullptr;
  if (name == host) name = {};
  // proxy.md (g): an override's bypass goes directly, not to the global one.
  auto of_host = hosts_.find(host);
  if (!name.empty() && (!of_host || !iequals(overrides_[*of_host].key, host))) {
    if (const auto of_name = hosts_.find(name)) of_host = of_name;
  }
  if (of_host) return through(overrides_[*of_host].entry, host, port, name);
  const std::optional<UpstreamEntry>& general = split_ && scheme == "http" ? plain_ : global_;
  return general ? through(*general, host, port, name) : nullptr;
}

UpstreamTablePtr UpstreamStore::table() const {
  std::lock_guard lock(mutex_);
  return table_;
}

void UpstreamStore::publish(std::shared_ptr<UpstreamTable> next) {
  table_ = std::move(next);
  generation_.fetch_add(1, std::memory_order_release);
}

Result<UpstreamEntry> UpstreamStore::make(const Given& given) {
  UpstreamEntry entry;
  SLUICE_TRY(entry.proxy, UpstreamProxy::parse(given.url, given.what, passwords_, next_id_, given.grant));
  if (given.check) SLUICE_CHECK(given.check(*entry.proxy));
  if (given.no_proxy) {
    SLUICE_TRY(entry.bypass, NoProxy::parse(*given.no_proxy));
    entry.no_proxy = given.no_proxy;
  }
  ++next_id_;
  return entry;
}

Result<UpstreamProxyPtr> UpstreamStore::set_global(const Given& given) {
  std::lock_guard lock(mutex_);
  SLUICE_TRY(UpstreamEntry entry, make(given));
  const UpstreamProxyPtr proxy = entry.proxy;
  auto next = std::make_shared<UpstreamTable>(*table_);
  next->global_ = std::move(entry);
  next->plain_.reset();
  next->split_ = false;
  publish(std::move(next));
  return proxy;
}

void UpstreamStore::clear_global() {
  std::lock_guard lock(mutex_);
  if (!table_->global_ && !table_->plain_) return;
  auto next = std::make_shared<UpstreamTable>(*table_);
  next->global_.reset();
  next->plain_.reset();
  next->split_ = false;
  publish(std::move(next));
}

Result<UpstreamProxyPtr> UpstreamStore::set_host(const std::string& pattern, const Given& given) {
  SLUICE_TRY(std::string key, HostTable::normal_pattern(pattern));
  std::lock_guard lock(mutex_);
  auto next = std::make_shared<UpstreamTable>(*table_);
  auto& list = next->overrides_;
  const auto known = std::find_if(list.begin(), list.end(), [&](const auto& one) { return one.key == key; });
  if (known == list.end()) {
    if (list.size() >= kMostOverrides) return fail(Code::kTooLarge, "there are 10000 host overrides already");
    SLUICE_CHECK(next->hosts_.add(pattern, list.size()));
  }
  SLUICE_TRY(UpstreamEntry entry, make(given));
  const UpstreamProxyPtr proxy = entry.proxy;
  if (known == list.end())
    list.push_back({pattern, std::move(key), std::move(entry)});
  else
    *known = {pattern, std::move(key), std::move(entry)};
  publish(std::move(next));
  return proxy;
}

bool UpstreamStore::remove_host(std::string_view pattern) {
  std::lock_guard lock(mutex_);
  auto next = std::make_shared<UpstreamTable>(*table_);
  const auto wanted = HostTable::normal_pattern(pattern);
  if (!wanted || std::erase_if(next->overrides_, [&](const auto& one) { return one.key == *wanted; }) == 0)
    return false;
  next->hosts_ = HostTable();
  for (std::size_t i = 0; i < next->overrides_.size(); ++i) (void)next->hosts_.add(next->overrides_[i].pattern, i);
  publish(std::move(next));
  return true;
}

Status UpstreamStore::set_environment(const Variables& variables) {
  std::lock_guard lock(mutex_);
  const auto entry_of = [&](const std::string& own, std::string_view name) -> Result<std::optional<UpstreamEntry>> {
    const std::string& value = own.empty() ? variables.all : own;
    if (value.empty()) return std::optional<UpstreamEntry>();
    Given given{with_scheme(value), std::nullopt, "the variable " + std::string(own.empty() ? "all_proxy" : name), {}};
    SLUICE_TRY(UpstreamEntry entry, make(given));
    entry.bypass = NoProxy::parse_variable(variables.no_proxy);
    if (!variables.no_proxy.empty()) {
      auto& list = entry.no_proxy.emplace();
      for (const std::string_view one : split(variables.no_proxy, ',')) {
        if (!trim(one).empty()) list.emplace_back(trim(one));
      }
    }
    return std::optional(std::move(entry));
  };
  auto next = std::make_shared<UpstreamTable>(*table_);
  SLUICE_TRY(next->plain_, entry_of(variables.http, "http_proxy"));
  SLUICE_TRY(next->global_, entry_of(variables.https, "https_proxy"));
  next->split_ = true;
  publish(std::move(next));
  return {};
}

}  // namespace sluice::proxy
