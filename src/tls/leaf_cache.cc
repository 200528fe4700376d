#include <openssl/x509.h>

#include <chrono>
#include <iterator>
#include <list>

#include "base/text.h"
#include "tls/authority.h"
#include "tls/openssl.h"

namespace sluice::tls {
namespace {

constexpr std::chrono::hours kRenewBefore{24};
// Parsed, a leaf is some 56 small pieces of memory. Where hundreds of them live for minutes among pieces that come and
// go, each keeps pages from being given back.
constexpr std::size_t kReady = 32;

std::string der_of(const Leaf& leaf) {
  unsigned char* octets = nullptr;
  const int size = i2d_X509(leaf.certificate(), &octets);
  if (size <= 0) return {};
  std::string der(reinterpret_cast<const char*>(octets), static_cast<std::size_t>(size));
  OPENSSL_free(octets);
  return der;
}

}  // namespace

struct LeafCache::Entries {
  struct Entry {
    std::string key;
    LeafPtr ready;    // of the kReady used last; the others have
    std::string der;  // their certificate in one piece
    WallTime not_after;
  };
  using Place = std::list<Entry>::iterator;

  void add(std::string key, LeafPtr leaf) {
    const WallTime not_after = leaf->not_after();
    by_use.push_front({std::move(key), std::move(leaf), {}, not_after});
    by_key.emplace(by_use.front().key, by_use.begin());
    pack_one();
  }
  void drop(Place entry) {
    by_key.erase(entry->key);
    by_use.erase(entry);
  }
  // After one more came to those that are ready.
  void pack_one() {
    if (by_use.size() <= kReady) return;
    Entry& entry = *std::next(by_use.begin(), kReady);
    if (entry.ready) entry.der = der_of(*entry.ready);
    entry.ready = nullptr;
  }

  std::list<Entry> by_use;                             // the latest first
  std::unordered_map<std::string_view, Place> by_key;  // views into by_use
};

LeafCache::LeafCache(const CertificateAuthority& authority, const Clock& clock, std::size_t capacity)
    : authority_(authority), clock_(clock), capacity_(capacity), entries_(std::make_unique<Entries>()) {}

LeafCache::~LeafCache() = default;

Result<LeafPtr> LeafCache::find_or_mint(const std::string& host, KeyKind kind) {
  std::string key = (kind == KeyKind::kRsa2048 ? 'r' : 'e') + to_lower(host);
  const WallTime now = clock_.wall();
  if (const auto found = entries_->by_key.find(key); found != entries_->by_key.end()) {
    const auto entry = found->second;
    LeafPtr leaf;
    if (entry->not_after - now > kRenewBefore) {
      leaf = entry->ready ? entry->ready : authority_.reopen(entry->der, kind, entry->not_after);
    }
    if (leaf) {
      entries_->by_use.splice(entries_->by_use.begin(), entries_->by_use, entry);
      if (!entry->ready) {
        entry->ready = leaf;
        entry->der = {};
        entries_->pack_one();
      }
      return leaf;
    }
    entries_->drop(entry);
  }
  SLUICE_TRY(LeafPtr leaf, authority_.mint(host, kind, now));
  entries_->add(std::move(key), leaf);
  if (entries_->by_use.size() > capacity_) entries_->drop(std::prev(entries_->by_use.end()));
  return leaf;
}

}  // namespace sluice::tls
