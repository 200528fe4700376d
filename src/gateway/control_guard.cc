#include "gateway/control_guard.h"

#include "base/text.h"
#include "base/url.h"

namespace sluice::gateway {
namespace {

constexpr std::string_view kBearer = "bearer";

bool is_loopback(std::string_view host) {
  return host == "localhost" || host == "::1" || host.ends_with(".localhost") ||
         (host.starts_with("127.") && is_ip_literal(host));
}

// The host of http://host[:port], or nullopt for anything else ("null", other schemes, paths).
std::optional<std::string> origin_host(std::string_view origin) {
  const auto url = parse_url(origin);
  if (!url || (url->scheme != "http" && url->scheme != "https")) return std::nullopt;
  if (url->target != "/" || origin.ends_with('/')) return std::nullopt;
  return url->host;
}

}  // namespace

HttpAnswer text_answer(int status, std::string_view text) {
  return {status, {{"Content-Type", "text/plain; charset=utf-8"}}, std::string(text) + "\n"};
}

ControlGuard::ControlGuard(Options options) : options_(std::move(options)) {
  for (std::string& host : options_.allow_hosts) host = to_lower(host);
}

bool ControlGuard::is_ours(std::string_view host, const std::string& local_address) const {
  if (is_loopback(host) || host == local_address) return true;
  for (const std::string& allowed : options_.allow_hosts) {
    if (host == allowed) return true;
  }
  return false;
}

std::optional<HttpAnswer> ControlGuard::judge(const http::RequestHead& head, const std::string& local_address) const {
  if (!options_.check_host) return std::nullopt;
  if (head.fields.count("host") != 1) return text_answer(400, "One Host field is needed.");
  const auto host = parse_authority(*head.fields.find("host"), 80);
  if (!host || !is_ours(host->host, local_address)) {
    return text_answer(403, "This Host is not served here. Name it with --allow-host.");
  }
  if (!head.target.starts_with('/')) {
    // RFC 9112 §3.2.2: the absolute form overrides Host, so it is judged too.
    const auto url = parse_url(head.target);
    if (!url || !is_ours(url->host, local_address)) return text_answer(403, "This host is not served here.");
  }
  const std::size_t origins = head.fields.count("origin");
  if (origins == 0) return std::nullopt;
  const auto origin = origin_host(*head.fields.find("origin"));
  if (origins > 1 || !origin || !is_ours(*origin, local_address)) {
    return text_answer(403, "Requests from this Origin are not allowed.");
  }
  return std::nullopt;
}

std::optional<std::string_view> bearer_token(const http::RequestHead& head) {
  if (head.fields.count("authorization") != 1) return std::nullopt;
  const std::string_view value = *head.fields.find("authorization");
  const std::size_t blank = value.find(' ');
  if (blank == std::string_view::npos || !iequals(value.substr(0, blank), kBearer)) return std::nullopt;
  return trim(value.substr(blank));
}

HttpAnswer unauthorized() {
  HttpAnswer answer = text_answer(401, "A bearer token is needed: see the file that is named at the start.");
  answer.fields.emplace_back("WWW-Authenticate", "Bearer");
  return answer;
}

HttpAnswer unrecognised(std::string_view unusable) {
  return unusable.empty() ? unauthorized() : text_answer(503, "Who calls cannot be found out now; try again later.");
}

}  // namespace sluice::gateway
