// proxy_export_traffic: exchanges of the ring as HAR, curl commands, raw HTTP or JSONL, a piece of the text at a time.
// Beyond the contract. `sluice traffic export` puts the pieces together.
#include "tools/export_tool.h"

#include "analysis/export.h"
#include "base/text.h"
#include "tools/subjects.h"
#include "tools/traffic_filter.h"

namespace sluice::tools {
namespace {

constexpr std::size_t kDefaultText = 8'000;  // octets: twice as many units in an answer, and a block of a body more
constexpr std::size_t kLeastText = 1'000;

// Raw HTTP may hold anything; and what would be six units for each octet in an answer is none either.
bool is_plain_text(std::string_view text) {
  const auto odd = [](char c) {
    return (static_cast<unsigned char>(c) < 0x20 && c != '\n' && c != '\r' && c != '\t') || c == 0x7f;
  };
  return is_utf8(text) && std::none_of(text.begin(), text.end(), odd);
}

ToolResult export_traffic(const Json& arguments, CallContext& context) {
  analysis::ExportQuery query;
  query.format = *analysis::find_export_format(*text_argument(arguments, "format"));
  SLUICE_TRY(const auto expression, read_expression(arguments));
  if (expression) query.expression = &*expression;
  query.id = text_argument(arguments, "exchange_id");
  if (query.id && expression) return fail(Code::kInvalid, "Give exchange_id or filter, not both.");
  if (const auto cursor = text_argument(arguments, "cursor")) {
    query.cursor = analysis::ExportCursor::parse(*cursor);
    if (!query.cursor) return fail(Code::kInvalid, "This is no cursor of proxy_export_traffic.");
  }
  query.room = kDefaultText;
  if (const auto limit = integer_argument(arguments, "limit")) {
    query.room = std::max(static_cast<std::size_t>(*limit), kLeastText);
  }
  query.redactor = context.redactor;
  query.stop = context.stop;
  query.enough = deadline_passed(context);
  if (!query.cursor) context.services->ring.sync();
  SLUICE_TRY(const analysis::ExportPage page, analysis::read_export(context.services->ring, query));
  Json answer = {{"format", *text_argument(arguments, "format")}};
  if (is_plain_text(page.text)) {
    answer["text"] = page.text;
  } else {
    answer["base64"] = base64_encode(page.text);
  }
  answer["entries"] = page.entries;
  if (page.next) answer["cursor"] = page.next->text();
  return answer;
}

}  // namespace

Tool export_tool() {
  return {
      .name = "proxy_export_traffic",
      .title = "Export traffic",
      .summary =
          "Captured exchanges for other programs: HAR 1.2, curl commands, raw HTTP, or a HAR entry a line (jsonl). "
          "Answers a piece of the text; join the pieces: pass cursor until there is none.",
      .group = "traffic",
      .risk = Risk::kRead,
      .hints = kSlow | kReturnsTraffic | kIncludesBody | kIdempotent,
      .fields = {{.name = "format",
                  .meaning = "What to write.",
                  .default_value = "har",
                  .choices = {"har", "curl", "raw", "jsonl"}},
                 {.name = "exchange_id", .meaning = "This one alone."},
                 {.name = "filter", .meaning = "As in proxy_list_traffic; absent: all that ended."},
                 {.name = "cursor", .meaning = "Of the answer before, with the same other arguments."},
                 {.name = "limit",
                  .type = FieldType::kInteger,
                  .meaning = "Octets of text, about (8000, at most 1 MiB).",
                  .minimum = 0,
                  .maximum = static_cast<double>(kMiB)}},
      .result = {{"format", "string", ""},
                 {"text", "string", "the next piece", true},
                 {"base64", "string", "the next piece, where it is no plain text", true},
                 {"entries", "number", "exchanges that ended in this piece"},
                 {"cursor", "string", "there is more", true}},
      .function = export_traffic,
  };
}

}  // namespace sluice::tools
