#include "tools/status.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "tools/exchange_json.h"
#include "tools/print_counts.h"

namespace sluice::tools {
namespace {

using Counts = std::map<std::string, std::uint64_t>;

// Clients choose their methods: an answer names the commonest ones only.
constexpr std::size_t kMostNames = 64;

// The `most` commonest; equal counts in order of name, so that the answer is the same each time.
std::vector<std::pair<std::string, std::uint64_t>> commonest(const Counts& counts, std::size_t most) {
  std::vector<std::pair<std::string, std::uint64_t>> sorted(counts.begin(), counts.end());
  std::stable_sort(sorted.begin(), sorted.end(), [](const auto& a, const auto& b) { return a.second > b.second; });
  if (sorted.size() > most) sorted.resize(most);
  return sorted;
}

Json object_of(const Counts& counts) {
  Json object = Json::object();
  for (const auto& [name, count] : commonest(counts, kMostNames)) object[name] = count;
  return object;
}

Json top(const Counts& counts, std::size_t most, const char* name_key) {
  Json array = Json::array();
  for (const auto& [name, count] : commonest(counts, most)) array.push_back({{name_key, name}, {"count", count}});
  return array;
}

}  // namespace

Json persistence_json(const Services& services) {
  const auto active = services.sessions ? services.sessions->active() : std::nullopt;
  Json json = {
      {"enabled", active.has_value()},
      {"sessionId", nullptr},
      {"captureProfile", nullptr},
      {"storageDir", services.sessions_directory},
      {"bytesWritten", 0},
      {"droppedWrites", 0},
      {"lastFlushAt", nullptr},
      {"maxDiskMb", nullptr},
      {"recoveryState", nullptr},
      {"lastError", nullptr},
      {"encrypted", active ? active->encryption.has_value() : services.sessions && services.sessions->encrypts()}};
  if (services.sessions) {
    const session::Store::DiskUse use = services.sessions->disk_use();
    if (use.cap.max_mb > 0) {
      const ByteCount all = use.others + (active ? active->bytes_written : 0);
      json["disk"] = {{"maxMb", use.cap.max_mb},
                      {"usedMb", all / kMiB},
                      {"onCap", session::to_string(use.cap.on_cap)},
                      {"droppedSessions", use.dropped}};
    }
  }
  if (!active) return json;
  json["sessionId"] = active->id;
  json["captureProfile"] = session::to_string(active->profile);
  json["storageDir"] = active->root;
  json["bytesWritten"] = active->bytes_written;
  json["droppedWrites"] = active->dropped_writes;
  if (active->last_flush_ms) json["lastFlushAt"] = *active->last_flush_ms;
  json["maxDiskMb"] = active->max_disk_mb;
  json["recoveryState"] = session::to_string(active->recovery);
  if (active->last_error) json["lastError"] = *active->last_error;
  return json;
}

Json transparent_json(const Services& services) {
  const proxy::EngineStatus::Transparent transparent = services.engine.status().transparent;
  return {{"running", transparent.running},
          {"port", transparent.last_port == 0 ? Json() : Json(transparent.last_port)},
          {"trafficCount", transparent.exchanges}};
}

std::vector<ResultField> transparent_result() {
  return {{"running", "boolean", ""},
          {"port", "number", "the last one; null: never started", false, true},
          {"trafficCount", "number", "since its start"}};
}

Json status_json(const Services& services) {
  const proxy::EngineStatus engine = services.engine.status();
  const std::uint16_t port = engine.listeners.empty() ? engine.last_port : engine.listeners.front().port;
  Json status = Json::object();
  status["running"] = engine.running;
  status["port"] = port == 0 ? Json() : Json(port);
  status["url"] = port == 0 ? Json() : Json(fmt::format("https://localhost:{}", port));
  status["certFingerprint"] = services.authority ? Json(services.authority->spki_sha256_base64()) : Json();
  Json hosts = Json::object();
  status["globalUpstream"] = services.upstreams ? upstreams_json(*services.upstreams->table(), hosts) : Json();
  status["hostUpstreams"] = std::move(hosts);
  status["ruleCount"] = services.rules.list().size();
  status["trafficCount"] = services.ring.size();
  status["transparentProxy"] = transparent_json(services);
  status["persistence"] = persistence_json(services);
  status["learnedPassthrough"] = Json::array();
  for (const proxy::LearnedPassthrough& one : services.engine.learned_passthrough()) {
    status["learnedPassthrough"].push_back({{"host", one.host},
                                            {"clientAddress", one.client_address},
                                            {"ja4", one.client_ja4},
                                            {"until", unix_ms(one.until)}});
  }
  const capture::Counters counters = services.ring.counters();
  status["capture"] = {{"exchanges", counters.exchanges},
                       {"evicted", counters.evicted},
                       {"bodiesCut", counters.bodies_cut},
                       {"bytesCut", counters.bytes_cut},
                       {"recordsLost", counters.records_lost},
                       {"notRecorded", engine.unrecorded},
                       {"spoolBytes", counters.spool_bytes},
                       {"memoryBytes", counters.memory_bytes},
                       {"writeErrors", counters.write_errors},
                       {"lastError", counters.last_error.empty() ? Json() : Json(counters.last_error)}};
  status["connections"] = {{"open", engine.connections}, {"refused", engine.connections_refused}};
  return status;
}

Json traffic_summary(const Services& services) {
  Counts methods, statuses, hosts;
  TlsPrints prints;
  std::uint64_t total = 0, timed = 0;
  double duration = 0;
  services.ring.for_each({}, [&](const flow::Exchange& exchange) {
    ++total;
    ++methods[exchange.method];
    if (exchange.status != 0) ++statuses[std::to_string(exchange.status)];
    ++hosts[exchange.host];
    if (const auto milliseconds = duration_ms(exchange); milliseconds && exchange.status != 0) {
      duration += static_cast<double>(*milliseconds);
      ++timed;
    }
    if (!exchange.connection || !exchange.connection->tls) return true;
    ++prints.exchanges;
    const flow::ClientTls& tls = *exchange.connection->tls;
    prints.ja3.add(tls.ja3, exchange.host);
    prints.ja4.add(tls.ja4, exchange.host);
    return true;
  });
  Json summary = Json::object();
  summary["totalExchanges"] = total;
  summary["methods"] = object_of(methods);
  summary["statuses"] = object_of(statuses);
  summary["topHostnames"] = top(hosts, 10, "host");
  summary["avgDurationMs"] = timed == 0 ? Json() : Json(std::llround(duration / static_cast<double>(timed)));
  constexpr auto kNoHosts = PrintCounts::Hosts::kNone;
  summary["tls"] = {{"exchangesWithTls", prints.exchanges},
                    {"topJa3", prints.ja3.top(5, kNoHosts)},
                    {"topJa4", prints.ja4.top(5, kNoHosts)}};
  return summary;
}

}  // namespace sluice::tools
