#include "proxy/host_table.h"

#include <algorithm>

#include "base/text.h"
#include "base/url.h"

namespace sluice::proxy {
namespace {

constexpr std::size_t kMostName = 253;  // RFC 1035 §2.3.4

// As hosts are compared: lower case, no trailing dot, no brackets around an IPv6 address.
std::string normal(std::string_view host) {
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  if (host.ends_with('.')) host.remove_suffix(1);
  return to_lower(host);
}

// Labels of letters, digits, - and _ (RFC 1123 §2.1, and what is found in the wild).
bool is_name(std::string_view name) {
  if (name.empty() || name.size() > kMostName || name.starts_with('.') || name.ends_with('.')) return false;
  if (name.find("..") != std::string_view::npos) return false;
  return std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.';
  });
}

}  // namespace

Result<std::string> HostTable::normal_pattern(std::string_view pattern) {
  if (pattern == "*") return std::string(pattern);
  std::string text = normal(pattern);
  const std::string_view below = std::string_view(text).substr(text.starts_with("*.") ? 2 : 0);
  if (is_name(below) || is_ip_literal(text)) return text;
  return fail(Code::kInvalid, "'" + repair_utf8(pattern.substr(0, kMostName)) + "' is no host name and no *.suffix");
}

Status HostTable::add(std::string_view pattern, std::size_t value) {
  SLUICE_TRY(const std::string text, normal_pattern(pattern));
  bool added = false;
  if (text == "*") {
    added = !any_;
    any_ = any_.value_or(value);
  } else if (text.starts_with("*.")) {
    added = suffixes_.emplace(text.substr(2), value).second;
  } else {
    added = hosts_.emplace(text, value).second;
  }
  if (!added) return fail(Code::kConflict, "'" + std::string(pattern) + "' is given twice");
  return {};
}

std::optional<std::size_t> HostTable::find(std::string_view host) const {
  if (empty()) return std::nullopt;
  const std::string text = normal(host);
  if (const auto found = hosts_.find(text); found != hosts_.end()) return found->second;
  if (!suffixes_.empty() && !is_ip_literal(text)) {
    std::string_view rest = text;
    for (std::size_t dot; (dot = rest.find('.')) != std::string_view::npos;) {
      rest.remove_prefix(dot + 1);
      if (const auto found = suffixes_.find(rest); found != suffixes_.end()) return found->second;
    }
  }
  return any_;
}

}  // namespace sluice::proxy
