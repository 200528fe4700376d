#include "proxy/host_options.h"

#include <algorithm>

#include "base/file.h"
#include "base/secret.h"
#include "base/url.h"
#include "proxy/exchange.h"

namespace sluice::proxy {
namespace {

constexpr std::size_t kMostScopePorts = 17;  // with 0, which stands for all others

// One list of what there is; each line is an option.
template <class Do>
void for_each_option(Do&& act) {
  act("tls", &HostOptions::tls);
  act("record", &HostOptions::record);
  act("verify_upstream", &HostOptions::verify_upstream);
  act("ca_file", &HostOptions::ca_file);
  act("client_cert_file", &HostOptions::client_cert_file);
  act("client_key_file", &HostOptions::client_key_file);
  act("min_tls", &HostOptions::min_tls);
  act("legacy_server", &HostOptions::legacy_server);
  act("alt_svc", &HostOptions::alt_svc);
}

// The patterns that hold for all hosts of this one, from itself to "*".
std::vector<std::string> wider_patterns(const std::string& pattern) {
  std::vector<std::string> all{pattern};
  if (pattern == "*") return all;
  std::string_view rest = pattern;
  if (rest.starts_with("*.")) rest.remove_prefix(2);
  if (!is_ip_literal(rest)) {
    for (std::size_t dot; (dot = rest.find('.')) != std::string_view::npos;) {
      rest.remove_prefix(dot + 1);
      all.push_back("*." + std::string(rest));
    }
  }
  all.emplace_back("*");
  return all;
}

// A name alone before suffixes, longer suffixes before shorter ones, all before "*"; 0 is left for defaults.
std::size_t rank_of(const std::string& pattern) {
  constexpr std::size_t kAlone = 1000;  // no name is that long
  return pattern.starts_with('*') ? pattern.size() : kAlone;
}

Result<Secret> read_file(const std::string& path, FileAccess access, const MockFiles& roots) {
  SystemFileSystem files;
  auto content = access == FileAccess::kRoots ? roots.read(path) : files.load_file(path, tls::kMostPem);
  if (!content) return fail(std::move(content).error());
  Secret secret(*content);
  ::explicit_bzero(content->data(), content->size());
  return secret;
}

}  // namespace

bool HostOptions::empty() const { return *this == HostOptions{}; }

const std::vector<std::string_view>& option_names() {
  static const std::vector<std::string_view> kNames = [] {
    std::vector<std::string_view> names;
    for_each_option([&](std::string_view name, auto) { names.push_back(name); });
    return names;
  }();
  return kNames;
}

HostBook::Treatment HostBook::treatment(std::string_view sni, std::string_view destination) const {
  const HostTerms& to = find(destination);
  const HostTerms& named = sni.empty() ? to : find(sni);
  const bool passes = named.tls_rank == to.tls_rank
                          ? named.tls == TlsTreatment::kPassthrough || to.tls == TlsTreatment::kPassthrough
                          : (named.tls_rank > to.tls_rank ? named : to).tls == TlsTreatment::kPassthrough;
  return {passes ? TlsTreatment::kPassthrough : TlsTreatment::kIntercept, named.tls_rank + to.tls_rank > 0};
}

bool HostBook::records(std::string_view host, std::string_view other) const {
  if (find(host).record) return true;
  return !other.empty() && other != host && !is_ip_literal(other) && find(other).record;
}

HostOptionsStore::HostOptionsStore(std::shared_ptr<tls::ClientContext> context, const MockFiles& roots)
    : context_(std::move(context)), roots_(roots), book_(std::make_shared<const HostBook>()) {}

HostBookPtr HostOptionsStore::book() const {
  const std::lock_guard lock(mutex_);
  return book_;
}

Result<HostEntry> HostOptionsStore::set(std::string_view host, const HostOptions& given,
                                        const std::vector<std::string>& reset, FileAccess access) {
  const std::lock_guard serial(change_);
  Entries changed = entries();
  SLUICE_TRY(HostEntry entry, put(changed, host, given, reset, access));
  publish(std::move(changed));
  return entry;
}

Status HostOptionsStore::start(const std::vector<std::pair<std::string, HostOptions>>& given) {
  const std::lock_guard serial(change_);
  Entries changed = entries();
  for (const auto& [host, options] : given) {
    SLUICE_TRY(const std::string pattern, HostTable::normal_pattern(host));
    const auto known = changed.find(pattern);
    bool twice = false;
    for_each_option([&](std::string_view, auto member) {
      if (known == changed.end()) return;
      const auto& had = known->second.entry.options.*member;
      twice = twice || (had && options.*member && had != options.*member);
    });
    if (twice) return fail(Code::kConflict, "'" + pattern + "' is given twice");
    SLUICE_CHECK(put(changed, host, options, {}, FileAccess::kAny));
  }
  publish(std::move(changed));
  return {};
}

HostOptionsStore::Entries HostOptionsStore::entries() const {
  const std::lock_guard lock(mutex_);
  return entries_;
}

Result<HostEntry> HostOptionsStore::put(Entries& entries, std::string_view host, const HostOptions& given,
                                        const std::vector<std::string>& reset, FileAccess access) const {
  SLUICE_TRY(const std::string pattern, HostTable::normal_pattern(host));
  const auto known = entries.find(pattern);
  Held held = known == entries.end() ? Held{{pattern, {}, {}}, nullptr, nullptr} : known->second;
  held.entry.origin = access == FileAccess::kAny ? HostOrigin::kStart : HostOrigin::kTool;
  HostOptions& options = held.entry.options;
  const auto is_reset = [&](std::string_view name) { return std::ranges::find(reset, name) != reset.end(); };
  for_each_option([&](std::string_view name, auto member) {
    if (is_reset(name)) (options.*member).reset();
  });
  const bool pair_changes = given.client_cert_file || is_reset("client_cert_file");
  if (pair_changes) options.client_key_file.reset();
  for_each_option([&](std::string_view, auto member) {
    if (given.*member) options.*member = given.*member;
  });
  HostOptions read = given;
  if (!pair_changes && is_reset("client_key_file")) read.client_key_file = "";  // the certificate's file has to do
  SLUICE_CHECK(load(held, read, access));
  if (options.empty()) {
    entries.erase(pattern);
    return held.entry;
  }
  if (known == entries.end() && entries.size() >= kMostEntries) {
    return fail(Code::kConflict, "there are options for 10,000 hosts already: remove some");
  }
  HostEntry entry = held.entry;
  entries.insert_or_assign(pattern, std::move(held));
  return entry;
}

// What the files of `given` hold. What it does not name stays as it was read.
Status HostOptionsStore::load(Held& held, const HostOptions& given, FileAccess access) const {
  const HostOptions& options = held.entry.options;
  if (!options.ca_file) held.trust = nullptr;
  if (given.ca_file) {
    SLUICE_TRY(const Secret pem, read_file(*given.ca_file, access, roots_));
    SLUICE_TRY(held.trust, context_->trust_also({*given.ca_file, pem.view()}));
  }
  if (!options.client_cert_file) {
    if (options.client_key_file) return fail(Code::kInvalid, "client_key_file needs client_cert_file beside it");
    held.identity = nullptr;
    return {};
  }
  if (!given.client_cert_file && !given.client_key_file) return {};
  const std::string& certificate_file = *options.client_cert_file;
  const std::string& key_file = options.client_key_file.value_or(certificate_file);
  SLUICE_TRY(const Secret certificate, read_file(certificate_file, access, roots_));
  SLUICE_TRY(const Secret key, read_file(key_file, access, roots_));
  SLUICE_TRY(held.identity, tls::read_client_identity({certificate_file, certificate.view()}, {key_file, key.view()}));
  return {};
}

bool HostOptionsStore::remove(std::string_view host) {
  const auto pattern = HostTable::normal_pattern(host);
  if (!pattern) return false;
  const std::lock_guard serial(change_);
  Entries changed = entries();
  if (changed.erase(*pattern) == 0) return false;
  publish(std::move(changed));
  return true;
}

std::vector<HostEntry> HostOptionsStore::list() const {
  const std::lock_guard lock(mutex_);
  std::vector<HostEntry> list;
  for (const auto& [pattern, held] : entries_) list.push_back(held.entry);
  for (const auto& [port, entries] : scope_) {
    for (const auto& [pattern, held] : entries) {
      if (held.entry.port == port) list.push_back(held.entry);
    }
  }
  return list;
}

HostOptionsStore::Entries HostOptionsStore::with_scope(Entries entries, const Entries& scope) {
  for (const auto& [pattern, held] : scope) {
    HostOptions& options = entries.try_emplace(pattern, held).first->second.entry.options;
    if (!options.record) options.record = held.entry.options.record;
    if (!options.tls) options.tls = held.entry.options.tls;
  }
  return entries;
}

Status HostOptionsStore::set_scope(const std::vector<ScopeLine>& given) {
  if (given.size() > kMostEntries) return fail(Code::kTooLarge, "a scope has at most 10,000 patterns");
  Scope scope = {{0, {}}};
  for (const ScopeLine& line : given) scope[line.port];
  if (scope.size() > kMostScopePorts) return fail(Code::kTooLarge, "a scope names at most 16 ports");
  for (const ScopeLine& line : given) {
    SLUICE_TRY(const std::string pattern, HostTable::normal_pattern(line.host));
    for (auto& [port, entries] : scope) {
      if (line.port != 0 && line.port != port) continue;
      HostEntry& entry =
          entries.try_emplace(pattern, Held{{pattern, {}, HostOrigin::kScope}, nullptr, nullptr}).first->second.entry;
      entry.port = line.port;
      if (line.options.record) entry.options.record = line.options.record;
      if (line.options.tls) entry.options.tls = line.options.tls;
    }
  }
  const std::lock_guard serial(change_);
  Entries unchanged = entries();
  {
    const std::lock_guard lock(mutex_);
    scope_ = std::move(scope);
  }
  publish(std::move(unchanged));
  return {};
}

// All hosts for which one entry is the most specific have the same wider ones, so what holds for them can be decided
// now.
std::shared_ptr<HostBook> HostOptionsStore::make_book(const Entries& entries) {
  auto book = std::make_shared<HostBook>();
  for (const auto& [pattern, held] : entries) {
    HostTerms terms;
    std::vector<std::string> order = wider_patterns(pattern);
    for (auto at = order.rbegin(); at != order.rend(); ++at) {  // what is more specific comes last
      const auto found = entries.find(*at);
      if (found == entries.end()) continue;
      const HostOptions& options = found->second.entry.options;
      if (options.tls) {
        terms.tls = *options.tls;
        terms.tls_rank = rank_of(*at);
      }
      terms.record = options.record.value_or(terms.record);
      if (options.verify_upstream)
        terms.verify = *options.verify_upstream ? tls::Verify::kRequired : tls::Verify::kRecordOnly;
      if (options.ca_file) terms.trust = found->second.trust;
      if (options.client_cert_file) terms.identity = found->second.identity;
      terms.min_tls = options.min_tls.value_or(terms.min_tls);
      terms.legacy_server = options.legacy_server.value_or(terms.legacy_server);
      terms.alt_svc = options.alt_svc.value_or(terms.alt_svc);
    }
    (void)book->hosts_.add(pattern, book->terms_.size());  // it is a normal one, and the only one
    book->terms_.push_back(std::move(terms));
  }
  return book;
}

void HostOptionsStore::publish(Entries entries) {
  const std::shared_ptr<HostBook> book = make_book(with_scope(entries, scope_.at(0)));
  for (const auto& [port, scope] : scope_) {
    if (port != 0) book->ports_.emplace(port, make_book(with_scope(entries, scope)));
  }
  const std::lock_guard lock(mutex_);
  book_ = book;
  entries_ = std::move(entries);
  generation_.fetch_add(1, std::memory_order_release);
}

}  // namespace sluice::proxy
