// proxy_export_har: a recording as a HAR file. proxy.md (e).
#include "tools/session_export.h"

#include <fmt/format.h>

#include "base/new_file.h"
#include "tools/session_json.h"
#include "tools/subjects.h"
#include "tools/traffic_filter.h"

namespace sluice::tools {
namespace {

using analysis::ExportSink;

class Exporter {
 public:
  Exporter(const session::Reader& reader, const SessionExport& what, const ExportSink::HandOn& write)
      : reader_(reader), what_(what), write_(write) {}

  Result<Exported> run() {
    std::optional<session::Row> only;
    if (!what_.exchange.empty()) {
      SLUICE_TRY(only, reader_.find(what_.exchange));
    }
    total_ = 1;
    if (!only) {
      SLUICE_TRY(total_, reader_.count(what_.query));
    }
    SLUICE_CHECK(write_(analysis::export_prologue(what_.format)));
    Status status;
    if (only) {
      status = take(*only);
    } else {
      SLUICE_CHECK(reader_.visit(what_.query, 0, UINT64_MAX, [&](const session::Row& row) {
        status = take(row);
        return status.has_value();
      }));
    }
    SLUICE_CHECK(status);
    SLUICE_CHECK(write_(analysis::export_epilogue(what_.format)));
    return exported_;
  }

 private:
  Status take(const session::Row& row) {
    if (what_.stop.stop_requested()) return fail(Code::kCancelled, "The export was cancelled.");
    if (what_.enough && what_.enough()) {
      return fail(Code::kTimeout,
                  "Time ran out before the export was whole: export less, or use `sluice sessions export`.");
    }
    if (what_.progress) what_.progress(looked_at_, total_);
    ++looked_at_;
    if (!is_visible(what_.query, row, what_.redactor)) return {};
    const auto exchange = reader_.exchange(row);
    if (!exchange) {
      ++exported_.skipped;
      return {};
    }
    if (!analysis::is_exportable(what_.format, *exchange)) return {};
    if (what_.expression) {
      SLUICE_TRY(const bool passed, analysis::passes(*what_.expression, reader_, *exchange,
                                                     {.redactor = what_.redactor, .stop = what_.stop}));
      if (!passed) return {};
    }
    ExportSink sink(write_);
    if (exported_.entries > 0) sink.put(analysis::export_separator(what_.format));
    SLUICE_CHECK(analysis::write_export(what_.format,
                                        {reader_, *exchange, what_.redactor, what_.stop, what_.with_bodies}, sink));
    SLUICE_CHECK(sink.finish());
    ++exported_.entries;
    return {};
  }

  const session::Reader& reader_;
  const SessionExport& what_;
  const ExportSink::HandOn& write_;
  Exported exported_;
  std::uint64_t total_ = 0, looked_at_ = 0;
};

// What of the file's text is masked: all that its caller may not see, and what was asked for.
Result<const Redactor*> redactor_for(const Json& arguments, const CallContext& context) {
  const Json* redact = find_member(arguments, "redact");
  if (!redact) return context.redactor;
  if (redact->get<bool>()) return context.redactor ? context.redactor : context.services->redactor;
  if (context.redactor) {
    return fail(Code::kRefused, "redact: false writes secrets in clear: it needs show_secrets: true as well.");
  }
  return nullptr;
}

struct ExportPlace {
  Place place;
  bool encrypted = false;
};

// output_file, or the place of its own that each session has for exports, where they are as secret as it is.
Result<ExportPlace> place_for(const Json& arguments, const CallContext& context, const std::string& id) {
  if (const auto path = text_argument(arguments, "output_file")) {
    if (!context.services->roots) return fail(Code::kUnavailable, "No folder may be written to here.");
    SLUICE_TRY(Place place, context.services->roots->file(*path, "output_file"));
    return ExportPlace{std::move(place), false};
  }
  SLUICE_TRY(const session::Store::Found found, context.services->sessions->find(id));
  SLUICE_TRY(auto beside, context.services->sessions->files_beside(found, id));
  const std::string folder = found.directory + "/har";
  SLUICE_CHECK(beside.files->make_directories(folder));
  std::string path = fmt::format("{}/export-{}.har{}", folder, unix_ms(context.services->clock.wall()),
                                 beside.encrypted ? ".sealed" : "");
  return ExportPlace{{std::move(beside.files), std::move(path)}, beside.encrypted};
}

// For whoever reads the answer.
std::string note_of(bool masked, bool encrypted) {
  std::string note;
  if (masked) note = "Secrets are masked in headers, cookies, URLs, bodies and messages.";
  if (encrypted) {
    if (masked) note += ' ';
    note += "The file is encrypted as the recording is: sluice sessions decrypt FILE, or give output_file.";
  }
  return note;
}

ToolResult export_har(const Json& arguments, CallContext& context) {
  SLUICE_TRY(const auto expression, read_expression(arguments));
  SLUICE_TRY(const Redactor* const redactor, redactor_for(arguments, context));
  SLUICE_TRY(const auto reader, open_session(arguments, context));
  const std::string id = reader->manifest().id;
  SLUICE_TRY(ExportPlace to, place_for(arguments, context, id));
  SLUICE_TRY(NewFile file, NewFile::create(std::move(to.place)));
  SessionExport what;
  what.query = read_query(arguments);
  if (expression) what.expression = &*expression;
  what.redactor = redactor;
  what.with_bodies = flag_argument(arguments, "include_bodies");
  what.stop = context.stop;
  what.enough = deadline_passed(context);
  if (context.progress) {
    what.progress = [&](std::uint64_t done, std::uint64_t total) {
      if (done % 100 == 0) context.progress(static_cast<double>(done), static_cast<double>(total), "exchanges");
    };
  }
  ByteCount size = 0;
  SLUICE_TRY(const Exported exported, export_session(*reader, what, [&](Bytes octets) {
               size += octets.size();
               return file.append(octets);
             }));
  SLUICE_CHECK(file.finish());
  Json answer = {{"sessionId", id}, {"outputFile", file.path()},     {"entries", exported.entries},
                 {"bytes", size},   {"redact", redactor != nullptr}, {"encrypted", to.encrypted}};
  if (std::string note = note_of(redactor != nullptr, to.encrypted); !note.empty()) answer["note"] = std::move(note);
  if (exported.skipped > 0) answer["skipped"] = exported.skipped;
  return answer;
}

}  // namespace

Result<Exported> export_session(const session::Reader& reader, const SessionExport& what,
                                const ExportSink::HandOn& write) {
  return Exporter(reader, what, write).run();
}

Tool export_har_tool() {
  Tool tool = {
      .name = "proxy_export_har",
      .title = "Export a recording",
      .summary =
          "Write a recording, or what of it passes the filters, to a new HAR 1.2 file, with bodies, timings, WebSocket "
          "messages, TLS and rules. Secrets are masked as in answers.",
      .group = "sessions",
      .risk = Risk::kWrite,
      .hints = kSlow | kReturnsTraffic,
      .fields = {{.name = "session_id", .meaning = "From proxy_list_sessions.", .required = true},
                 {.name = "output_file",
                  .meaning = "A new file under an allowed root; absent: har/ in the session's directory."},
                 {.name = "include_bodies",
                  .type = FieldType::kBoolean,
                  .meaning = "Bodies and messages; else sizes alone.",
                  .default_value = true}},
      .result = {{"sessionId", "string", ""},
                 {"outputFile", "string", "absolute"},
                 {"entries", "number", ""},
                 {"bytes", "number", "of the file"},
                 {"redact", "boolean", "secrets are masked in the file"},
                 {"encrypted", "boolean", "the file, beside a recording that is"},
                 {"note", "string", "what was masked", true},
                 {"skipped", "number", "exchanges that are damaged", true}},
      .function = export_har,
  };
  add_query_fields(tool.fields);
  tool.fields.push_back({.name = "sort", .meaning = "By time.", .default_value = "asc", .choices = {"asc", "desc"}});
  tool.fields.push_back({.name = "filter", .meaning = "As in proxy_list_traffic: ~d host ~c 5.. ~b body ! & | ()"});
  tool.fields.push_back({.name = "redact",
                         .type = FieldType::kBoolean,
                         .meaning = "Mask secrets. Absent: as this caller's answers are masked."});
  return tool;
}

}  // namespace sluice::tools
