#include "proxy/no_proxy.h"

#include <arpa/inet.h>

#include <algorithm>
#include <charconv>
#include <optional>

#include "base/text.h"
#include "base/url.h"

namespace sluice::proxy {
namespace {

constexpr std::size_t kMostEntries = 1000;
constexpr std::size_t kShown = 64;
constexpr unsigned kMapped = 96;  // bits before an IPv4 address

std::optional<unsigned> number(std::string_view text, unsigned most) {
  unsigned value = 0;
  const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || problem != std::errc() || end != text.data() + text.size() || value > most) return std::nullopt;
  return value;
}

std::string_view without_brackets(std::string_view host) {
  if (host.size() > 2 && host.starts_with('[') && host.ends_with(']')) return host.substr(1, host.size() - 2);
  return host;
}

bool is_below(std::string_view host, std::string_view name) {
  if (!host.ends_with(name)) return false;
  return host.size() == name.size() || host[host.size() - name.size() - 1] == '.';
}

bool in_block(std::string_view address, std::string_view network, unsigned bits) {
  const std::size_t whole = bits / 8;
  if (address.substr(0, whole) != network.substr(0, whole)) return false;
  const unsigned rest = bits % 8;
  if (rest == 0) return true;
  const unsigned mask = 0xff00u >> rest & 0xffu;
  return (static_cast<unsigned char>(address[whole]) & mask) == (static_cast<unsigned char>(network[whole]) & mask);
}

}  // namespace

std::string address_octets(std::string_view literal) {
  const std::string text(literal);
  std::string octets(16, '\0');
  if (is_ipv6_literal(text) && ::inet_pton(AF_INET6, text.c_str(), octets.data()) == 1) return octets;
  octets.replace(10, 2, "\xff\xff");
  if (text.find('\0') == text.npos && ::inet_pton(AF_INET, text.c_str(), octets.data() + 12) == 1) return octets;
  return "";
}

Result<NoProxy::Entry> NoProxy::parse_entry(std::string_view text) {
  const auto bad = [&] {
    return fail(Code::kInvalid, "the no_proxy entry '" + repair_utf8(text.substr(0, kShown)) +
                                    "' is no name, address or CIDR block, with or without a port");
  };
  Entry entry;
  std::string_view host = text;
  // RFC 3986 §3.2.2: several colons without brackets are an address, not a port.
  const std::size_t colon = host.rfind(':');
  const bool bare_ipv6 = host.find(':') != colon && !host.starts_with('[');
  if (colon != host.npos && !bare_ipv6 && host.find(']', colon) == host.npos) {
    const auto port = number(host.substr(colon + 1), 65535);
    if (!port || *port == 0) return bad();
    entry.port = static_cast<std::uint16_t>(*port);
    host = host.substr(0, colon);
  }
  std::string_view plain = without_brackets(host);  // "[fd00::/8]" and "[fd00::]/8" mean the same
  const std::size_t inner = plain.find('/');
  if (inner != plain.npos) {
    const std::string_view network = without_brackets(plain.substr(0, inner));
    entry.kind = Entry::Kind::kBlock;
    entry.name = address_octets(network);
    if (entry.name.empty()) return bad();
    const bool v4 = !is_ipv6_literal(network);
    const auto bits = number(plain.substr(inner + 1), v4 ? 32 : 128);
    if (!bits) return bad();
    entry.bits = *bits + (v4 ? kMapped : 0);
    return entry;
  }
  entry.name = address_octets(plain);
  if (!entry.name.empty()) {
    entry.kind = Entry::Kind::kBlock;
    return entry;
  }
  if (plain == "*") {
    entry.kind = Entry::Kind::kAll;
    return entry;
  }
  if (plain.starts_with("*.")) plain.remove_prefix(1);
  if (plain.starts_with('.')) plain.remove_prefix(1);
  if (plain.ends_with('.')) plain.remove_suffix(1);
  if (!is_valid_host(plain) || host.starts_with('[')) return bad();
  entry.name = to_lower(plain);
  return entry;
}

Result<NoProxy> NoProxy::parse(const std::vector<std::string>& entries) {
  if (entries.size() > kMostEntries) return fail(Code::kTooLarge, "no_proxy has more than 1000 entries");
  NoProxy list;
  for (const std::string& text : entries) {
    const std::string_view trimmed = trim(text);
    if (trimmed.empty()) continue;
    SLUICE_TRY(Entry entry, parse_entry(trimmed));
    list.entries_.push_back(std::move(entry));
  }
  return list;
}

NoProxy NoProxy::parse_variable(std::string_view text) {
  NoProxy list;
  while (!text.empty() && list.entries_.size() < kMostEntries) {
    const std::size_t length = std::min(text.find_first_of(", \t"), text.size());
    if (length > 0) {
      if (auto entry = parse_entry(text.substr(0, length))) list.entries_.push_back(*std::move(entry));
    }
    text.remove_prefix(std::min(length + 1, text.size()));
  }
  return list;
}

bool NoProxy::matches(std::string_view given, std::uint16_t port) const {
  if (entries_.empty()) return false;
  std::string_view host = without_brackets(given);
  const std::string address = address_octets(host);
  if (host.ends_with('.')) host.remove_suffix(1);
  const std::string name = to_lower(host);
  return std::any_of(entries_.begin(), entries_.end(), [&](const Entry& entry) {
    if (entry.port != 0 && entry.port != port) return false;
    switch (entry.kind) {
      case Entry::Kind::kAll:
        return true;
      case Entry::Kind::kName:
        return address.empty() && is_below(name, entry.name);
      case Entry::Kind::kBlock:
        return !address.empty() && in_block(address, entry.name, entry.bits);
    }
    return false;
  });
}

}  // namespace sluice::proxy
