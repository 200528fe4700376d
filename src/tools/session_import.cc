// Reading HAR and flow files; proxy_import_har: a HAR file as a recording. proxy.md (e).
#include "tools/session_import.h"

#include <fmt/format.h>

#include <algorithm>

#include "analysis/flow_file.h"
#include "analysis/har_entries.h"
#include "analysis/har_read.h"
#include "analysis/tnetstring.h"
#include "base/text.h"
#include "tools/session_json.h"
#include "tools/subjects.h"
#include "tools/traffic_filter.h"

namespace sluice::tools {
namespace {

constexpr std::size_t kPiece = 256 * 1024;
constexpr std::size_t kMostStem = 60;  // of a file's name, in the session's

// What readers of both kinds of files share: counting, and the file in pieces.
class FileImport {
 public:
  FileImport(const File& file, const ImportReading& reading, const TakeLoaded& take, const char* what)
      : file_(file), reading_(reading), take_(take), what_(what) {}

  // `feed` gets each piece.
  Status read_pieces(const std::function<Status(Bytes)>& feed) {
    SLUICE_TRY(const ByteCount size, file_.size());
    std::string piece;
    for (ByteCount at = 0;;) {
      if (reading_.stop.stop_requested()) return fail(Code::kCancelled, "The import was cancelled.");
      if (reading_.enough && reading_.enough()) {
        return fail(Code::kTimeout, "Time ran out before the file was read: nothing was imported.");
      }
      piece.resize(kPiece);
      SLUICE_TRY(const std::size_t got, file_.read_at(at, piece));
      if (got == 0) return {};
      piece.resize(got);
      at += got;
      SLUICE_CHECK(feed(piece));
      if (reading_.progress) reading_.progress(at, size);
    }
  }

  Status take(flow::Loaded&& loaded) {
    const std::int64_t at = unix_ms(loaded.exchange.started);
    SLUICE_TRY(const bool wanted, take_(std::move(loaded)));
    if (!wanted) {
      ++summary.left_out;
      return {};
    }
    ++summary.imported;
    summary.first_ms = std::min(summary.first_ms.value_or(at), at);
    summary.last_ms = std::max(summary.last_ms.value_or(at), at);
    return {};
  }

  Status damaged(std::uint64_t number, const std::string& what) {
    if (reading_.strict) return fail(Code::kInvalid, sentence(number, what));
    ++summary.errors;
    warn(number, what);
    return {};
  }
  void warn(std::uint64_t number, const std::string& what) {
    if (summary.warnings.size() < kMostWarnings) summary.warnings.push_back(sentence(number, what));
  }

  ImportSummary summary;

 private:
  std::string sentence(std::uint64_t number, const std::string& what) const {
    return fmt::format("{} #{}: {}", what_, number, what);
  }

  const File& file_;
  const ImportReading& reading_;
  const TakeLoaded& take_;
  const char* const what_;
};

Status take_entry(FileImport& import, const analysis::HarEntryText& entry, WallTime now) {
  if (entry.too_large) return import.damaged(entry.number, "larger than can be imported.");
  auto read = analysis::read_har_entry(entry.text, now);
  if (!read) return import.damaged(entry.number, read.error().message);
  for (const std::string& warning : read->warnings) import.warn(entry.number, warning);
  return import.take(std::move(read->loaded));
}

Status take_flow(FileImport& import, std::string_view text, std::uint64_t number) {
  auto read = analysis::read_flow(text);
  if (!read && read.error().code == Code::kConflict) return fail(std::move(read.error()));
  if (!read) return import.damaged(number, read.error().message);
  if (*read) return import.take(**std::move(read));
  ++import.summary.left_out;
  return {};
}

Result<ImportSummary> read_flow_file(const File& file, const ImportReading& reading, const TakeLoaded& take) {
  FileImport import(file, reading, take, "Flow");
  analysis::TnetValues values;
  SLUICE_CHECK(import.read_pieces([&](Bytes piece) -> Status {
    SLUICE_CHECK(values.feed(piece));
    while (const auto text = values.next()) SLUICE_CHECK(take_flow(import, *text, ++import.summary.total));
    return {};
  }));
  SLUICE_CHECK(values.finish());
  return std::move(import.summary);
}

std::string stem_of(const std::string& path) {
  std::string name = path.substr(path.rfind('/') + 1);
  const std::size_t dot = name.rfind('.');
  if (dot != name.npos && dot > 0) name.resize(dot);
  return repair_utf8(name.substr(0, kMostStem));
}

ToolResult import_har(const Json& arguments, CallContext& context) {
  if (!context.services->sessions) return fail(Code::kUnavailable, "There are no recordings here.");
  session::Store& sessions = *context.services->sessions;
  if (const auto active = sessions.active()) {
    return fail(Code::kConflict,
                fmt::format("Session '{}' is already active. Stop it before importing HAR.", active->id));
  }
  if (!context.services->roots) return fail(Code::kUnavailable, "No folder may be read here.");
  SLUICE_TRY(const Place place, context.services->roots->file(*text_argument(arguments, "har_file"), "har_file"));
  SLUICE_TRY(const auto file, place.files->open(place.path, OpenMode::kRead));
  HarImportOptions options;
  options.session.name = text_argument(arguments, "session_name");
  options.session.storage_dir = text_argument(arguments, "storage_dir");
  options.session.max_disk_mb = static_cast<std::uint64_t>(*integer_argument(arguments, "max_disk_mb"));
  ImportReading reading{
      flag_argument(arguments, "strict"), context.services->clock, context.stop, deadline_passed(context), {}};
  if (context.progress) {
    reading.progress = [&](ByteCount done, ByteCount all) {
      context.progress(static_cast<double>(done), static_cast<double>(all), "octets");
    };
  }
  return import_har_file(sessions, *file, place.path, std::move(options), reading);
}

}  // namespace

Result<ImportSummary> read_har_file(const File& file, const ImportReading& reading, const TakeLoaded& take) {
  FileImport import(file, reading, take, "HAR entry");
  analysis::HarEntries entries;
  const auto take_ready = [&]() -> Status {
    while (const auto entry = entries.next()) SLUICE_CHECK(take_entry(import, *entry, reading.clock.wall()));
    return {};
  };
  SLUICE_CHECK(import.read_pieces([&](Bytes piece) -> Status {
    SLUICE_CHECK(entries.feed(piece));
    return take_ready();
  }));
  SLUICE_CHECK(entries.finish());
  SLUICE_CHECK(take_ready());
  import.summary.total = entries.count();
  return std::move(import.summary);
}

Result<ImportSummary> read_traffic_file(const File& file, const ImportReading& reading, const TakeLoaded& take) {
  std::string first(1, '\0');
  SLUICE_TRY(const std::size_t got, file.read_at(0, first));
  if (got == 0) return fail(Code::kInvalid, "The file is empty.");
  const bool flows = first[0] >= '0' && first[0] <= '9';
  return flows ? read_flow_file(file, reading, take) : read_har_file(file, reading, take);
}

Result<Json> import_har_file(session::Store& sessions, const File& file, const std::string& path,
                             HarImportOptions options, const ImportReading& reading) {
  if (!options.session.name) options.session.name = "har-import-" + stem_of(path);
  SLUICE_CHECK(check_session_name(*options.session.name));
  SLUICE_TRY(const auto import, sessions.begin_import(options.session));
  SLUICE_TRY(const ImportSummary summary, read_har_file(file, reading, [&](flow::Loaded&& loaded) -> Result<bool> {
               flow::emit(loaded, import->sink());
               SLUICE_CHECK(import->check());
               return true;
             }));
  SLUICE_TRY(const session::Manifest manifest, import->finish());
  const auto time = [](const std::optional<std::int64_t>& ms) { return ms ? Json(*ms) : Json(); };
  return Json{{"session", session::manifest_json(manifest)},
              {"importSummary",
               {{"sourceFile", repair_utf8(path)},
                {"totalEntries", summary.total},
                {"importedEntries", summary.imported},
                {"skippedEntries", summary.errors},
                {"errorCount", summary.errors},
                {"firstTimestamp", time(summary.first_ms)},
                {"lastTimestamp", time(summary.last_ms)},
                {"warnings", summary.warnings}}}};
}

Tool import_har_tool() {
  Tool tool = {
      .name = "proxy_import_har",
      .title = "Import a HAR file",
      .summary =
          "Read a HAR file of a browser or another proxy into a new recording, to query, search and replay it. Damaged "
          "entries are skipped and named; a file that is no HAR leaves nothing.",
      .group = "sessions",
      .risk = Risk::kWrite,
      .hints = kSlow,
      .fields = {{.name = "har_file", .meaning = "A file under an allowed root.", .required = true}},
      .result = {{"session", "object", "", false, false, manifest_result()},
                 {"importSummary",
                  "object",
                  "",
                  false,
                  false,
                  {{"sourceFile", "string", "absolute"},
                   {"totalEntries", "number", ""},
                   {"importedEntries", "number", ""},
                   {"skippedEntries", "number", "damaged"},
                   {"errorCount", "number", ""},
                   {"firstTimestamp", "number", "ms", false, true},
                   {"lastTimestamp", "number", "ms", false, true},
                   {"warnings", "string[]", "at most 100"}}}},
      .function = import_har,
  };
  for (Field& field : recording_fields()) {
    if (field.name != "capture_profile") tool.fields.push_back(std::move(field));
  }
  tool.fields.push_back({.name = "strict",
                         .type = FieldType::kBoolean,
                         .meaning = "Fail at the first damaged entry.",
                         .default_value = false});
  return tool;
}

}  // namespace sluice::tools
