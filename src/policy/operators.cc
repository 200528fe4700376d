#include "policy/operators.h"

#include <arpa/inet.h>
#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "base/text.h"
#include "base/url.h"
#include "policy/condition.h"

namespace sluice::policy {
namespace {

Address mapped(std::uint32_t address) {
  Address out{};
  out[10] = out[11] = 0xff;
  for (int i = 0; i < 4; ++i) out[12 + i] = static_cast<std::uint8_t>(address >> (24 - 8 * i));
  return out;
}

std::optional<Address> read_ipv6(std::string_view text) {
  if (!is_ipv6_literal(text)) return std::nullopt;
  Address out{};
  if (::inet_pton(AF_INET6, std::string(text).c_str(), out.data()) != 1) return std::nullopt;
  return out;
}

// One part of an IPv4 address as WHATWG URL reads it: 10, 012, 0x0a.
std::optional<std::uint64_t> read_part(std::string_view part) {
  int base = 10;
  if (part.starts_with("0x") || part.starts_with("0X")) {
    base = 16;
    part.remove_prefix(2);
    if (part.empty()) return 0;
  } else if (part.size() > 1 && part.front() == '0') {
    base = 8;
    part.remove_prefix(1);
  }
  std::uint64_t value = 0;
  const auto parsed = std::from_chars(part.data(), part.data() + part.size(), value, base);
  if (parsed.ec != std::errc() || parsed.ptr != part.data() + part.size()) return std::nullopt;
  return value;
}

bool is_numeric_part(std::string_view part) {
  return !part.empty() &&
         (std::all_of(part.begin(), part.end(), [](char c) { return c >= '0' && c <= '9'; }) || read_part(part));
}

// WHATWG URL "IPv4 parser", for names whose last label is a number.
std::optional<Address> read_ipv4(std::string_view name) {
  const std::vector<std::string_view> parts = split(name, '.');
  if (parts.size() > 4) return std::nullopt;
  std::uint64_t address = 0;
  for (std::size_t i = 0; i < parts.size(); ++i) {
    const auto value = parts[i].empty() ? std::nullopt : read_part(parts[i]);
    const bool last = i + 1 == parts.size();
    const unsigned room = last ? 8 * static_cast<unsigned>(5 - parts.size()) : 8;
    if (!value || *value >= (std::uint64_t{1} << room)) return std::nullopt;
    address = last ? address | *value : address | (*value << (24 - 8 * i));
  }
  return mapped(static_cast<std::uint32_t>(address));
}

std::optional<Host> read_name(std::string_view host) {
  if (host.ends_with('.')) host.remove_suffix(1);
  if (!is_valid_host(host)) return std::nullopt;
  const std::size_t dot = host.rfind('.');
  if (is_numeric_part(host.substr(dot == std::string_view::npos ? 0 : dot + 1))) {
    const auto address = read_ipv4(host);
    if (!address) return std::nullopt;
    return Host{"", address};
  }
  return Host{to_lower(host), std::nullopt};
}

// HOST, HOST:PORT, [v6], [v6]:PORT; a bare v6 too.
std::optional<Host> read_authority(std::string_view text) {
  if (const auto bare = read_ipv6(text)) return Host{"", bare};
  std::string_view port;
  std::optional<Host> host;
  if (text.starts_with('[')) {
    const std::size_t close = text.find(']');
    if (close == std::string_view::npos) return std::nullopt;
    const auto address = read_ipv6(text.substr(1, close - 1));
    if (!address) return std::nullopt;
    host = Host{"", address};
    port = text.substr(close + 1);
  } else {
    const std::size_t colon = std::min(text.find(':'), text.size());
    host = read_name(text.substr(0, colon));
    port = text.substr(colon);
  }
  if (port.empty() || port == ":") return host;
  unsigned number = 0;
  const auto parsed = std::from_chars(port.data() + 1, port.data() + port.size(), number);
  const bool whole = port.front() == ':' && parsed.ec == std::errc() && parsed.ptr == port.data() + port.size();
  return whole && number <= 65'535 ? host : std::nullopt;
}

// Segments without "." and empty ones; nullopt: what path_within does not judge.
std::optional<std::vector<std::string>> path_segments(std::string_view text) {
  if (text.empty() || text.front() == '~' ||
      text.find_first_of(std::string_view("%\\\0", 3)) != std::string_view::npos) {
    return std::nullopt;
  }
  std::vector<std::string> out;
  if (text.front() == '/') out.push_back("/");
  for (const std::string_view part : split(text, '/')) {
    if (part == "..") return std::nullopt;
    if (!part.empty() && part != ".") out.emplace_back(part);
  }
  return out;
}

Truth truth(bool value) { return value ? Truth::kTrue : Truth::kFalse; }

}  // namespace

std::optional<Host> read_host(std::string_view text) {
  const auto odd = [](char c) {
    return static_cast<unsigned char>(c) <= ' ' || static_cast<unsigned char>(c) >= 0x7f || c == '\\';
  };
  const std::size_t scheme = text.find("://");
  if (scheme == std::string_view::npos) {
    // "https:example.com" and "//example.com" mean something else to a browser than to us.
    return std::any_of(text.begin(), text.end(), odd) ? std::nullopt : read_authority(text);
  }
  const std::string_view name = text.substr(0, scheme);
  const bool letters = !name.empty() && std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '+' || c == '.' ||
           c == '-';
  });
  const std::string_view rest = text.substr(scheme + 3);
  const std::size_t end = std::min(rest.find_first_of("/?#"), rest.size());
  const std::string_view authority = rest.substr(0, end);
  const std::string_view path = rest.substr(end);
  const auto control = [](char c) { return static_cast<unsigned char>(c) < ' ' || c == 0x7f; };
  if (!letters || authority.find('@') != std::string_view::npos ||
      std::any_of(authority.begin(), authority.end(), odd) || std::any_of(path.begin(), path.end(), control)) {
    return std::nullopt;
  }
  return read_authority(authority);
}

Result<HostSet> HostSet::compile(std::span<const std::string> hosts) {
  HostSet set;
  for (const std::string& text : hosts) {
    const bool below = text.starts_with("*.");
    const auto host = read_host(below ? std::string_view(text).substr(2) : std::string_view(text));
    if (!host || text.find("://") != std::string::npos || (below && host->address) ||
        (!host->address && text.find(':') != std::string::npos)) {
      return fail(Code::kInvalid,
                  "a host is a name, *.name or an address, without scheme and port (names that are not "
                  "ASCII as xn--…)");
    }
    if (host->address) {
      set.addresses_.push_back(*host->address);
    } else if (below) {
      set.suffixes_.push_back("." + host->name);
    } else {
      set.names_.push_back(host->name);
    }
  }
  return set;
}

Truth HostSet::judge(std::string_view text) const {
  const auto host = read_host(text);
  if (!host) return Truth::kMismatch;
  if (host->address) {
    return truth(std::find(addresses_.begin(), addresses_.end(), *host->address) != addresses_.end());
  }
  if (std::find(names_.begin(), names_.end(), host->name) != names_.end()) return Truth::kTrue;
  return truth(std::any_of(suffixes_.begin(), suffixes_.end(), [&](const std::string& suffix) {
    return host->name.size() > suffix.size() && host->name.ends_with(suffix);
  }));
}

Result<AddressSet> AddressSet::compile(std::span<const std::string> blocks) {
  AddressSet set;
  for (const std::string& text : blocks) {
    const std::size_t slash = text.find('/');
    const std::string_view address = std::string_view(text).substr(0, slash);
    const bool v6 = is_ipv6_literal(address);
    Block block;
    if (!is_ip_literal(address)) return fail(Code::kInvalid, "a block is an address with /BITS, such as 10.0.0.0/8");
    block.address = v6 ? *read_ipv6(address) : *read_ipv4(address);
    unsigned bits = v6 ? 128 : 32;
    if (slash != std::string::npos) {
      const std::string_view shown = std::string_view(text).substr(slash + 1);
      const unsigned most = bits;
      const auto parsed = std::from_chars(shown.data(), shown.data() + shown.size(), bits);
      if (parsed.ec != std::errc() || parsed.ptr != shown.data() + shown.size() || bits > most) {
        return fail(Code::kInvalid, fmt::format("/BITS is a number from 0 to {}", most));
      }
    }
    block.bits = v6 ? bits : bits + 96;
    set.blocks_.push_back(block);
  }
  return set;
}

Truth AddressSet::judge(std::string_view text) const {
  const auto host = read_host(text);
  if (!host || !host->address) return Truth::kMismatch;
  return truth(contains(*host->address));
}

bool AddressSet::contains(const Address& address) const {
  return std::any_of(blocks_.begin(), blocks_.end(), [&](const Block& block) {
    const unsigned whole = block.bits / 8, rest = block.bits % 8;
    if (!std::equal(address.begin(), address.begin() + whole, block.address.begin())) return false;
    return rest == 0 || ((address[whole] ^ block.address[whole]) >> (8 - rest)) == 0;
  });
}

Result<PathSet> PathSet::compile(std::span<const std::string> roots) {
  PathSet set;
  for (const std::string& root : roots) {
    auto segments = path_segments(root);
    if (!segments) return fail(Code::kInvalid, "a directory is written without .., ~, %, backslashes and NUL");
    set.roots_.push_back(*std::move(segments));
  }
  return set;
}

Truth PathSet::judge(std::string_view text) const {
  const auto segments = path_segments(text);
  if (!segments) return Truth::kMismatch;
  const auto absolute = [](const std::vector<std::string>& path) { return !path.empty() && path.front() == "/"; };
  return truth(std::any_of(roots_.begin(), roots_.end(), [&](const std::vector<std::string>& root) {
    return absolute(root) == absolute(*segments) && root.size() <= segments->size() &&
           std::equal(root.begin(), root.end(), segments->begin());
  }));
}

}  // namespace sluice::policy
