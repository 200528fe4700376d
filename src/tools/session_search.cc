// proxy_search_session_bodies: decoded bodies of a recording are looked through one by one for a text or a pattern.
// proxy.md (d).
#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "analysis/body.h"
#include "base/redact.h"
#include "base/text.h"
#include "capture/needle.h"
#include "regex/regex.h"
#include "regex/required.h"
#include "tools/page.h"
#include "tools/session_json.h"
#include "tools/session_rows.h"
#include "tools/subjects.h"
#include "tools/traffic_filter.h"

namespace sluice::tools {
namespace {

constexpr std::size_t kMostSnippets = 3, kBinaryProbe = 512, kLongestUrl = 200;
constexpr std::size_t kMostPattern = 2'000, kMostShown = 500;  // octets; a pattern's match may be as long as the body
constexpr std::size_t kMostEmpty = 1'000;                      // matches in a body that are passed over
constexpr ByteCount kMostBody = 8 * kMiB;                      // decoded octets of each body that are looked at
constexpr std::uint64_t kPassedOver = 50;                      // rows that filters pass over, for each one opened

constexpr std::array<std::string_view, 9> kBinaryTypes{
    "image/",          "audio/",           "video/",          "font/",           "application/octet-stream",
    "application/zip", "application/gzip", "application/pdf", "application/wasm"};

bool is_binary_type(std::string_view type) {
  return std::any_of(kBinaryTypes.begin(), kBinaryTypes.end(), [&](auto known) { return type.starts_with(known); });
}

struct Wanted {
  std::string text;                   // lower case unless case_sensitive
  std::optional<regex::Regex> regex;  // instead of the text
  bool case_sensitive = false, in_request = true, in_response = true;
  std::size_t context = 120;
};

Result<regex::Regex> read_pattern(const std::string& source, bool case_sensitive) {
  if (source.size() > kMostPattern) {
    return fail(Code::kTooLarge, fmt::format("text: a pattern has at most {} octets.", kMostPattern));
  }
  // Texts of megabytes: the large memory at once, or the automaton would begin anew all the time.
  auto regex = regex::Regex::compile(source, {.any_case = !case_sensitive, .memory = regex::kLargeMemory});
  if (!regex) return fail(regex.error().code, fmt::format("text: {}.", regex.error().message));
  if (regex->is_in("")) {
    return fail(Code::kInvalid, "text: the pattern matches nothing at all, and so every body: ask for a character.");
  }
  return regex;
}

// Where what is wanted stands next, from `from` on.
std::optional<regex::Regex::Match> next_match(const std::string& haystack, std::size_t from, const Wanted& wanted) {
  if (!wanted.regex) {
    const std::size_t at = haystack.find(wanted.text, from);
    return at == std::string::npos ? std::nullopt : std::optional(regex::Regex::Match{at, wanted.text.size()});
  }
  for (std::size_t empty = 0; empty < kMostEmpty; ++empty) {
    const auto match = wanted.regex->match(haystack, from);
    if (!match || match->size > 0) return match;
    from = match->at + 1;
  }
  return std::nullopt;
}

// What stands around a hit, as a person reads it: a mask is shown as one.
std::string readable(std::string_view part) {
  std::string out;
  for (const char c : part) {
    if (c == '\0') {
      out += "[redacted]";
    } else {
      out += c;
    }
  }
  return repair_utf8(out);
}

std::size_t before_character(std::string_view text, std::size_t at) {
  while (at > 0 && at < text.size() && (static_cast<unsigned char>(text[at]) & 0xC0) == 0x80) --at;
  return at;
}

Json snippet(const std::string& text, const regex::Regex::Match& match, const Wanted& wanted) {
  const std::size_t at = match.at, end = at + match.size;
  const std::size_t shown = match.size > kMostShown && wanted.regex ? before_character(text, at + kMostShown) : end;
  const std::size_t from = before_character(text, at - std::min(at, wanted.context));
  const std::size_t until = before_character(text, std::min(text.size(), end + wanted.context));
  const std::string_view view(text);
  return {{"position", utf16_length(repair_utf8(view.substr(0, at)))},
          {"context", fmt::format("{}{}[{}{}]{}{}", from > 0 ? "..." : "", readable(view.substr(from, at - from)),
                                  readable(view.substr(at, shown - at)), shown < end ? "..." : "",
                                  readable(view.substr(end, until - end)), until < text.size() ? "..." : "")}};
}

enum class Body { kNone, kBinary, kSearched };

struct Searched {
  Body body = Body::kNone;
  bool in_part = false;  // it is longer than what is looked at
  Json snippets = Json::array();
};

Result<Searched> search_body(const session::Reader& reader, const flow::Exchange& exchange, flow::Direction direction,
                             const Wanted& wanted, const CallContext& context) {
  Searched searched;
  if (analysis::body_info(exchange, direction).stored == 0) return searched;
  analysis::BodyOptions options;
  options.limit = options.budget = kMostBody;
  options.measure = false;
  options.redactor = context.redactor;
  options.stop = context.stop;
  const auto window = analysis::read_window(reader, exchange, direction, options);
  if (!window && window.error().code == Code::kCancelled) return fail(window.error());
  if (!window || window->octets.empty()) return searched;  // it left, or is damaged
  searched.body = Body::kBinary;
  if (std::string_view(window->octets).substr(0, kBinaryProbe).find('\0') != std::string_view::npos) return searched;
  searched.body = Body::kSearched;
  searched.in_part = window->more;
  const std::string text = context.redactor ? without_masks(window->octets) : window->octets;
  const bool folds = !wanted.case_sensitive && !wanted.regex;
  const std::string folded = folds ? to_lower(text) : "";
  const std::string& haystack = folds ? folded : text;
  for (auto match = next_match(haystack, 0, wanted); match && searched.snippets.size() < kMostSnippets;
       match = next_match(haystack, match->at + match->size, wanted)) {
    searched.snippets.push_back(snippet(text, *match, wanted));
  }
  return searched;
}

Json match_json(const session::Row& row, flow::Direction direction, Json snippets) {
  const bool request = direction == flow::Direction::kRequest;
  const flow::BodyInfo& body = request ? row.request : row.response;
  std::string url = row.url;
  if (utf16_length(repair_utf8(url)) > kLongestUrl) {
    url = std::string(utf16_prefix(repair_utf8(url), kLongestUrl)) + "...";
  }
  return {{"exchangeId", row.id},
          {"seq", row.seq},
          {"url", std::move(url)},
          {"method", row.method},
          {"statusCode", row.status == 0 ? Json() : Json(row.status)},
          {"contentType", row.content_type.empty() ? Json() : Json(row.content_type)},
          {"matchedIn", request ? "request" : "response"},
          {"source", body.complete ? "full" : "preview"},
          {"snippets", std::move(snippets)}};
}

class BodySearch {
 public:
  BodySearch(const session::Reader& reader, Wanted wanted, CallContext& context)
      : reader_(reader), wanted_(std::move(wanted)), context_(context) {}

  Status look_at(const session::Row& row) {
    const auto exchange = reader_.exchange(row);
    if (!exchange) {
      ++no_body;
      return {};
    }
    bool any = false, binary = false;
    for (const flow::Direction direction : {flow::Direction::kResponse, flow::Direction::kRequest}) {
      const bool response = direction == flow::Direction::kResponse;
      if (!(response ? wanted_.in_response : wanted_.in_request)) continue;
      SLUICE_TRY(Searched searched, search_body(reader_, *exchange, direction, wanted_, context_));
      any = any || searched.body == Body::kSearched;
      if (searched.in_part) ++in_part;
      binary = binary || searched.body == Body::kBinary;
      if (searched.snippets.empty()) continue;
      is_full = !matches.add(match_json(row, direction, std::move(searched.snippets)));
      return {};
    }
    if (!any) ++(binary ? binary_bodies : no_body);
    return {};
  }

  Page matches;
  bool is_full = false;  // the last row that was looked at has no room on this page
  std::uint64_t binary_bodies = 0, no_body = 0, in_part = 0;

 private:
  const session::Reader& reader_;
  const Wanted wanted_;
  CallContext& context_;
};

ToolResult search_bodies(const Json& arguments, CallContext& context) {
  const std::string given = *text_argument(arguments, "text");
  if (given.empty()) return fail(Code::kInvalid, "text must not be empty.");
  SLUICE_TRY(const auto expression, read_expression(arguments));
  SLUICE_TRY(const auto reader, open_session(arguments, context));
  Wanted wanted;
  wanted.case_sensitive = flag_argument(arguments, "case_sensitive");
  wanted.text = wanted.case_sensitive ? given : to_lower(given);
  const bool is_pattern = flag_argument(arguments, "regex");
  if (is_pattern) {
    SLUICE_TRY(wanted.regex, read_pattern(given, wanted.case_sensitive));
  }
  const std::string side = *text_argument(arguments, "search_in");
  wanted.in_request = side != "response";
  wanted.in_response = side != "request";
  wanted.context = static_cast<std::size_t>(*integer_argument(arguments, "context_chars"));
  session::Query query = read_query(arguments);
  query.text.clear();  // it means the bodies here
  query.type_contains = text_argument(arguments, "content_type_contains").value_or("");
  query.ascending = true;
  const auto limit = static_cast<std::size_t>(*integer_argument(arguments, "limit"));
  const auto most = static_cast<std::uint64_t>(*integer_argument(arguments, "max_scan"));
  const auto offset = static_cast<std::uint64_t>(*integer_argument(arguments, "offset"));
  SLUICE_TRY(const auto found, match_visible(*reader, query, context));
  const std::uint64_t candidates = found->rows.size();
  const auto enough = deadline_passed(context);
  const std::string held = is_pattern ? regex::required_text(given) : given;  // by each body that is wanted
  const capture::Needle needle(held);
  const session::WithoutText without = reader->without_text(held);
  if (without.covered < reader->manifest().exchanges) context.services->sessions->want_sealed(reader->manifest().id);
  const bool in_request = wanted.in_request, in_response = wanted.in_response;
  // The filters know of bodies as they are. Whoever is shown masks learns nothing of what they pass over: what is
  // answered is how many rows were passed, and how far a page goes is the same whatever stands under a mask.
  const bool masked = context.redactor != nullptr && without.covered > 0;
  const std::uint64_t most_passed = most * kPassedOver;
  BodySearch search(*reader, std::move(wanted), context);
  std::uint64_t passed = 0, scanned = 0;
  Status failed;
  bool ended_early = false;
  const auto wanted_by_text = [&](std::uint64_t seq) { return !without.holds_none(seq); };
  const auto look_at = [&](std::uint64_t place, const session::Row& row) {
    if (context.stop.stop_requested()) {
      failed = fail(Code::kCancelled, "The call was cancelled.");
      return false;
    }
    const bool far = masked ? place - offset >= most_passed : scanned == most;
    if (far || search.matches.size() == limit || (enough && enough())) {
      ended_early = true;
      if (!masked) passed = place - offset;
      if (masked && far) passed = most_passed;
      return false;
    }
    passed = place + 1 - offset;
    if (is_binary_type(row.content_type)) return true;
    if (expression) {
      const auto exchange = reader->exchange(row);
      const auto wants = exchange ? analysis::passes(*expression, *reader, *exchange, filter_reading(context)) : false;
      if (!wants) failed = fail(wants.error());
      if (!wants || !*wants) return wants.has_value();
    }
    ++scanned;
    const auto look = reader->look(row, needle, in_request, in_response);
    if (look.may_hold) {
      if (Status looked = search.look_at(row); !looked) failed = std::move(looked);
    } else if (!look.text) {
      ++(look.binary ? search.binary_bodies : search.no_body);
    }
    if (search.is_full) {
      ended_early = true;
      passed = place - offset;
      return false;
    }
    if (context.progress && !masked && scanned % 16 == 0) {
      context.progress(static_cast<double>(passed), static_cast<double>(candidates), "searching");
    }
    return failed.has_value();
  };
  SLUICE_CHECK(reader->visit_some(*found, query.ascending, offset, wanted_by_text, look_at));
  SLUICE_CHECK(failed);
  if (masked) {
    const std::uint64_t rows = candidates - std::min(candidates, offset);
    if (!ended_early && search.matches.size() < limit) passed = std::min(rows, most_passed);
    ended_early = passed < rows;
    scanned = passed;
    search.binary_bodies = search.no_body = search.in_part = 0;
  }
  Json answer = {{"query", given},
                 {"scanned", scanned},
                 {"skippedBinary", search.binary_bodies},
                 {"skippedNoBody", search.no_body},
                 {"totalMatches", search.matches.size()},
                 {"matches", search.matches.take()}};
  if (search.in_part > 0) answer["searchedInPart"] = search.in_part;
  if (ended_early) answer["nextOffset"] = offset + passed;
  return answer;
}

}  // namespace

Tool search_session_tool() {
  Tool tool = {
      .name = "proxy_search_session_bodies",
      .title = "Search a recording's bodies",
      .summary =
          "Exchanges of a recording whose decoded bodies hold a text or match a pattern, oldest first, with snippets. "
          "Stops at limit or max_scan: nextOffset says where to go on.",
      .group = "sessions",
      .risk = Risk::kRead,
      .hints = kSlow | kReturnsTraffic | kIdempotent,
      .fields =
          {{.name = "session_id", .meaning = "From proxy_list_sessions.", .required = true},
           {.name = "text", .meaning = "Text to find.", .required = true},
           {.name = "hostname_contains", .meaning = "Part of the host."},
           {.name = "url_contains", .meaning = "Part of the URL."},
           {.name = "method", .meaning = "Verb."},
           {.name = "status_code", .type = FieldType::kInteger, .meaning = "Exact status."},
           {.name = "content_type_contains", .meaning = "Part of the response's type; none passes."},
           {.name = "search_in",
            .meaning = "Which bodies.",
            .default_value = "both",
            .choices = {"response", "request", "both"}},
           {.name = "regex", .type = FieldType::kBoolean, .meaning = "text is an RE2 pattern.", .default_value = false},
           {.name = "case_sensitive",
            .type = FieldType::kBoolean,
            .meaning = "Exact case; else that of A to Z does not count.",
            .default_value = false},
           {.name = "limit",
            .type = FieldType::kInteger,
            .meaning = "Most exchanges.",
            .default_value = 10,
            .minimum = 1,
            .maximum = 100},
           {.name = "max_scan",
            .type = FieldType::kInteger,
            .meaning = "Exchanges opened at most.",
            .default_value = 200,
            .minimum = 1,
            .maximum = 5'000},
           {.name = "context_chars",
            .type = FieldType::kInteger,
            .meaning = "Shown on each side.",
            .default_value = 120,
            .minimum = 20,
            .maximum = 500},
           {.name = "offset",
            .type = FieldType::kInteger,
            .meaning = "Where to go on: nextOffset.",
            .default_value = 0,
            .minimum = 0},
           {.name = "filter", .meaning = "As in proxy_list_traffic."}},
      .result = {{"query", "string", ""},
                 {"scanned", "number", "exchanges opened; where secrets are masked, those that were passed"},
                 {"skippedBinary", "number", "not counted where secrets are masked and filters are used"},
                 {"skippedNoBody", "number", "the same"},
                 {"totalMatches", "number", "as answered"},
                 {"matches",
                  "object[]",
                  "",
                  false,
                  false,
                  {{"exchangeId", "string", ""},
                   {"seq", "number", ""},
                   {"url", "string", ""},
                   {"method", "string", ""},
                   {"statusCode", "number", "", false, true},
                   {"contentType", "string", "", false, true},
                   {"matchedIn", "string", "request or response"},
                   {"source", "string", "full, or preview: a part of the body was searched"},
                   {"snippets", "object[]", "{position, context}"}}},
                 {"searchedInPart", "number", "bodies of more than 8 MiB: what is behind was not looked at", true},
                 {"nextOffset", "number", "there is more to search", true}},
      .function = search_bodies,
  };
  return tool;
}

}  // namespace sluice::tools
