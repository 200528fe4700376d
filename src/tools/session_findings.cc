#include "tools/session_findings.h"

#include <algorithm>

#include "analysis/body.h"
#include "base/text.h"

namespace sluice::tools {
namespace {

constexpr std::size_t kMostListed = 10, kMostKeys = 100'000, kMostNotes = 1'000;
constexpr std::int64_t kAtOnceMs = 2'000;  // the same request so soon again is a duplicate
constexpr std::int64_t kBurstMs = 10'000;  // an error so long after the one before is another burst
constexpr std::uint64_t kLeastBurst = 5;
constexpr ByteCount kLarge = 256 * kKiB;  // an answer, on average
constexpr std::uint64_t kSlowMs = 1'000;

std::string without_query(std::string_view url) { return std::string(url.substr(0, url.find_first_of("?#"))); }

// Those of `all` with the greatest value, as `make` says it; `value` 0 does not count.
template <class Map, class Value, class Make>
Json most(const Map& all, Value value, Make make) {
  std::vector<const typename Map::value_type*> chosen;
  for (const auto& one : all) {
    if (value(one.second) > 0) chosen.push_back(&one);
  }
  std::sort(chosen.begin(), chosen.end(), [&](const auto* a, const auto* b) {
    const auto left = value(a->second), right = value(b->second);
    return left != right ? left > right : a->first < b->first;
  });
  Json list = Json::array();
  for (std::size_t i = 0; i < std::min(chosen.size(), kMostListed); ++i) {
    list.push_back(make(chosen[i]->first, chosen[i]->second));
  }
  return list;
}

Json first_of(const std::map<std::string, Json>& notes) {
  Json list = Json::array();
  for (const auto& [key, note] : notes) {
    if (list.size() < kMostListed) list.push_back(note);
  }
  return list;
}

void note(std::map<std::string, Json>& notes, const std::string& key, Json what) {
  if (notes.size() < kMostNotes) notes.try_emplace(key, std::move(what));
}

bool has_attribute(std::string_view cookie, std::string_view name) {
  for (std::size_t at = cookie.find(';'); at != cookie.npos; at = cookie.find(';', at + 1)) {
    std::string_view part = cookie.substr(at + 1, cookie.find(';', at + 1) - at - 1);
    if (iequals(trim(part.substr(0, part.find('='))), name)) return true;
  }
  return false;
}

}  // namespace

void MoreFindings::take(const session::Row& row) {
  const std::string endpoint = row.method + " " + without_query(row.url);
  if (endpoints_.size() < kMostKeys || endpoints_.contains(endpoint)) {
    Endpoint& one = endpoints_[endpoint];
    ++one.count;
    one.octets += row.response.size;
    if (row.duration_ms) {
      ++one.timed;
      one.duration += static_cast<std::uint64_t>(std::max<std::int64_t>(*row.duration_ms, 0));
    }
  }
  const std::string same = row.method + " " + row.url;
  if (duplicates_.size() < kMostKeys || duplicates_.contains(same)) {
    const auto [at, is_new] = duplicates_.try_emplace(same);
    if (!is_new && row.timestamp_ms - at->second.last_ms <= kAtOnceMs) ++at->second.count;
    at->second.last_ms = row.timestamp_ms;
  }
  if (row.status >= 400) take_error(row);
  if (row.has_response && heads_ < kMostHeads) take_heads(row);
}

void MoreFindings::take_error(const session::Row& row) {
  if (bursts_.size() >= kMostKeys && !bursts_.contains(row.host)) return;
  Burst& burst = bursts_[row.host];
  if (burst.errors > 0 && row.timestamp_ms - burst.end_ms > kBurstMs) {
    if (burst.errors >= kLeastBurst && ended_bursts_.size() < kMostNotes) ended_bursts_.push_back(burst);
    burst = {};
  }
  if (burst.errors++ == 0) {
    burst.host = row.host;
    burst.begin_ms = row.timestamp_ms;
  }
  burst.end_ms = row.timestamp_ms;
}

void MoreFindings::take_heads(const session::Row& row) {
  const auto exchange = reader_.exchange(row);
  if (!exchange) return;
  ++heads_;
  const http::FieldList fields = flow::parse_fields(analysis::shown_head(*exchange, flow::Direction::kResponse));
  take_cookies(row, fields);
  if (row.content_type == "text/html" && row.status < 400) take_page(row, fields);
  if (!row.url.starts_with("http://")) return;
  const http::FieldList asked = flow::parse_fields(exchange->request.head);
  const auto page = asked.find("referer");
  if (!page || !page->starts_with("https://")) return;
  const auto shown = [&](const std::string& url) { return redactor_ ? redactor_->mask_url(url).text : url; };
  note(mixed_, without_query(row.url),
       {{"url", shown(row.url)}, {"page", shown(std::string(*page))}, {"exchangeId", row.id}});
}

// What RFC 6265bis asks of cookies that scripts and other sites should not have.
void MoreFindings::take_cookies(const session::Row& row, const http::FieldList& fields) {
  for (std::size_t i = 0; i < fields.size(); ++i) {
    if (!fields.is_named(i, "set-cookie")) continue;
    const std::string_view value = fields.value(i);
    const std::string name(trim(value.substr(0, value.find('='))));
    Json missing = Json::array();
    if (!has_attribute(value, "secure")) missing.push_back("Secure");
    if (!has_attribute(value, "httponly")) missing.push_back("HttpOnly");
    if (!has_attribute(value, "samesite")) missing.push_back("SameSite");
    if (missing.empty()) continue;
    note(cookies_, row.host + " " + name,
         {{"hostname", row.host}, {"name", name}, {"missing", std::move(missing)}, {"exchangeId", row.id}});
  }
}

void MoreFindings::take_page(const session::Row& row, const http::FieldList& fields) {
  Json missing = Json::array();
  const std::string policy = to_lower(fields.joined("content-security-policy").value_or(""));
  if (row.url.starts_with("https:") && !fields.find("strict-transport-security")) {
    missing.push_back("Strict-Transport-Security");
  }
  if (policy.empty()) missing.push_back("Content-Security-Policy");
  if (!fields.find("x-content-type-options")) missing.push_back("X-Content-Type-Options");
  if (!fields.find("x-frame-options") && policy.find("frame-ancestors") == policy.npos) {
    missing.push_back("X-Frame-Options");
  }
  if (!fields.find("referrer-policy")) missing.push_back("Referrer-Policy");
  if (missing.empty()) return;
  note(pages_, row.host, {{"hostname", row.host}, {"missing", std::move(missing)}, {"exchangeId", row.id}});
}

void MoreFindings::add_to(Json& findings) const {
  findings["duplicates"] = most(
      duplicates_, [](const Duplicate& one) { return one.count; },
      [&](const std::string& key, const Duplicate& one) {
        const std::size_t blank = key.find(' ');
        const std::string url = key.substr(blank + 1);
        return Json{{"method", key.substr(0, blank)},
                    {"url", redactor_ ? redactor_->mask_url(url).text : url},
                    {"repeated", one.count}};
      });
  std::vector<Burst> bursts = ended_bursts_;
  for (const auto& [host, burst] : bursts_) {
    if (burst.errors >= kLeastBurst) bursts.push_back(burst);
  }
  std::sort(bursts.begin(), bursts.end(), [](const Burst& a, const Burst& b) {
    return a.errors != b.errors ? a.errors > b.errors : std::tie(a.begin_ms, a.host) < std::tie(b.begin_ms, b.host);
  });
  Json list = Json::array();
  for (std::size_t i = 0; i < std::min(bursts.size(), kMostListed); ++i) {
    list.push_back({{"hostname", bursts[i].host},
                    {"start", bursts[i].begin_ms},
                    {"end", bursts[i].end_ms},
                    {"errors", bursts[i].errors}});
  }
  findings["errorBursts"] = std::move(list);
  const auto shown = [&](const std::string& endpoint) {
    const std::size_t url = endpoint.find(' ') + 1;
    return redactor_ ? endpoint.substr(0, url) + redactor_->mask_url(endpoint.substr(url)).text : endpoint;
  };
  const auto size = [](const Endpoint& one) { return one.octets / one.count; };
  const auto time = [](const Endpoint& one) { return one.timed == 0 ? 0 : one.duration / one.timed; };
  findings["largeEndpoints"] = most(
      endpoints_, [&](const Endpoint& one) { return size(one) >= kLarge ? size(one) : 0; },
      [&](const std::string& endpoint, const Endpoint& one) {
        return Json{{"endpoint", shown(endpoint)}, {"count", one.count}, {"averageBytes", size(one)}};
      });
  findings["slowEndpoints"] = most(
      endpoints_, [&](const Endpoint& one) { return time(one) >= kSlowMs ? time(one) : 0; },
      [&](const std::string& endpoint, const Endpoint& one) {
        return Json{{"endpoint", shown(endpoint)}, {"count", one.count}, {"averageMs", time(one)}};
      });
  findings["missingSecurityHeaders"] = first_of(pages_);
  findings["mixedContent"] = first_of(mixed_);
  findings["cookiesWithoutFlags"] = first_of(cookies_);
  findings["headsLookedAt"] = heads_;
}

}  // namespace sluice::tools
