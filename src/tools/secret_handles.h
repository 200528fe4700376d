// What stands in place of a secret where the policy says `"handles": true` (gate.md 7): `{{secret:<128 random bits>}}`,
// of one grant and one origin. The table holds no secret: a handle leads to the exchange where the value was seen, and
// the value is looked up there when it is filled in, so that it dies with its exchange. Bounded: the handle that was
// given out longest ago goes first, of the same grant where that has its share. Thread-safe.
#pragma once

#include <cstdint>
#include <list>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/entropy.h"
#include "base/siphash.h"
#include "flow/exchange.h"

namespace sluice::tools {

struct Origin {
  std::string scheme, host;
  std::uint16_t port = 0;
  friend bool operator==(const Origin&, const Origin&) = default;
  friend auto operator<=>(const Origin&, const Origin&) = default;
};
Origin origin_of(const flow::Exchange& exchange);

// Where a value was seen.
struct SecretPlace {
  std::string exchange, session;  // ids; session empty: of what was captured last
  std::string mark;               // the digits of its mask
  friend auto operator<=>(const SecretPlace&, const SecretPlace&) = default;
};

class SecretHandles {
 public:
  static constexpr std::size_t kMost = 16'384;  // in all: some 8 MB
  static constexpr std::size_t kMostOfGrant = 4'096;

  explicit SecretHandles(Entropy& entropy);

  // The same handle for the same place as long as it is in the table.
  std::string issue(const std::string& grant, SecretPlace place, const Origin& origin);
  struct Meaning {
    SecretPlace place;
    Origin origin;
  };
  // nullopt: never given out, to another grant, or forgotten; nobody can tell which.
  std::optional<Meaning> find(std::string_view grant, std::string_view handle) const;
  // `text` with what each handle of the grant means in its place, so that two texts that mean the same are the same:
  // for digests. What means nothing stays as it is.
  std::string meant(std::string_view grant, std::string_view text) const;
  std::size_t size() const;

 private:
  struct Entry {
    std::string handle, grant;
    Meaning meaning;
  };
  using Entries = std::list<Entry>;  // given out longest ago first
  using Key = std::pair<std::string, SecretPlace>;
  void drop(Entries::iterator entry);
  // Whose time to find one says nothing of the handles that are there.
  std::uint64_t bucket_of(std::string_view handle) const { return siphash(key_, handle); }

  Entropy& entropy_;
  SipKey key_;
  mutable std::mutex mutex_;
  Entries entries_;
  std::map<Key, Entries::iterator> by_place_;
  std::unordered_multimap<std::uint64_t, Entries::iterator> by_handle_;
  std::map<std::string, std::size_t, std::less<>> of_grant_;
};

// Where handles stand in a text.
struct HandleAt {
  std::size_t at = 0;
  std::string_view handle;
};
std::vector<HandleAt> find_handles(std::string_view text);
inline bool holds_handle(std::string_view text) { return !find_handles(text).empty(); }

}  // namespace sluice::tools
