// What holds for a host, in one place: whether its TLS is intercepted, whether it is recorded, and how its origin is
// connected to (engine.md 6). An entry belongs to a pattern (host_table.h) and names some options; each option is
// decided by the most specific pattern that names it, and by the defaults where none does. Entries come from flags and
// config.yaml at the start, and from tools.
//
//   HostOptionsStore store(trust, files);
//   store.set("*.example.com", {.ca_file = "ca.pem"}, {}, FileAccess::kRoots);
//   store.book()->find("api.example.com").trust
//
// A change makes a new book and swaps a pointer: no connection or listener notices; the next request goes by it. What
// cannot be carried out changes nothing. Files are read once, when they are set. Key material is in no answer, no error
// and no route key.
// Thread-safety: a book is immutable; the store locks inside. Workers keep the book and compare generation().
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "proxy/host_table.h"
#include "tls/session.h"

namespace sluice::proxy {

class MockFiles;

enum class TlsTreatment : std::uint8_t { kIntercept, kPassthrough };
enum class AltSvc : std::uint8_t { kStrip, kKeep };

// What an entry names, as it was given.
struct HostOptions {
  std::optional<TlsTreatment> tls;  // by the client's SNI or its destination, whichever is more specific
  std::optional<bool> record;       // by the URL's host; false: no record of any kind, of failures neither
  // Towards the origin, by the name that it must prove.
  std::optional<bool> verify_upstream;
  std::optional<std::string> ca_file;                            // trusted beside the system's store and --upstream-ca
  std::optional<std::string> client_cert_file, client_key_file;  // a pair; one file may be both
  std::optional<tls::Version> min_tls;
  std::optional<bool> legacy_server;  // ClientOptions::legacy
  std::optional<AltSvc> alt_svc;      // by the URL's host

  bool empty() const;
  friend bool operator==(const HostOptions&, const HostOptions&) = default;
};

// All of them decided, for one host.
struct HostTerms {
  TlsTreatment tls = TlsTreatment::kIntercept;
  bool record = true;
  tls::Verify verify = tls::Verify::kRequired;
  tls::MoreTrustPtr trust;          // null: no more than the context's
  tls::ClientIdentityPtr identity;  // null: none
  tls::Version min_tls = tls::Version::k1_2;
  bool legacy_server = false;
  AltSvc alt_svc = AltSvc::kStrip;
  std::size_t tls_rank = 0;  // how specific the pattern is that decided `tls`; 0: a default
};

class HostBook {
 public:
  bool empty() const { return terms_.empty() && ports_.empty(); }
  // What holds on this port: a scope may name some.
  const HostBook& at(std::uint16_t port) const {
    const auto found = ports_.find(port);
    return found == ports_.end() ? *this : *found->second;
  }
  const HostTerms& find(std::string_view host) const {
    const auto found = hosts_.find(host);
    return found ? terms_[*found] : defaults_;
  }
  // Of a connection that two names may mean (either may be empty), the more specific pattern decides; of equal ones
  // pass-through, as a host on the list is meant by either of its names.
  struct Treatment {
    TlsTreatment tls = TlsTreatment::kIntercept;
    bool chosen = false;  // by an entry: what was learned does not matter
  };
  Treatment treatment(std::string_view sni, std::string_view destination) const;
  // Whether what passes is recorded: `host` is what it is for, `other` the name that its connection was made for. Where
  // the two are different names both must say no, so that nobody hides behind a name that is not meant.
  bool records(std::string_view host, std::string_view other) const;

 private:
  friend class HostOptionsStore;
  HostTable hosts_;
  std::vector<HostTerms> terms_;
  HostTerms defaults_;
  std::map<std::uint16_t, std::shared_ptr<const HostBook>> ports_;
};
using HostBookPtr = std::shared_ptr<const HostBook>;

enum class HostOrigin : std::uint8_t { kStart, kTool, kScope };  // who made an entry, or changed it last

struct HostEntry {
  std::string host;  // the pattern, lower case
  HostOptions options;
  HostOrigin origin = HostOrigin::kStart;
  std::uint16_t port = 0;  // of a scope's entry: on this port alone; 0: on all
};

// A line of a scope: `record` and `tls` count. Of the same pattern and port the last one holds; on a port that some
// line names, the lines without a port hold as well.
struct ScopeLine {
  std::string host;
  std::uint16_t port = 0;
  HostOptions options;
};

// Which files an entry may name: any (whoever starts the program), or those beneath the allowed roots (tools).
enum class FileAccess : std::uint8_t { kAny, kRoots };

class HostOptionsStore {
 public:
  static constexpr std::size_t kMostEntries = 10'000;  // some 10 MB with files for each

  // `roots` must outlive the store.
  HostOptionsStore(std::shared_ptr<tls::ClientContext> context, const MockFiles& roots);

  HostBookPtr book() const;  // never null
  // Changes with each new book. Read it before book(): a book read after it is at least that new.
  std::uint64_t generation() const { return generation_.load(std::memory_order_acquire); }

  // Adds what `given` names to the host's entry, after `reset` (names of options, as in option_names()) was taken out.
  // A certificate replaces the key as well: without client_key_file it is in the same file. The entry as it is now; one
  // that names nothing is gone. kInvalid, kNotFound, kRefused, kTooLarge, kIo: one sentence; nothing has changed.
  Result<HostEntry> set(std::string_view host, const HostOptions& given, const std::vector<std::string>& reset,
                        FileAccess access);
  // Entries of the start; all or nothing. The same option of one pattern may not be given twice with different values:
  // kConflict.
  Status start(const std::vector<std::pair<std::string, HostOptions>>& entries);
  bool remove(std::string_view host);  // false: there was none
  // What set_scope says of `record` and `tls`, in place of what it said before: all or nothing. It holds where no entry
  // of the same pattern names the option. kInvalid, kTooLarge.
  Status set_scope(const std::vector<ScopeLine>& scope);
  std::vector<HostEntry> list() const;  // by pattern, those of the scope last

 private:
  struct Held {  // an entry with what was read for it
    HostEntry entry;
    tls::MoreTrustPtr trust;
    tls::ClientIdentityPtr identity;
  };
  using Entries = std::map<std::string, Held, std::less<>>;  // by normal pattern
  Result<HostEntry> put(Entries& entries, std::string_view host, const HostOptions& given,
                        const std::vector<std::string>& reset, FileAccess access) const;
  Status load(Held& held, const HostOptions& given, FileAccess access) const;
  using Scope = std::map<std::uint16_t, Entries>;  // by port; what 0 has, each other one has too
  static std::shared_ptr<HostBook> make_book(const Entries& entries);
  static Entries with_scope(Entries entries, const Entries& scope);
  Entries entries() const;
  void publish(Entries entries);  // change_ held

  const std::shared_ptr<tls::ClientContext> context_;
  const MockFiles& roots_;
  std::mutex change_;         // one change at a time: it may read slow files
  mutable std::mutex mutex_;  // guards what follows; held for moments only
  Entries entries_;
  Scope scope_ = {{0, {}}};
  HostBookPtr book_;
  std::atomic<std::uint64_t> generation_{1};
};

// "tls", "record", … in the order of the tool's fields.
const std::vector<std::string_view>& option_names();

}  // namespace sluice::proxy
