// Which upstream proxy leads to which host: one for all, overrides for hosts, and who is reached directly in spite of
// them. An immutable table, swapped as a whole: a change concerns the requests that follow and touches no connection
// that is open. proxy.md (b) and (g), docs/upstream.md.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "proxy/host_table.h"
#include "proxy/no_proxy.h"
#include "proxy/upstream_proxy.h"

namespace sluice::proxy {

// One proxy with its exceptions.
struct UpstreamEntry {
  UpstreamProxyPtr proxy;
  NoProxy bypass;
  std::optional<std::vector<std::string>> no_proxy;  // as it was given; nullopt: it was not
};

class UpstreamTable {
 public:
  struct Override {
    std::string pattern;  // a name, *.suffix or *, as it was given
    std::string key;      // ... as HostTable compares it
    UpstreamEntry entry;
  };

  // Null: directly. `scheme`: of the URL ("http", "https"), or anything else for raw octets. `host` is what would be
  // dialled; `name`, where that is an address only, whom the client takes it for.
  UpstreamProxyPtr find(std::string_view scheme, std::string_view host, std::uint16_t port,
                        std::string_view name = {}) const;
  bool empty() const { return !global_ && !plain_ && overrides_.empty(); }

  const std::optional<UpstreamEntry>& global() const { return global_; }
  // For http:// alone, where the environment says so; nullopt: global() is for all.
  const std::optional<UpstreamEntry>& plain() const { return plain_; }
  bool is_split() const { return split_; }
  const std::vector<Override>& overrides() const { return overrides_; }

 private:
  friend class UpstreamStore;
  std::optional<UpstreamEntry> global_, plain_;
  bool split_ = false;
  std::vector<Override> overrides_;  // in the order in which they were given
  HostTable hosts_;                  // into overrides_
};
using UpstreamTablePtr = std::shared_ptr<const UpstreamTable>;

// The present table and its changes: any thread. A change that fails changes nothing.
class UpstreamStore {
 public:
  UpstreamTablePtr table() const;
  // Grows with each change; a look without a lock.
  std::uint64_t generation() const { return generation_.load(std::memory_order_acquire); }

  // Before anything else: app/wiring.
  void set_passwords(KeptPasswords passwords) { passwords_ = std::move(passwords); }

  struct Given {
    std::string url;
    std::optional<std::vector<std::string>> no_proxy;
    std::string what = "proxy_url";  // in errors
    // Asked before the change: kRefused where the proxy would be Sluice itself.
    std::function<Status(const UpstreamProxy&)> check = {};
    std::string grant = {};  // who sets it; empty: whoever runs Sluice
  };
  // What is then in force. kInvalid, kRefused, kTooLarge: one sentence without secrets.
  Result<UpstreamProxyPtr> set_global(const Given& given);
  Result<UpstreamProxyPtr> set_host(const std::string& pattern, const Given& given);
  void clear_global();
  bool remove_host(std::string_view pattern);  // false: there was none

  // http_proxy, https_proxy, all_proxy and no_proxy as they stand there; empty: not set.
  struct Variables {
    std::string http, https, all, no_proxy;
  };
  Status set_environment(const Variables& variables);

 private:
  Result<UpstreamEntry> make(const Given& given);
  void publish(std::shared_ptr<UpstreamTable> next);

  mutable std::mutex mutex_;
  UpstreamTablePtr table_ = std::make_shared<const UpstreamTable>();
  std::atomic<std::uint64_t> generation_{1};
  std::uint64_t next_id_ = 1;
  KeptPasswords passwords_;
};

}  // namespace sluice::proxy
