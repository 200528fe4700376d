#include "tools/replay_plan.h"

#include <fmt/format.h>

#include <algorithm>
#include <unordered_set>

#include "base/json_pointer.h"
#include "base/text.h"
#include "tools/replaying.h"
#include "tools/session_json.h"
#include "tools/session_rows.h"
#include "tools/subjects.h"
#include "tools/traffic_filter.h"

namespace sluice::tools {
namespace {

constexpr std::size_t kMostSteps = 5'000;
constexpr std::size_t kMostExtracts = 100;
constexpr int kMostConcurrent = 64;
constexpr double kMostPerSecond = 10'000;
constexpr int kMostRetries = 5;

Result<ReplayExtract> read_extract(const Json& given) {
  ReplayExtract extract;
  extract.name = *text_argument(given, "name");
  extract.exchange_id = *text_argument(given, "exchange_id");
  if (!analysis::is_variable_name(extract.name)) {
    return fail(Code::kInvalid, fmt::format("extract: \"{}\" is no name of a variable", repair_utf8(extract.name)));
  }
  const auto pointer = text_argument(given, "pointer"), pattern = text_argument(given, "regex"),
             header = text_argument(given, "header");
  const bool one = pointer.has_value() != (pattern.has_value() || header.has_value());
  if (!one) {
    return fail(Code::kInvalid,
                fmt::format("extract {}: give pointer, regex, header, or header and regex", extract.name));
  }
  if (pointer) {
    if (const Status sound = check_pointer(*pointer); !sound) {
      return fail(Code::kInvalid, fmt::format("extract {}: {}", extract.name, sound.error().message));
    }
    extract.pointer = *pointer;
    return extract;
  }
  extract.from = header ? ReplayExtract::From::kHeader : ReplayExtract::From::kPattern;
  extract.header = header.value_or("");
  if (pattern) {
    auto compiled = regex::Regex::compile(*pattern, {.captures = true});
    if (!compiled) {
      return fail(compiled.error().code, fmt::format("extract {}: {}", extract.name, compiled.error().message));
    }
    extract.pattern = *std::move(compiled);
  }
  return extract;
}

Status read_values(const Json& arguments, ReplayOptions& options) {
  if (const Json* variables = find_member(arguments, "variables")) {
    for (const auto& [name, value] : variables->items()) {
      if (!analysis::is_variable_name(name)) {
        return fail(Code::kInvalid, fmt::format("variables: \"{}\" is no name of a variable", repair_utf8(name)));
      }
      options.variables[name] = value.get<std::string>();
    }
  }
  if (const Json* fields = find_member(arguments, "set_headers")) {
    for (const auto& [name, value] : fields->items()) {
      options.fields.emplace_back(name, value.is_null() ? std::nullopt : std::optional(value.get<std::string>()));
    }
  }
  if (const Json* extracts = find_member(arguments, "extract")) {
    if (extracts->size() > kMostExtracts) {
      return fail(Code::kInvalid, fmt::format("extract: at most {} values", kMostExtracts));
    }
    for (const Json& one : *extracts) {
      SLUICE_TRY(ReplayExtract extract, read_extract(one));
      options.extracts.push_back(std::move(extract));
    }
  }
  if (!options.extracts.empty() && options.pace.concurrency > 1) {
    return fail(Code::kInvalid,
                "extract takes values from answers for what is sent behind them: concurrency must be 1");
  }
  return {};
}

// Sent in the order that was asked for, or at the times between them that were recorded.
void pace_as_recorded(std::vector<ReplayStep>& steps, ReplayOptions& options) {
  std::stable_sort(steps.begin(), steps.end(), [](const ReplayStep& a, const ReplayStep& b) {
    return std::tie(a.row.timestamp_ms, a.row.seq) < std::tie(b.row.timestamp_ms, b.row.seq);
  });
  std::optional<std::int64_t> first;
  for (const ReplayStep& step : steps) {
    if (!step.skipped.empty()) continue;
    if (!first) first = step.row.timestamp_ms;
    options.pace.begins.push_back(std::chrono::milliseconds(step.row.timestamp_ms - *first));
  }
}

}  // namespace

Result<ReplayOptions> read_replay_options(const Json& arguments) {
  ReplayOptions options;
  options.target_base = text_argument(arguments, "target_base_url");
  options.timeout = std::chrono::milliseconds(*integer_argument(arguments, "timeout_ms"));
  options.allow_unsafe = flag_argument(arguments, "allow_unsafe") || text_argument(arguments, "method") ||
                         find_member(arguments, "exchange_ids");
  options.substitute_captured = flag_argument(arguments, "substitute_captured");
  options.chain = flag_argument(arguments, "chain");
  options.direct = flag_argument(arguments, "direct");
  options.paced = text_argument(arguments, "pace") == "recorded";
  options.pace.concurrency = static_cast<std::size_t>(*integer_argument(arguments, "concurrency"));
  options.pace.per_second = number_argument(arguments, "rate").value_or(0);
  options.pace.retries = static_cast<int>(*integer_argument(arguments, "retries"));
  options.pace.stop_on_error = flag_argument(arguments, "stop_on_error");
  if (const Json* ignore = find_member(arguments, "ignore")) options.ignore = ignore->get<std::vector<std::string>>();
  SLUICE_CHECK(read_values(arguments, options));
  return options;
}

Result<std::vector<ReplayStep>> plan_replay(const session::Reader& reader, const Json& arguments,
                                            ReplayOptions& options, CallContext& context) {
  std::vector<session::Row> rows;
  if (const Json* ids = find_member(arguments, "exchange_ids")) {
    if (ids->size() > kMostSteps) return fail(Code::kInvalid, fmt::format("at most {} exchange_ids", kMostSteps));
    for (const Json& id : *ids) {
      SLUICE_TRY(session::Row row, reader.find(id.get<std::string>()));
      rows.push_back(std::move(row));
    }
  } else {
    SLUICE_TRY(const auto expression, read_expression(arguments));
    const auto limit = static_cast<std::uint64_t>(*integer_argument(arguments, "limit"));
    const auto offset = static_cast<std::uint64_t>(*integer_argument(arguments, "offset"));
    SLUICE_TRY(FoundRows found, find_rows(reader, read_query(arguments), expression, offset, limit, context));
    rows = std::move(found.rows);
  }
  ReplayValues values(options, context);
  std::vector<ReplayStep> steps;
  for (session::Row& row : rows) {
    ReplayStep& step = steps.emplace_back();
    step.row = std::move(row);
    step.target_url = step.row.url;
    const auto exchange = reader.exchange(step.row);
    if (!exchange) {
      step.skipped = exchange.error().message;
      continue;
    }
    SLUICE_TRY(const auto target, values.target(*exchange));
    if (target) step.target_url = to_string(*target);
    if (const Status may = replay::check_replayable(*exchange, {}); !may) {
      step.skipped = may.error().message;
    } else if (!options.allow_unsafe && !replay::is_safe_method(exchange->method)) {
      step.skipped = fmt::format("{} may change something: allow_unsafe, method or exchange_ids send it",
                                 repair_utf8(exchange->method));
    }
  }
  if (options.paced) pace_as_recorded(steps, options);
  return steps;
}

std::vector<Field> replay_fields() {
  return {
      {.name = "target_base_url", .meaning = "Another scheme, host, port and path before the recorded paths."},
      {.name = "timeout_ms",
       .type = FieldType::kInteger,
       .meaning = "Of each request, to its answer's end.",
       .default_value = 15'000,
       .minimum = 1'000,
       .maximum = 600'000},
      {.name = "filter", .meaning = "As in proxy_list_traffic: ~d host ~m GET ~c 5.. ~b body ! & | ()"},
      {.name = "allow_unsafe",
       .type = FieldType::kBoolean,
       .meaning = "Also POST, PUT, DELETE …; method and exchange_ids allow what they name.",
       .default_value = false},
      {.name = "direct",
       .type = FieldType::kBoolean,
       .meaning = "false: through rules and upstream proxies.",
       .default_value = true},
      {.name = "concurrency",
       .type = FieldType::kInteger,
       .meaning = "Requests at once.",
       .default_value = 1,
       .minimum = 1,
       .maximum = kMostConcurrent},
      {.name = "rate",
       .type = FieldType::kNumber,
       .meaning = "Requests begun each second; 0: as fast as they end.",
       .default_value = 0,
       .minimum = 0,
       .maximum = kMostPerSecond},
      {.name = "pace",
       .meaning = "recorded: in the order and with the pauses of the recording.",
       .default_value = "none",
       .choices = {"none", "recorded"}},
      {.name = "retries",
       .type = FieldType::kInteger,
       .meaning = "Of GET, HEAD and OPTIONS without an answer.",
       .default_value = 0,
       .minimum = 0,
       .maximum = kMostRetries},
      {.name = "deadline_ms",
       .type = FieldType::kInteger,
       .meaning = "For all; what is left is listed as skipped. At most the call's own 30 s.",
       .minimum = 1},
      {.name = "stop_on_error",
       .type = FieldType::kBoolean,
       .meaning = "Nothing more after one without an answer.",
       .default_value = false},
      {.name = "set_headers",
       .type = FieldType::kNullableStringMap,
       .meaning = "Set in each request; null removes. ${name}: see variables.",
       .takes_handles = true},
      {.name = "variables",
       .type = FieldType::kStringMap,
       .meaning = "Values for ${name} in target_base_url and set_headers; ${timestamp} and ${uuid} are there."},
      {.name = "extract",
       .type = FieldType::kObjects,
       .meaning = "More variables, from answers to earlier requests.",
       .fields = {{.name = "name", .meaning = "Of the variable.", .required = true},
                  {.name = "exchange_id",
                   .meaning = "The recorded exchange whose new answer has it.",
                   .required = true},
                  {.name = "pointer", .meaning = "JSON pointer into its body."},
                  {.name = "regex", .meaning = "RE2 on its body, or on the header: the first group."},
                  {.name = "header", .meaning = "Name of a header field."}}},
      {.name = "substitute_captured",
       .type = FieldType::kBoolean,
       .meaning = "Put variables into recorded URLs, headers and bodies, too, where ${name} stands.",
       .default_value = false},
      {.name = "chain",
       .type = FieldType::kBoolean,
       .meaning =
           "What extract finds in a recorded answer gives way, in recorded requests behind it, to what it finds in "
           "the new one (values of 8 octets and more). proxy_generate_flow_template says which.",
       .default_value = false},
      {.name = "ignore",
       .type = FieldType::kStringArray,
       .meaning = "Header names and JSON pointers that do not count as differences."},
  };
}

}  // namespace sluice::tools
