#include "pac/functions.h"

#include <arpa/inet.h>

#include <algorithm>
#include <charconv>
#include <vector>

#include "base/text.h"
#include "base/url.h"

namespace sluice::pac {
namespace {

constexpr std::size_t kMostAddresses = 64;  // in a list to be sorted

std::string_view text_at(Arguments given, std::size_t index) {
  return index < given.size() ? given[index].text : std::string_view{};
}

// An address in network order; four octets or sixteen.
using Octets = std::vector<unsigned char>;

std::optional<Octets> parse_address(std::string_view text) {
  if (!is_ip_literal(text)) return std::nullopt;
  const bool v6 = text.find(':') != std::string_view::npos;
  Octets octets(v6 ? 16 : 4);
  ::inet_pton(v6 ? AF_INET6 : AF_INET, std::string(text).c_str(), octets.data());
  return octets;
}

bool is_ipv4(std::string_view text) { return is_ip_literal(text) && text.find(':') == std::string_view::npos; }

// A literal is its own address. What is no name is asked of nobody.
std::vector<std::string> addresses_of(Surroundings& around, std::string_view host) {
  if (host.size() > 2 && host.front() == '[' && host.back() == ']') host = host.substr(1, host.size() - 2);
  if (is_ip_literal(host)) return {std::string(host)};
  if (!is_valid_host(host)) return {};
  return around.names.resolve(std::string(host));
}

std::optional<std::string> ipv4_of(Surroundings& around, std::string_view host) {
  for (std::string& address : addresses_of(around, host)) {
    if (is_ipv4(address)) return std::move(address);
  }
  return std::nullopt;
}

std::string joined(const std::vector<std::string>& parts) {
  std::string text;
  for (const std::string& part : parts) text += (text.empty() ? "" : ";") + part;
  return text;
}

// As browsers do: up to four decimal numbers, each taken modulo 256; what is none counts as 0.
std::uint32_t convert(std::string_view dotted) {
  std::uint32_t value = 0;
  const std::vector<std::string_view> parts = split(dotted, '.');
  for (std::size_t i = 0; i < 4; ++i) {
    unsigned long number = 0;
    if (i < parts.size()) {
      const std::string_view part = trim(parts[i]);
      const auto end = part.data() + part.size();
      if (std::from_chars(part.data(), end, number).ptr != end) number = 0;
    }
    value = value << 8 | (static_cast<std::uint32_t>(number) & 0xff);
  }
  return value;
}

Value is_plain_host_name(Surroundings&, Arguments given) {
  return text_at(given, 0).find_first_of(".:") == std::string_view::npos;
}

Value dns_domain_is(Surroundings&, Arguments given) { return text_at(given, 0).ends_with(text_at(given, 1)); }

Value local_host_or_domain_is(Surroundings&, Arguments given) {
  const std::string_view host = text_at(given, 0), name = text_at(given, 1);
  return host == name || (name.starts_with(host) && name.substr(host.size()).starts_with('.'));
}

Value is_resolvable(Surroundings& around, Arguments given) { return ipv4_of(around, text_at(given, 0)).has_value(); }

Value is_in_net(Surroundings& around, Arguments given) {
  if (given.size() < 3) return false;
  const auto address = ipv4_of(around, text_at(given, 0));
  if (!address) return false;
  const std::uint32_t mask = convert(text_at(given, 2));
  return (convert(*address) & mask) == (convert(text_at(given, 1)) & mask);
}

Value dns_resolve(Surroundings& around, Arguments given) {
  auto address = ipv4_of(around, text_at(given, 0));
  if (!address) return {};
  return *std::move(address);
}

Value convert_addr(Surroundings&, Arguments given) {
  return static_cast<double>(static_cast<std::int32_t>(convert(text_at(given, 0))));  // signed, as JavaScript's <<
}

Value my_ip_address(Surroundings& around, Arguments) {
  const std::vector<std::string> mine = around.names.mine();
  const auto first = std::find_if(mine.begin(), mine.end(), [](const std::string& one) { return is_ipv4(one); });
  return first == mine.end() ? std::string("127.0.0.1") : *first;
}

Value dns_domain_levels(Surroundings&, Arguments given) {
  const std::string_view host = text_at(given, 0);
  return static_cast<double>(std::count(host.begin(), host.end(), '.'));
}

Value is_resolvable_ex(Surroundings& around, Arguments given) {
  return !addresses_of(around, text_at(given, 0)).empty();
}

Value dns_resolve_ex(Surroundings& around, Arguments given) { return joined(addresses_of(around, text_at(given, 0))); }

Value my_ip_address_ex(Surroundings& around, Arguments) { return joined(around.names.mine()); }

bool is_within(const Octets& address, const Octets& prefix, std::size_t bits) {
  if (address.size() != prefix.size() || bits > prefix.size() * 8) return false;
  const std::size_t whole = bits / 8, rest = bits % 8;
  if (!std::equal(prefix.begin(), prefix.begin() + static_cast<std::ptrdiff_t>(whole), address.begin())) return false;
  return rest == 0 || (address[whole] ^ prefix[whole]) >> (8 - rest) == 0;
}

// The second is ADDRESS/BITS; of a name any address may lie within.
Value is_in_net_ex(Surroundings& around, Arguments given) {
  const std::string_view prefix = text_at(given, 1);
  const std::size_t slash = prefix.find('/');
  if (slash == std::string_view::npos) return false;
  const auto network = parse_address(prefix.substr(0, slash));
  const std::string_view digits = prefix.substr(slash + 1);
  std::size_t bits = 0;
  const auto end = digits.data() + digits.size();
  if (!network || digits.empty() || std::from_chars(digits.data(), end, bits).ptr != end) return false;
  for (const std::string& one : addresses_of(around, text_at(given, 0))) {
    const auto address = parse_address(one);
    if (address && is_within(*address, *network, bits)) return true;
  }
  return false;
}

// IPv6 first, each family by its number; "" if anything in it is no address.
Value sort_ip_address_list(Surroundings&, Arguments given) {
  std::vector<std::pair<Octets, std::string>> list;
  for (std::string_view part : split(text_at(given, 0), ';')) {
    part = trim(part);
    auto address = parse_address(part);
    if (!address || list.size() == kMostAddresses) return std::string();
    list.emplace_back(*std::move(address), part);
  }
  std::stable_sort(list.begin(), list.end(), [](const auto& a, const auto& b) {
    return a.first.size() != b.first.size() ? a.first.size() > b.first.size() : a.first < b.first;
  });
  std::vector<std::string> sorted;
  for (auto& one : list) sorted.push_back(std::move(one.second));
  return joined(sorted);
}

Value get_client_version(Surroundings&, Arguments) { return std::string("1.0"); }

constexpr Function kFunctions[] = {{"isPlainHostName", is_plain_host_name},
                                   {"dnsDomainIs", dns_domain_is},
                                   {"localHostOrDomainIs", local_host_or_domain_is},
                                   {"isResolvable", is_resolvable},
                                   {"isInNet", is_in_net},
                                   {"dnsResolve", dns_resolve},
                                   {"convert_addr", convert_addr},
                                   {"myIpAddress", my_ip_address},
                                   {"dnsDomainLevels", dns_domain_levels},
                                   {"weekdayRange", weekday_range},
                                   {"dateRange", date_range},
                                   {"timeRange", time_range},
                                   {"isResolvableEx", is_resolvable_ex},
                                   {"isInNetEx", is_in_net_ex},
                                   {"dnsResolveEx", dns_resolve_ex},
                                   {"myIpAddressEx", my_ip_address_ex},
                                   {"sortIpAddressList", sort_ip_address_list},
                                   {"getClientVersion", get_client_version}};

}  // namespace

std::span<const Function> functions() { return kFunctions; }

std::optional<bool> match_shell(std::string_view text, std::string_view pattern, bool literal) {
  const auto is_foreign = [](char c) { return static_cast<unsigned char>(c) >= 0x80 || c == '\n' || c == '\r'; };
  if (!literal &&
      (pattern.find_first_of("\\^$+()[]{}|") != std::string_view::npos ||
       std::any_of(text.begin(), text.end(), is_foreign) || std::any_of(pattern.begin(), pattern.end(), is_foreign))) {
    return std::nullopt;
  }
  // The last star takes one octet more whenever what follows it does not fit.
  std::size_t at = 0, star = std::string_view::npos, resume = 0, p = 0;
  while (at < text.size()) {
    if (p < pattern.size() && pattern[p] == '*') {
      star = p++;
      resume = at;
    } else if (p < pattern.size() && (pattern[p] == '?' || pattern[p] == text[at])) {
      ++p;
      ++at;
    } else if (star != std::string_view::npos) {
      p = star + 1;
      at = ++resume;
    } else {
      return false;
    }
  }
  return pattern.find_first_not_of('*', p) == std::string_view::npos;
}

}  // namespace sluice::pac
