// `sluice audit verify|tail|export`: read the audit log of a home, without a running program.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <map>
#include <thread>

#include "app/commands.h"
#include "app/home.h"
#include "gateway/audit_chain.h"
#include "gateway/audit_export.h"
#include "gateway/audit_read.h"
#include "gateway/audit_verify.h"
#include "policy/policy.h"

namespace sluice::app {
namespace {

using gateway::AuditReader;

constexpr std::chrono::milliseconds kLook{200};  // tail -f
constexpr std::size_t kTailFiles = 64;           // newest files, where the last lines are looked for
constexpr ByteCount kMaxHeads = 256 * kMiB;

struct Place {
  std::string directory, key_file;
};

Result<Place> find_place(FileSystem& files, const Config& config) {
  Place place;
  if (config.audit_directory.empty() || config.audit_key.empty()) {
    SLUICE_TRY(const Home home, Home::open(files, config.home));
    place = {home.audit(), home.audit_key()};
  }
  if (!config.audit_directory.empty()) place.directory = absolute_path(config.audit_directory);
  if (!config.audit_key.empty()) place.key_file = absolute_path(config.audit_key);
  return place;
}

std::optional<Json> content_of(const std::string& text) {
  const auto line = gateway::read_chain_line(text);
  auto content = line ? parse_json(std::string(line->content) + "}") : fail(Code::kInvalid, "");
  if (!content || !content->is_object()) return std::nullopt;
  return *std::move(content);
}

Json findings_json(const std::vector<gateway::AuditFinding>& findings) {
  Json list = Json::array();
  for (const auto& one : findings) list.push_back({{"file", one.file}, {"line", one.line}, {"what", one.what}});
  return list;
}

void print_report(const gateway::AuditReport& report, const Place& place) {
  const auto say = [](std::string_view kind, const std::vector<gateway::AuditFinding>& findings) {
    for (const auto& one : findings) fmt::print("{:<8} {}\n", kind, policy::printable(to_string(one)));
  };
  say("BAD", report.bad);
  say("torn", report.torn);
  say("unknown", report.unknown);
  for (const std::string& one : report.cannot_know) fmt::print("{:<8} {}\n", "note", one);
  if (report.lost > 0) fmt::print("{:<8} {} lines could not be written at their time\n", "lost", report.lost);
  fmt::print("{}: {} files, {} lines, {} decisions, {} outcomes{}: {}\n", place.directory, report.files, report.lines,
             report.decisions, report.outcomes, report.running > 0 ? fmt::format(", {} calls run", report.running) : "",
             report.bad.empty() ? "nothing was changed, moved or taken out as far as this can be known"
                                : "THIS LOG IS NOT WHAT WAS WRITTEN");
}

int verify(const Config& config, FileSystem& files) {
  const auto place = find_place(files, config);
  if (!place) return report(place.error());
  gateway::AuditVerification wanted;
  wanted.directory = place->directory;
  wanted.from = config.audit_from;
  if (!config.audit_head.empty()) {
    const auto text = files.load_file(absolute_path(config.audit_head), kMaxHeads);
    if (!text) return report(text.error());
    auto heads = gateway::read_kept_heads(*text);
    if (!heads) return report(heads.error());
    wanted.heads = *std::move(heads);
    wanted.have_heads = true;
  }
  const auto key = gateway::AuditKey::load(files, place->key_file);
  if (!key) return report(Error(key.error()).with_context("the key to verify with (--key FILE)"));
  const auto found = gateway::verify_audit(files, *key, wanted);
  if (!found) return report(found.error());
  if (config.json) {
    fmt::print("{}\n", dump_json(Json{{"directory", place->directory},
                                      {"intact", found->bad.empty()},
                                      {"bad", findings_json(found->bad)},
                                      {"torn", findings_json(found->torn)},
                                      {"unknown_outcomes", findings_json(found->unknown)},
                                      {"cannot_know", found->cannot_know},
                                      {"files", found->files},
                                      {"lines", found->lines},
                                      {"decisions", found->decisions},
                                      {"outcomes", found->outcomes},
                                      {"running", found->running},
                                      {"lost", found->lost}}));
  } else {
    print_report(*found, *place);
  }
  return found->bad.empty() ? 0 : 1;
}

// Where each file was read to.
using Offsets = std::map<std::string, ByteCount>;

struct TailLine {
  std::string time, text;  // of the line as it is
};

// Whole lines behind `offsets`, which move on.
std::vector<TailLine> read_new(FileSystem& files, const std::string& directory, const std::vector<std::string>& names,
                               Offsets& offsets) {
  std::vector<TailLine> lines;
  for (const std::string& name : names) {
    auto reader = AuditReader::open(files, directory + "/" + name, offsets[name]);
    if (!reader) continue;
    for (;;) {
      auto line = reader->next();
      if (!line || !*line || !(*line)->whole) break;
      const auto content = content_of((*line)->text);
      const Json* time = content ? find_member(*content, "time") : nullptr;
      lines.push_back({time && time->is_string() ? time->get<std::string>() : "", std::move((*line)->text)});
    }
    offsets[name] = reader->offset();
  }
  std::stable_sort(lines.begin(), lines.end(), [](const TailLine& a, const TailLine& b) { return a.time < b.time; });
  return lines;
}

void print_line(const TailLine& line, bool json) {
  if (json) {
    fmt::print("{}\n", policy::printable(line.text));
    return;
  }
  const auto content = content_of(line.text);
  const std::string text = content ? gateway::audit_line_text(*content) : "(a line that is none: sluice audit verify)";
  if (!text.empty()) fmt::print("{}\n", text);
}

int tail(const Config& config, FileSystem& files) {
  const auto place = find_place(files, config);
  if (!place) return report(place.error());
  auto names = gateway::audit_file_names(files, place->directory);
  if (!names) return report(names.error());
  Offsets offsets;
  std::vector<std::string> newest(names->end() - static_cast<std::ptrdiff_t>(std::min(names->size(), kTailFiles)),
                                  names->end());
  std::vector<TailLine> lines = read_new(files, place->directory, newest, offsets);
  std::erase_if(lines, [&](const TailLine& line) {
    const auto content = config.json ? std::nullopt : content_of(line.text);
    return content && gateway::audit_line_text(*content).empty();
  });
  for (std::size_t i = lines.size() - std::min(lines.size(), config.limit); i < lines.size(); ++i) {
    print_line(lines[i], config.json);
  }
  std::fflush(stdout);
  const std::string first = newest.empty() ? "" : newest.front();
  while (config.follow && std::ferror(stdout) == 0) {
    std::this_thread::sleep_for(kLook);
    names = gateway::audit_file_names(files, place->directory);
    if (!names) return report(names.error());
    std::erase_if(*names, [&](const std::string& name) { return !offsets.contains(name) && name < first; });
    for (const TailLine& line : read_new(files, place->directory, *names, offsets)) print_line(line, config.json);
    std::fflush(stdout);
  }
  return 0;
}

int export_log(const Config& config, FileSystem& files) {
  const auto place = find_place(files, config);
  if (!place) return report(place.error());
  const auto names = gateway::audit_file_names(files, place->directory);
  if (!names) return report(names.error());
  const std::map<std::string, gateway::AuditFormat> formats{{"jsonl", gateway::AuditFormat::kJsonl},
                                                            {"csv", gateway::AuditFormat::kCsv},
                                                            {"ocsf", gateway::AuditFormat::kOcsf},
                                                            {"ecs", gateway::AuditFormat::kEcs}};
  gateway::AuditExporter exporter(formats.at(config.audit_format),
                                  [](std::string_view line) { std::fwrite(line.data(), 1, line.size(), stdout); });
  bool whole = true;
  for (const std::string& name : *names) {
    auto reader = AuditReader::open(files, place->directory + "/" + name);
    if (!reader) return report(reader.error());
    for (std::uint64_t number = 1;; ++number) {
      const auto line = reader->next();
      if (!line) return report(Error(line.error()).with_context(name));
      if (!*line || !(*line)->whole) break;
      const auto content = content_of((*line)->text);
      whole = whole && content;
      if (content) exporter.feed(*content, name, number);
    }
  }
  exporter.end();
  if (std::fflush(stdout) != 0) return report({Code::kIo, "the export could not be written"});
  if (!whole) fmt::print(stderr, "sluice: some lines are none and were left out: see `sluice audit verify`\n");
  return whole ? 0 : 1;
}

}  // namespace

int run_audit(const Config& config) {
  SystemFileSystem files;
  if (config.action == "verify") return verify(config, files);
  return config.action == "tail" ? tail(config, files) : export_log(config, files);
}

}  // namespace sluice::app
