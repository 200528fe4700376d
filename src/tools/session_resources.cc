#include "tools/session_resources.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <map>
#include <unordered_map>

#include "tools/session_findings.h"

namespace sluice::tools {
namespace {

constexpr std::int64_t kBucketMs = 60'000;
constexpr std::size_t kMostListed = 10;
constexpr std::size_t kMostKeys = 100'000;  // hosts or endpoints that are counted; later ones are not

Result<std::unique_ptr<session::Reader>> open(const Services& services, const std::string& id) {
  if (!services.sessions) return fail(Code::kUnavailable, "There are no recordings here.");
  return services.sessions->open(id);
}

Status each(const session::Reader& reader, const std::function<void(const session::Row&)>& visit) {
  session::Query all;
  all.ascending = true;
  return reader.visit(all, 0, UINT64_MAX, [&](const session::Row& row) {
    visit(row);
    return true;
  });
}

// Exchanges without a response are none (proxy.md d).
bool is_error(const session::Row& row) { return row.status >= 400; }

struct Count {
  std::uint64_t total = 0, errors = 0;
};
using Counts = std::unordered_map<std::string, Count>;

Count* count_of(Counts& counts, const std::string& key) {
  const auto found = counts.find(key);
  if (found != counts.end()) return &found->second;
  return counts.size() < kMostKeys ? &counts[key] : nullptr;
}

// The ten with most of `value`, in that order.
template <class Value>
std::vector<std::pair<std::string, Count>> most(const Counts& counts, Value value) {
  std::vector<std::pair<std::string, Count>> all;
  for (const auto& one : counts) {
    if (value(one.second) > 0) all.push_back(one);
  }
  std::sort(all.begin(), all.end(), [&](const auto& a, const auto& b) {
    return value(a.second) != value(b.second) ? value(a.second) > value(b.second) : a.first < b.first;
  });
  if (all.size() > kMostListed) all.resize(kMostListed);
  return all;
}

std::string endpoint_of(const session::Row& row, const Redactor* redactor) {
  const std::string url = redactor ? redactor->mask_url(row.url).text : row.url;
  const std::size_t scheme = url.find("://");
  return scheme == url.npos ? url : url.substr(scheme + 3);
}

// The slowest so far, slowest first.
class Slowest {
 public:
  void take(const session::Row& row) {
    if (!row.duration_ms) return;
    if (rows_.size() == kMostListed && *rows_.back().duration_ms >= *row.duration_ms) return;
    const auto at = std::upper_bound(rows_.begin(), rows_.end(), row,
                                     [](const auto& a, const auto& b) { return *a.duration_ms > *b.duration_ms; });
    rows_.insert(at, row);
    if (rows_.size() > kMostListed) rows_.pop_back();
  }
  Json json() const {
    Json list = Json::array();
    for (const session::Row& row : rows_) {
      list.push_back({{"exchangeId", row.id}, {"duration", *row.duration_ms}, {"url", row.url}});
    }
    return list;
  }

 private:
  std::vector<session::Row> rows_;
};

}  // namespace

Result<Json> session_summary(const Services& services, const std::string& id) {
  SLUICE_TRY(const auto reader, open(services, id));
  std::uint64_t exchanges = 0, timed = 0;
  double duration = 0;
  Counts hosts;
  std::map<std::string, std::uint64_t> statuses, methods;
  SLUICE_CHECK(each(*reader, [&](const session::Row& row) {
    ++exchanges;
    if (row.duration_ms) {
      ++timed;
      duration += static_cast<double>(*row.duration_ms);
    }
    if (Count* count = count_of(hosts, row.host)) ++count->total;
    if (row.status != 0) ++statuses[std::to_string(row.status)];
    if (methods.size() < kMostListed * 10 || methods.contains(row.method)) ++methods[row.method];
  }));
  Json top = Json::array();
  for (const auto& [host, count] : most(hosts, [](const Count& one) { return one.total; })) {
    top.push_back({{"hostname", host}, {"count", count.total}});
  }
  return Json{{"manifest", session::manifest_json(reader->manifest())},
              {"totals",
               {{"exchanges", exchanges},
                {"avgDurationMs", timed == 0 ? Json() : Json(std::llround(duration / static_cast<double>(timed)))},
                {"topHostnames", std::move(top)},
                {"statuses", statuses},
                {"methods", methods}}}};
}

Result<Json> session_timeline(const Services& services, const std::string& id) {
  SLUICE_TRY(const auto reader, open(services, id));
  std::map<std::int64_t, Count> buckets;
  SLUICE_CHECK(each(*reader, [&](const session::Row& row) {
    const std::int64_t start = row.timestamp_ms / kBucketMs * kBucketMs;
    if (buckets.size() >= kMostKeys && !buckets.contains(start)) return;
    Count& count = buckets[start];
    ++count.total;
    if (is_error(row)) ++count.errors;
  }));
  Json timeline = Json::array();
  for (const auto& [start, count] : buckets) {
    timeline.push_back({{"bucketStart", start}, {"count", count.total}, {"errorCount", count.errors}});
  }
  return Json{{"sessionId", id}, {"bucketMs", kBucketMs}, {"timeline", std::move(timeline)}};
}

Result<Json> session_findings(const Services& services, const std::string& id) {
  SLUICE_TRY(const auto reader, open(services, id));
  Counts hosts, endpoints;
  Slowest slowest;
  MoreFindings more(*reader, services.redactor);
  SLUICE_CHECK(each(*reader, [&](const session::Row& row) {
    slowest.take(row);
    more.take(row);
    Count* const host = count_of(hosts, row.host);
    if (host) ++host->total;
    if (!is_error(row)) return;
    if (host) ++host->errors;
    if (Count* endpoint = count_of(endpoints, endpoint_of(row, services.redactor))) ++endpoint->errors;
  }));
  Json errors = Json::array(), rates = Json::array();
  for (const auto& [endpoint, count] : most(endpoints, [](const Count& one) { return one.errors; })) {
    errors.push_back({{"endpoint", endpoint}, {"errors", count.errors}});
  }
  const auto rate = [](const Count& one) { return static_cast<double>(one.errors) / static_cast<double>(one.total); };
  for (const auto& [host, count] : most(hosts, rate)) {
    rates.push_back({{"hostname", host}, {"total", count.total}, {"errors", count.errors}, {"errorRate", rate(count)}});
  }
  Json findings = {{"highErrorEndpoints", std::move(errors)},
                   {"slowestExchanges", slowest.json()},
                   {"hostErrorRates", std::move(rates)}};
  more.add_to(findings);
  return Json{{"sessionId", id}, {"findings", std::move(findings)}};
}

Result<std::vector<NamedSession>> named_sessions(const Services& services) {
  std::vector<NamedSession> named;
  if (!services.sessions) return named;
  SLUICE_TRY(const auto all, services.sessions->list());
  for (const session::Manifest& one : all) named.push_back({one.id, one.name.value_or("")});
  return named;
}

}  // namespace sluice::tools
