#include "analysis/domain.h"

#include <idn2.h>

#include <algorithm>
#include <charconv>
#include <memory>
#include <optional>

#include "base/text.h"
#include "base/url.h"

namespace sluice::analysis {
namespace {

constexpr std::size_t kMostText = 1'000;  // octets: longer than any name with its URL

tl::unexpected<Error> no_domain(std::string_view text) {
  return fail(Code::kInvalid, "'" + repair_utf8(text.substr(0, 100)) +
                                  "' is no domain: write example.com, *.example.com, host:8443 or an IP address");
}

std::optional<std::string> ascii_name(const std::string& name) {
  char* made = nullptr;
  if (idn2_to_ascii_8z(name.c_str(), &made, IDN2_NFC_INPUT | IDN2_NONTRANSITIONAL) != IDN2_OK) return std::nullopt;
  const std::unique_ptr<char, void (*)(void*)> owned(made, idn2_free);
  return std::string(made);
}

bool is_ascii(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) < 128; });
}

// Takes ":8443" off; false if what stands there is no port.
bool take_port(std::string_view& text, std::uint16_t& port) {
  const std::size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) return true;
  const bool bracketed = text.starts_with('[');
  if (bracketed && text.find(']') > colon) return true;                     // inside the address
  if (!bracketed && text.find(':') != colon) return is_ipv6_literal(text);  // an address without brackets
  const std::string_view digits = text.substr(colon + 1);
  const auto read = std::from_chars(digits.data(), digits.data() + digits.size(), port);
  text = text.substr(0, colon);
  return read.ec == std::errc() && read.ptr == digits.data() + digits.size() && port != 0;
}

std::string_view bare(std::string_view host) {
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  if (host.ends_with('.')) host.remove_suffix(1);
  return host;
}

}  // namespace

bool Domain::holds(std::string_view other, std::uint16_t other_port) const {
  if (port != 0 && port != other_port) return false;
  other = bare(other);
  if (other.size() == host.size()) return itself && iequals(other, host);
  if (!below || other.size() < host.size() + 2 || is_ip_literal(other)) return false;
  const std::size_t dot = other.size() - host.size() - 1;
  return other[dot] == '.' && iequals(other.substr(dot + 1), host);
}

Result<Domain> parse_domain(std::string_view text) {
  if (text.size() > kMostText) return no_domain(text);
  std::string_view rest = trim(text);
  if (const std::size_t scheme = rest.find("://"); scheme != std::string_view::npos) rest.remove_prefix(scheme + 3);
  rest = rest.substr(0, rest.find_first_of("/?#"));
  Domain domain;
  if (rest.starts_with("*.")) {
    domain.itself = false;
    rest.remove_prefix(2);
  } else if (rest.starts_with('.')) {
    rest.remove_prefix(1);
  }
  if (!take_port(rest, domain.port)) return no_domain(text);
  domain.host = to_lower(bare(rest));
  if (!is_ascii(domain.host)) {
    auto ascii = is_utf8(domain.host) ? ascii_name(domain.host) : std::nullopt;
    if (!ascii) return no_domain(text);
    domain.host = *std::move(ascii);
  }
  if (!is_valid_host(domain.host)) return no_domain(text);
  if (is_ip_literal(domain.host)) {
    if (!domain.itself) return no_domain(text);
    domain.below = false;
  }
  return domain;
}

Result<DomainSet> DomainSet::parse(const std::vector<std::string>& texts) {
  DomainSet set;
  for (const std::string& text : texts) {
    SLUICE_TRY(Domain domain, parse_domain(text));
    set.domains_.push_back(std::move(domain));
  }
  return set;
}

bool DomainSet::holds(std::string_view host, std::uint16_t port) const {
  return domains_.empty() ||
         std::any_of(domains_.begin(), domains_.end(), [&](const Domain& domain) { return domain.holds(host, port); });
}

}  // namespace sluice::analysis
