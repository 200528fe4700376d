#include <chrono>
#include <list>

#include "base/text.h"
#include "tls/authority.h"
#include "tls/openssl.h"

namespace sluice::tls {
namespace {

constexpr std::chrono::hours kRenewBefore{24};

}  // namespace

struct LeafCache::Entries {
  struct Entry {
    std::string key;
    LeafPtr leaf;
  };
  std::list<Entry> by_use;                                                  // the latest first
  std::unordered_map<std::string_view, std::list<Entry>::iterator> by_key;  // views into by_use
};

LeafCache::LeafCache(const CertificateAuthority& authority, const Clock& clock, std::size_t capacity)
    : authority_(authority), clock_(clock), capacity_(capacity), entries_(std::make_unique<Entries>()) {}

LeafCache::~LeafCache() = default;

Result<LeafPtr> LeafCache::find_or_mint(const std::string& host, KeyKind kind) {
  std::string key = (kind == KeyKind::kRsa2048 ? 'r' : 'e') + to_lower(host);
  const WallTime now = clock_.wall();
  if (const auto found = entries_->by_key.find(key); found != entries_->by_key.end()) {
    const auto entry = found->second;
    if (entry->leaf->not_after() - now > kRenewBefore) {
      entries_->by_use.splice(entries_->by_use.begin(), entries_->by_use, entry);
      return entry->leaf;
    }
    entries_->by_key.erase(found);
    entries_->by_use.erase(entry);
  }
  SLUICE_TRY(LeafPtr leaf, authority_.mint(host, kind, now));
  entries_->by_use.push_front({std::move(key), leaf});
  entries_->by_key.emplace(entries_->by_use.front().key, entries_->by_use.begin());
  if (entries_->by_use.size() > capacity_) {
    entries_->by_key.erase(entries_->by_use.back().key);
    entries_->by_use.pop_back();
  }
  return leaf;
}

}  // namespace sluice::tls
