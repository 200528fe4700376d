// `sluice sessions list|show|export|import|decrypt|recover|verify`: recordings of this home, with or without a running
// `serve`.
#include <fmt/chrono.h>
#include <fmt/format.h>

#include <cstdio>

#include "app/commands.h"
#include "app/home.h"
#include "app/owner_audit.h"
#include "app/session_files.h"
#include "app/session_store.h"
#include "base/text.h"
#include "gateway/session_roots.h"
#include "tools/session_json.h"

namespace sluice::app {
namespace {

void print(const Json& json) { fmt::print("{}\n", dump_json(json, JsonStyle::kIndented)); }

// Names come from agents: nothing of them moves a terminal's cursor.
std::string printable(const std::string& text) {
  std::string out;
  for (const char c : repair_utf8(text)) out += static_cast<unsigned char>(c) < 0x20 || c == 0x7F ? '?' : c;
  return out;
}

double megabytes(ByteCount bytes) { return static_cast<double>(bytes) / static_cast<double>(kMiB); }

int list(session::Store& store, bool json) {
  const auto page = store.list(0, SIZE_MAX);
  if (!page) return report(page.error());
  for (const std::string& root : page->away) {
    fmt::print(stderr, "sluice: recordings were also made in {}, which cannot be opened now\n", printable(root));
  }
  if (json) {
    const auto answer = tools::list_sessions_json(store);
    if (!answer) return report(answer.error());
    print(*answer);
    return 0;
  }
  if (page->sessions.empty()) fmt::print("No recordings. proxy_session_start makes one (docs/sessions.md).\n");
  for (const session::Manifest& one : page->sessions) {
    fmt::print("{}  {:8}  {:9}  {:>8} exchanges  {:>9.2f} MiB  {}{}\n", one.id, one.active ? "active" : "stopped",
               session::to_string(one.recovery), one.exchanges, megabytes(one.bytes_written),
               one.encryption ? "encrypted  " : "", printable(one.name.value_or("")));
  }
  return 0;
}

int show(session::Store& store, const std::string& id) {
  const auto manifest = store.get(id);
  if (!manifest) return report(manifest.error());
  print(session::manifest_json(*manifest));
  return 0;
}

void print_report(const session::RecoveryReport& report) {
  fmt::print("{}: {} exchanges in {} records of {} segments ({:.2f} MiB)\n", report.id, report.exchanges,
             report.records, report.segments, megabytes(report.bytes));
  if (!report.opened) {
    fmt::print(
        "  it is encrypted: without its key (--sessions-key-file, SLUICE_SESSIONS_KEY) checksums alone were looked "
        "at\n");
  }
  if (report.cut_exchanges > 0) fmt::print("  {} exchanges were cut: their end is not there\n", report.cut_exchanges);
  if (report.rebuilt_manifest) fmt::print("  the manifest was lost and made again\n");
  for (const session::DamagedRange& range : report.damaged) {
    fmt::print("  segment {}: octets {} to {} {}{}\n", range.segment, range.offset, range.offset + range.length,
               range.torn ? "are the rest of a write that never finished" : "are damaged",
               range.reason.empty() ? "" : ": " + range.reason);
  }
  if (report.damaged_ranges > report.damaged.size()) {
    fmt::print("  and {} more\n", report.damaged_ranges - report.damaged.size());
  }
  if (!report.index_agrees) fmt::print("  the index does not agree with the segments: sluice sessions recover\n");
}

// All sessions, or one. Exit code 1 where one could not be looked at, and for `verify` where something is not well.
int look_through(session::Store& store, const Config& config) {
  std::vector<std::string> ids;
  if (!config.subject.empty()) {
    ids.push_back(config.subject);
  } else {
    const auto all = store.list();
    if (!all) return report(all.error());
    for (const session::Manifest& one : *all) {
      if (!one.active) ids.push_back(one.id);
    }
  }
  const bool verify = config.action == "verify";
  int code = 0;
  Json answers = Json::array();
  for (const std::string& id : ids) {
    const auto done = verify ? store.verify(id) : store.recover(id);
    if (!done) {
      code = report(done.error());
      continue;
    }
    if (verify && !done->good()) code = 1;
    if (config.json) {
      answers.push_back(tools::report_json(*done));
      if (verify) answers.back()["indexAgrees"] = done->index_agrees;
    } else {
      print_report(*done);
    }
  }
  if (config.json) print(answers);
  return code;
}

// The tool that does the same.
std::string_view tool_like(const Config& config) {
  if (config.action == "show") return "proxy_get_session";
  if (config.action == "export") return "proxy_export_har";
  if (config.action == "import") return "proxy_import_har";
  if (config.action == "recover") return "proxy_session_recover";
  if (config.action == "verify") return "proxy_session_verify_integrity";
  return "proxy_list_sessions";
}

Json arguments_of(const Config& config) {
  Json arguments = Json::object();
  const bool imports = config.action == "import";
  if (!config.subject.empty()) arguments[imports ? "har_file" : "session_id"] = config.subject;
  if (!config.file.empty()) arguments["output_file"] = config.file;
  if (!config.filter.empty()) arguments["filter"] = config.filter;
  if (!config.exchange.empty()) arguments["exchange_id"] = config.exchange;
  if (config.action == "export") arguments["redact"] = config.redact;
  if (imports && !config.session_name.empty()) arguments["session_name"] = config.session_name;
  return arguments;
}

int run_with(session::Store& store, const Config& config, const Clock& clock, Entropy& entropy) {
  if (config.action == "export") return export_session_file(store, config, entropy);
  if (config.action == "import") return import_session_file(store, config, clock);
  if (config.action == "show") {
    if (config.subject.empty()) return report({Code::kInvalid, "say which: sluice sessions show ID"});
    return show(store, config.subject);
  }
  return config.action == "list" ? list(store, config.json) : look_through(store, config);
}

}  // namespace

int run_sessions(const Config& config) {
  SystemFileSystem files;
  auto key = load_sessions_key(config);
  if (!key) return report(key.error());
  if (config.action == "decrypt") return decrypt_session_file(files, config, *key);
  const auto home = Home::open(files, config.home);
  if (!home) return report(home.error());
  SystemClock clock;
  SystemEntropy entropy;
  gateway::SessionRoots roots(home->state_db());
  const AllowedRoots allowed = tool_roots(*home, {}, "");
  session::Store store(session_deps(*home, clock, entropy, roots, allowed, *std::move(key)));
  auto audit = OwnerAudit::begin(files, clock, entropy, *home, tool_like(config), arguments_of(config));
  if (!audit) return report(audit.error());
  const int code = run_with(store, config, clock, entropy);
  audit->end(code == 0);
  return code;
}

}  // namespace sluice::app
