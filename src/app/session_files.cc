#include "app/session_files.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <memory>
#include <optional>

#include "app/commands.h"
#include "base/new_file.h"
#include "base/redact.h"
#include "tools/session_export.h"
#include "tools/session_import.h"

namespace sluice::app {
namespace {

Result<Json> read_session(session::Store& store, const Config& config, const Clock& clock) {
  SystemFileSystem files;
  const std::string path = std::filesystem::absolute(config.subject).string();
  SLUICE_TRY(const auto file, files.open(path, OpenMode::kRead));
  tools::HarImportOptions options;
  if (!config.session_name.empty()) options.session.name = config.session_name;
  options.session.max_disk_mb = std::max<std::uint64_t>(config.max_disk_mb, 1);
  tools::ImportReading reading{config.strict, clock, {}, {}, {}};
  if (::isatty(STDERR_FILENO)) {
    reading.progress = [](ByteCount done, ByteCount all) {
      if (done % (64 * kMiB) == 0) fmt::print(stderr, "\r{} of {} MiB", done / kMiB, all / kMiB);
    };
  }
  return tools::import_har_file(store, *file, path, std::move(options), reading);
}

Place place_of(const std::string& path) {
  return {std::make_shared<SystemFileSystem>(), std::filesystem::absolute(path).string()};
}

Status print_octets(Bytes octets) {
  while (!octets.empty()) {
    const ssize_t count = ::write(STDOUT_FILENO, octets.data(), octets.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return fail(errno == EPIPE ? Code::kClosed : Code::kIo, "standard output: " + errno_text(errno));
    octets.remove_prefix(static_cast<std::size_t>(count));
  }
  return {};
}

// How far it is, on a terminal.
std::function<void(std::uint64_t, std::uint64_t)> progress_line() {
  if (!::isatty(STDERR_FILENO)) return {};
  return [](std::uint64_t done, std::uint64_t total) {
    if (done % 1000 == 0) fmt::print(stderr, "\r{} of {} exchanges", done, total);
  };
}

Result<tools::Exported> write_session(session::Store& store, const Config& config, Entropy& entropy) {
  std::optional<analysis::FilterExpression> expression;
  if (!config.filter.empty()) {
    auto parsed = analysis::FilterExpression::parse(config.filter);
    if (!parsed) return fail(std::move(parsed.error()));
    expression = *std::move(parsed);
  }
  SLUICE_TRY(const auto reader, store.open(config.subject));
  tools::SessionExport what;
  what.format = analysis::find_export_format(config.format).value_or(analysis::ExportFormat::kHar);
  what.query.ascending = true;
  what.exchange = config.exchange;
  if (expression) what.expression = &*expression;
  std::optional<Redactor> redactor;
  if (config.redact) what.redactor = &redactor.emplace(entropy);
  what.progress = progress_line();
  if (config.file.empty() || config.file == "-") return tools::export_session(*reader, what, print_octets);
  SLUICE_TRY(NewFile file, NewFile::create(place_of(config.file)));
  SLUICE_TRY(const auto exported,
             tools::export_session(*reader, what, [&](Bytes octets) { return file.append(octets); }));
  SLUICE_CHECK(file.finish());
  return exported;
}

// The recording is the folder that the file's folder lies in.
Status write_decrypted(FileSystem& disk, const Config& config, const session::OperatorKeyPtr& given) {
  namespace fs = std::filesystem;
  const fs::path path = fs::absolute(config.subject).lexically_normal();
  const fs::path directory = path.parent_path().parent_path();
  const std::string id = directory.filename().string();
  if (!session::is_session_id(id) || path.parent_path().filename() != "har") {
    return fail(Code::kNotFound, path.string() + " lies in no recording's har folder");
  }
  SLUICE_TRY(const session::KeyOf found, session::find_key(disk, directory.string(), id, given));
  if (!found.key) return fail(Code::kInvalid, "The recording " + id + " is not encrypted, and neither is its file.");
  const auto sealed = found.key->seal_files(std::make_shared<SystemFileSystem>(), "har");
  SLUICE_TRY(const auto file, sealed->open(path.string(), OpenMode::kRead));
  SLUICE_TRY(const ByteCount size, file->size());
  const auto copy = [&](const auto& write) -> Status {
    std::string part(256 * kKiB, '\0');
    for (ByteCount at = 0; at < size; at += part.size()) {
      SLUICE_TRY(const std::size_t got, file->read_at(at, part));
      SLUICE_CHECK(write(Bytes(part).substr(0, got)));
    }
    return {};
  };
  if (config.file.empty() || config.file == "-") return copy(print_octets);
  SLUICE_TRY(NewFile to, NewFile::create(place_of(config.file)));
  SLUICE_CHECK(copy([&](Bytes octets) { return to.append(octets); }));
  return to.finish();
}

}  // namespace

int export_session_file(session::Store& store, const Config& config, Entropy& entropy) {
  if (config.subject.empty()) return report({Code::kInvalid, "say which: sluice sessions export ID FILE"});
  const auto exported = write_session(store, config, entropy);
  if (!exported && exported.error().code == Code::kClosed) return 0;  // the reader of a pipe has enough
  if (!exported) return report(exported.error());
  if (::isatty(STDERR_FILENO)) fmt::print(stderr, "\r{} exchanges            \n", exported->entries);
  if (exported->skipped > 0) {
    fmt::print(stderr, "sluice: {} exchanges are damaged and were left out: sluice sessions verify {}\n",
               exported->skipped, config.subject);
  }
  return 0;
}

int import_session_file(session::Store& store, const Config& config, const Clock& clock) {
  if (config.subject.empty()) return report({Code::kInvalid, "say which: sluice sessions import FILE"});
  const auto answer = read_session(store, config, clock);
  if (!answer) return report({Code::kRefused, answer.error().message});  // the file is wrong, not the command
  if (config.json) {
    fmt::print("{}\n", dump_json(*answer, JsonStyle::kIndented));
    return 0;
  }
  const Json& summary = (*answer)["importSummary"];
  for (const Json& warning : summary["warnings"]) fmt::print(stderr, "sluice: {}\n", warning.get<std::string>());
  fmt::print("{}: {} of {} exchanges\n", (*answer)["session"]["id"].get<std::string>(),
             summary["importedEntries"].get<std::uint64_t>(), summary["totalEntries"].get<std::uint64_t>());
  return 0;
}

int decrypt_session_file(FileSystem& files, const Config& config, const session::OperatorKeyPtr& key) {
  if (config.subject.empty()) return report({Code::kInvalid, "say which: sluice sessions decrypt FILE [TO]"});
  const Status done = write_decrypted(files, config, key);
  return done || done.error().code == Code::kClosed ? 0 : report(done.error());
}

}  // namespace sluice::app
