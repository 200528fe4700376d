#include "proxy/passthrough.h"

#include <algorithm>

namespace sluice::proxy {
namespace {

// Room for one more: the entry that `age` calls oldest goes.
template <class Map, class Age>
void make_room(Map& map, std::size_t most, Age age) {
  if (map.size() < most) return;
  map.erase(std::min_element(map.begin(), map.end(), [&](const auto& a, const auto& b) { return age(a) < age(b); }));
}

}  // namespace

bool is_refusal(const tls::HandshakeFailure& failure) {
  if (failure.closed_after_certificate) return true;
  return failure.alert_from_peer && (failure.alert == "bad_certificate" || failure.alert == "certificate_unknown");
}

bool Passthrough::has_learned(const TlsClient& client, const std::string& host, MonoTime now) const {
  if (!learns_) return false;
  const std::lock_guard lock(mutex_);
  const auto found = learned_.find({client, host});
  return found != learned_.end() && now < found->second;
}

void Passthrough::shook_hands(const TlsClient& client, const std::string& host, MonoTime now) {
  if (!learns_) return;
  const std::lock_guard lock(mutex_);
  if (!trusting_.contains(client))
    make_room(trusting_, kMostEntries, [](const auto& entry) { return entry.second.seen; });
  Trust& trust = trusting_[client];
  trust.seen = now;
  if (trust.hosts.empty() || (trust.hosts.size() == 1 && trust.hosts.front() != host)) trust.hosts.push_back(host);
}

void Passthrough::served(const TlsClient& client, const std::string& host) {
  if (!learns_) return;
  const std::lock_guard lock(mutex_);
  refusals_.erase({client, host});
}

bool Passthrough::knows_the_ca(const TlsClient& client, const std::string& host) const {
  const auto found = trusting_.find(client);
  if (found == trusting_.end()) return false;
  const std::vector<std::string>& hosts = found->second.hosts;
  return std::any_of(hosts.begin(), hosts.end(), [&](const std::string& one) { return one != host; });
}

bool Passthrough::refused(const TlsClient& client, const std::string& host, MonoTime now) {
  if (!learns_) return false;
  const std::lock_guard lock(mutex_);
  const Key key{client, host};
  if (!refusals_.contains(key))
    make_room(refusals_, kMostEntries, [](const auto& entry) { return entry.second.back(); });
  std::vector<MonoTime>& times = refusals_[key];
  times.push_back(now);
  std::erase_if(times, [&](MonoTime at) { return now - at > kWindow; });
  if (times.size() > kRefusals) times.erase(times.begin());
  if (times.size() < kRefusals || !knows_the_ca(client, host)) return false;
  refusals_.erase(key);
  make_room(learned_, kMostEntries, [](const auto& entry) { return entry.second; });
  learned_[key] = now + kHolds;
  return true;
}

std::vector<LearnedHost> Passthrough::learned(MonoTime now) const {
  std::vector<LearnedHost> list;
  const std::lock_guard lock(mutex_);
  for (const auto& [key, until] : learned_) {
    if (now < until) list.push_back({key.client, key.host, until});
  }
  return list;
}

std::size_t Passthrough::forget(std::string_view host) {
  const std::lock_guard lock(mutex_);
  std::erase_if(refusals_, [&](const auto& entry) { return entry.first.host == host; });
  return std::erase_if(learned_, [&](const auto& entry) { return entry.first.host == host; });
}

}  // namespace sluice::proxy
