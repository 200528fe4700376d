// proxy_generate_flow_template: recorded exchanges as steps, with a name in each place where a value stands that an
// earlier answer brought, and the arguments that replay them so. Beyond the contract; docs/replay.md.
#include <fmt/format.h>

#include <algorithm>
#include <deque>
#include <map>
#include <set>

#include "analysis/body.h"
#include "analysis/places.h"
#include "base/redact.h"
#include "base/text.h"
#include "tools/replay_plan.h"
#include "tools/replaying.h"
#include "tools/session_json.h"
#include "tools/session_rows.h"
#include "tools/subjects.h"
#include "tools/traffic_filter.h"

namespace sluice::tools {
namespace {

constexpr std::size_t kMostSteps = 100, kMostVariables = 50, kMostCandidates = 1'000;
constexpr std::size_t kLongestBody = 4'096, kLongestValue = 4'096;
constexpr std::size_t kMostLookedAt = 64 * 1'024;   // of a request's body, for values
constexpr std::size_t kMostParsed = 1'024 * 1'024;  // of an answer's

// A value of an answer that a request behind it may say again.
struct Candidate {
  ChainedValue what;
  std::string exchange_id;
  std::string pointer, header, pattern;  // how it is found there
  std::size_t step = 0;
  bool used = false;
};

// A name for a variable, of the name of what holds the value.
std::string name_of(std::string_view member) {
  std::string name;
  for (const char c : member) {
    const bool fits = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
    if (fits || !name.empty()) name += fits ? c : '_';
  }
  name = name.substr(0, 40);
  if (name.empty() || (name[0] >= '0' && name[0] <= '9')) name.insert(0, "v_");
  return name;
}

// Fields of answers that are about the answer alone.
bool is_of_the_answer(const std::string& name) {
  static const std::set<std::string> kNames{"date",
                                            "server",
                                            "via",
                                            "age",
                                            "vary",
                                            "expires",
                                            "connection",
                                            "keep-alive",
                                            "cache-control",
                                            "last-modified",
                                            "transfer-encoding",
                                            "alt-svc",
                                            "strict-transport-security",
                                            "content-security-policy",
                                            "report-to",
                                            "nel"};
  return kNames.contains(name) || name.starts_with("content-") || name.starts_with("access-control-");
}

class Template {
 public:
  Template(const session::Reader& reader, CallContext& context) : reader_(reader), context_(context) {}

  Status take(const session::Row& row) {
    SLUICE_TRY(const flow::Exchange exchange, reader_.exchange(row));
    SLUICE_TRY(const replay::Answer request,
               recorded_message(reader_, exchange, flow::Direction::kRequest, context_.stop));
    add_step(row, exchange, request);
    SLUICE_TRY(const replay::Answer answer, recorded_answer(reader_, exchange, context_.stop));
    collect(row, answer);
    return {};
  }

  Json answer() {
    Json variables = Json::array(), extract = Json::array();
    for (const Candidate& one : candidates_) {
      if (!one.used) continue;
      Json how = {{"name", one.what.name}, {"exchange_id", one.exchange_id}};
      if (!one.pointer.empty()) how["pointer"] = one.pointer;
      if (!one.header.empty()) how["header"] = one.header;
      if (!one.pattern.empty()) how["regex"] = one.pattern;
      Json variable = {{"name", one.what.name}, {"step", one.step}, {"length", one.what.value.size()}};
      variable["from"] = one.pointer.empty() ? "header " + one.header : "body " + one.pointer;
      variables.push_back(std::move(variable));
      extract.push_back(std::move(how));
    }
    Json arguments = {{"session_id", reader_.manifest().id},
                      {"mode", "execute"},
                      {"exchange_ids", std::move(ids_)},
                      {"chain", true},
                      {"extract", std::move(extract)}};
    return {{"sessionId", reader_.manifest().id},
            {"stepCount", steps_.size()},
            {"steps", std::move(steps_)},
            {"variables", std::move(variables)},
            {"replay", {{"tool", "proxy_replay_session"}, {"arguments", std::move(arguments)}}}};
  }

 private:
  void add_step(const session::Row& row, const flow::Exchange& exchange, const replay::Answer& request) {
    Json uses = Json::array();
    const auto put = [&](const std::string& text, analysis::VariablePlace place, const std::string& where) {
      std::string out;
      std::size_t at = 0;
      std::set<std::string> named;
      for (const analysis::Stretch& stretch : find_chained(text, place, known_)) {
        if (!use(stretch.name)) continue;
        out += text.substr(at, stretch.at - at) + "${" + stretch.name + "}";
        at = stretch.at + stretch.size;
        if (named.insert(stretch.name).second) uses.push_back({{"name", stretch.name}, {"in", where}});
      }
      return out + text.substr(at);
    };
    const Redactor* const redactor = context_.redactor;
    const std::string url = put(row.url, analysis::VariablePlace::kUrl, "url");
    Json fields = Json::array();
    said_ += row.url + "\n";
    for (std::size_t i = 0; i < request.fields.size(); ++i) {
      const std::string name(request.fields.name(i)), value(request.fields.value(i));
      const std::string made = put(value, analysis::VariablePlace::kHeader, "header " + name);
      fields.push_back(name + ": " + (redactor ? redactor->mask_header_value(name, made).text : made));
      said_ += value + "\n";
    }
    const std::string type(request.fields.find("content-type").value_or(""));
    Json step = {{"step", steps_.size()},
                 {"exchangeId", row.id},
                 {"method", row.method},
                 {"url", redactor ? redactor->mask_url(url).text : url},
                 {"headers", std::move(fields)}};
    if (request.content.size() > kMostLookedAt) {
      step["bodyBytes"] = request.content.size();
    } else if (!request.content.empty()) {
      std::string text = put(request.content, place_of_content(request.fields), "body");
      if (redactor) text = redactor->mask_body(text, type).text;
      if (!is_utf8(text)) {
        step["bodyBytes"] = request.content.size();
      } else {
        step["body"] = std::string(utf16_prefix(text, kLongestBody));
        if (text.size() > kLongestBody) step["bodyCut"] = true;
      }
      said_ += request.content + "\n";
    }
    step["uses"] = std::move(uses);
    step["recordedStatus"] = row.status == 0 ? Json() : Json(row.status);
    steps_.push_back(std::move(step));
    ids_.push_back(exchange.id);
  }

  bool use(const std::string& name) {
    Candidate& one = *by_name_.at(name);
    if (one.used) return true;
    if (variables_ >= kMostVariables) return false;
    ++variables_;
    return one.used = true;
  }

  void collect(const session::Row& row, const replay::Answer& answer) {
    for (std::size_t i = 0; i < answer.fields.size(); ++i) {
      const std::string header = to_lower(answer.fields.name(i));
      if (is_of_the_answer(header)) continue;
      analysis::visit_field(header, answer.fields.value(i), [&](const analysis::Place& place, std::string_view value) {
        const bool cookie = place.kind == analysis::PlaceKind::kCookie;
        if (place.name.empty()) return true;
        std::string pattern;
        if (cookie) pattern = (header == "cookie" ? "(?:^|; *)" : "^") + quoted(place.name) + "=([^;]*)";
        add(row, value, place.name, {.header = header, .pattern = pattern});
        return true;
      });
    }
    if (answer.content.size() > kMostParsed) return;
    const auto document = parse_json(answer.content);
    if (!document) return;
    analysis::visit_json(*document, [&](const analysis::Place& place, std::string_view value) {
      if (!place.pointer.empty()) add(row, value, member_of(place.pointer), {.pointer = place.json()});
      return candidates_.size() < kMostCandidates;
    });
  }

  // The nearest name: an item of a list goes by the list's.
  static std::string member_of(const std::vector<std::string>& pointer) {
    const auto is_name = [](const std::string& step) { return step.find_first_not_of("0123456789") != step.npos; };
    const auto named = std::find_if(pointer.rbegin(), pointer.rend(), is_name);
    return named == pointer.rend() ? "value" : *named;
  }

  static std::string quoted(std::string_view text) {
    std::string out;
    for (const char c : text) {
      const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
      if (!plain) out += '\\';
      out += c;
    }
    return out;
  }

  struct How {
    std::string pointer, header, pattern;
  };
  // Only what nobody said before: the first answer with it brought it.
  void add(const session::Row& row, std::string_view text, const std::string& member, How how) {
    if (text.size() < kLeastChained || text.size() > kLongestValue || candidates_.size() >= kMostCandidates) return;
    std::string value(text);
    if (!values_.insert(value).second || said_.find(value) != std::string::npos) return;
    const std::string plain = name_of(member);
    std::string name = plain;
    for (int i = 2; by_name_.contains(name); ++i) name = fmt::format("{}_{}", plain, i);
    Candidate& one = candidates_.emplace_back(Candidate{.what = ChainedValue(name, std::move(value)),
                                                        .exchange_id = row.id,
                                                        .pointer = std::move(how.pointer),
                                                        .header = std::move(how.header),
                                                        .pattern = std::move(how.pattern),
                                                        .step = steps_.size() - 1});
    by_name_[name] = &one;
    const auto shorter = [](const ChainedValue* a, const ChainedValue* b) { return a->value.size() > b->value.size(); };
    known_.insert(std::upper_bound(known_.begin(), known_.end(), &one.what, shorter), &one.what);
  }

  const session::Reader& reader_;
  CallContext& context_;
  Json steps_ = Json::array(), ids_ = Json::array();
  std::deque<Candidate> candidates_;  // which stay where they are
  std::map<std::string, Candidate*> by_name_;
  std::vector<ChainedValue*> known_;  // the longest first
  std::set<std::string> values_;
  std::string said_;  // by requests so far
  std::size_t variables_ = 0;
};

ToolResult generate_template(const Json& arguments, CallContext& context) {
  SLUICE_TRY(const auto expression, read_expression(arguments));
  SLUICE_TRY(const auto reader, open_session(arguments, context));
  std::vector<session::Row> rows;
  if (const Json* ids = find_member(arguments, "exchange_ids")) {
    if (ids->size() > kMostSteps) return fail(Code::kInvalid, fmt::format("at most {} exchange_ids", kMostSteps));
    for (const Json& id : *ids) {
      SLUICE_TRY(session::Row row, reader->find(id.get<std::string>()));
      rows.push_back(std::move(row));
    }
  } else {
    session::Query query = read_query(arguments);
    query.ascending = true;
    const auto limit = static_cast<std::uint64_t>(*integer_argument(arguments, "limit"));
    SLUICE_TRY(FoundRows found, find_rows(*reader, query, expression, 0, limit, context));
    rows = std::move(found.rows);
  }
  Template made(*reader, context);
  std::size_t skipped = 0;
  for (const session::Row& row : rows) {
    if (context.stop.stop_requested()) return fail(Code::kCancelled, "The call was cancelled.");
    const auto exchange = reader->exchange(row);
    if (!exchange || !replay::check_replayable(*exchange, {})) {
      ++skipped;
      continue;
    }
    SLUICE_CHECK(made.take(row));
  }
  Json answer = made.answer();
  if (skipped > 0) answer["skipped"] = skipped;
  return answer;
}

}  // namespace

Tool flow_template_tool() {
  Tool tool = {
      .name = "proxy_generate_flow_template",
      .title = "A recording as a template",
      .summary =
          "Recorded requests, oldest first, as steps with ${name} where a value stands that an earlier answer brought "
          "(8 octets and more), and the arguments that proxy_replay_session replays them with.",
      .group = "sessions",
      .risk = Risk::kRead,
      .hints = kSlow | kReturnsTraffic | kIdempotent,
      .fields = {{.name = "session_id", .meaning = "From proxy_list_sessions.", .required = true},
                 {.name = "exchange_ids",
                  .type = FieldType::kStringArray,
                  .meaning = "These, in this order; no filter holds then."},
                 {.name = "limit",
                  .type = FieldType::kInteger,
                  .meaning = "Steps at most.",
                  .default_value = 20,
                  .minimum = 1,
                  .maximum = kMostSteps}},
      .result = {{"sessionId", "string", ""},
                 {"stepCount", "number", ""},
                 {"steps",
                  "object[]",
                  "",
                  false,
                  false,
                  {{"step", "number", "from 0"},
                   {"exchangeId", "string", ""},
                   {"method", "string", ""},
                   {"url", "string", ""},
                   {"headers", "string[]", "name: value"},
                   {"body", "string", "the first 4,096 characters", true},
                   {"bodyCut", "boolean", "", true},
                   {"bodyBytes", "number", "of one that is no text, or over 64 KiB", true},
                   {"uses", "object[]", "{name, in: url, header NAME or body}"},
                   {"recordedStatus", "number", "", false, true}}},
                 {"variables", "object[]", "{name, step, length, from: body POINTER or header NAME}"},
                 {"replay", "object", "{tool, arguments}"},
                 {"skipped", "number", "what cannot be sent again", true}},
      .function = generate_template,
  };
  add_query_fields(tool.fields);
  tool.fields.push_back(
      {.name = "filter", .meaning = "As in proxy_list_traffic: ~d host ~m GET ~c 5.. ~b body ! & | ()"});
  return tool;
}

}  // namespace sluice::tools
