// extract_from_flow and get_flow_schema (mitm-tools.json) on whole decoded bodies.
#include "tools/mitm_extract.h"

#include <fmt/format.h>

#include <algorithm>

#include "analysis/body.h"
#include "analysis/css.h"
#include "analysis/html.h"
#include "analysis/jsonpath.h"
#include "base/redact.h"
#include "base/text.h"
#include "tools/mitm_flow.h"
#include "tools/page.h"

namespace sluice::tools {
namespace {

using flow::Direction;

constexpr ByteCount kMostBody = 32 * kMiB;         // decoded octets that are taken apart
constexpr std::size_t kMostOuterHtml = 64 * kKiB;  // octets of one element
constexpr std::chrono::seconds kMostHtmlTime{3};   // for taking a page apart: 8 MiB take half a second
constexpr std::size_t kMostTaken = 10'000;         // results of one call
constexpr ByteCount kMostCopied = 64 * kMiB;       // of all results of one call, as to_json counts
// Separate from those of JSON-RPC (analysis.md): a body is somebody else's.
constexpr JsonLimits kBodyJson{.max_depth = 256, .max_members = 20'000, .refuse_duplicate_keys = false};

// Masked where `redactor` says so, before anything is looked for: what a filter may ask of a secret it could find out
// letter by letter.
Result<std::string> response_text(const flow::Exchange& exchange, const CallContext& context,
                                  const Redactor* redactor) {
  if (exchange.status == 0 || exchange.response.body.size == 0)
    return fail(Code::kNotFound, "Flow has no response body.");
  SLUICE_TRY(
      analysis::BodyWindow window,
      analysis::read_window(context.services->ring, exchange, Direction::kResponse,
                            {.limit = kMostBody, .measure = false, .budget = kMostBody + 1, .stop = context.stop}));
  if (window.more || window.octets.size() >= kMostBody) {
    return fail(Code::kTooLarge, "A response body of more than 32 MiB is not taken apart: read it with inspect_flow.");
  }
  if (!redactor) return std::move(window.octets);
  const std::string type = content_type_or_unknown(exchange, Direction::kResponse);
  return redactor->mask_body(window.octets, type).text;
}

Result<analysis::JsonDocument> response_json(const flow::Exchange& exchange, const CallContext& context,
                                             const Redactor* redactor) {
  SLUICE_TRY(const std::string text, response_text(exchange, context, redactor));
  auto json = analysis::JsonDocument::parse(text, kBodyJson);
  if (json) return json;
  Error error = std::move(json).error();
  if (error.code == Code::kInvalid) error.message = "Response body is not valid JSON.";
  return fail(std::move(error));
}

// --- extract_from_flow ---

// What other dialects write otherwise.
std::string dialect_hint(std::string_view path) {
  if (path.find('`') != std::string_view::npos)
    return " RFC 9535 has no `parent`: filter the parent by what is in it, $..[?@.name].";
  if (path.find(" where ") != std::string_view::npos) return " For where write a filter: $..[?@.name].";
  if (path.find('|') != std::string_view::npos) return " For two members write $['a','b'].";
  return "";
}

// Without "$" in front the expression is taken as if "$." stood there.
Result<analysis::JsonPath> parse_path(const std::string& text) {
  auto path = analysis::JsonPath::parse(text);
  if (path) return path;
  if (!text.starts_with('$')) {
    if (auto relative = analysis::JsonPath::parse("$." + text)) return relative;
  }
  return fail(Code::kInvalid,
              fmt::format("json_path is no JSONPath (RFC 9535): {}.{}", path.error().message, dialect_hint(text)));
}

struct Taken {
  Json items = Json::array(), paths = Json::array();
  std::size_t total = 0;
  bool truncated = false;
};

struct Window {
  std::size_t offset = 0, limit = 0;
};

Result<Taken> take_json(const flow::Exchange& exchange, const std::string& text, const Window& window, bool with_paths,
                        const CallContext& context) {
  SLUICE_TRY(const analysis::JsonPath path, parse_path(text));
  SLUICE_TRY(const analysis::JsonDocument document, response_json(exchange, context, context.redactor));
  const analysis::JsonPathFound found = path.find(document, {.paths = with_paths, .stop = context.stop});
  Taken taken;
  taken.total = found.values.size();
  taken.truncated = found.truncated;
  std::size_t left = kMostCopied;  // results may hold each other
  for (std::size_t i = window.offset; i < found.values.size() && taken.items.size() < window.limit; ++i) {
    auto item = analysis::to_json(found.values[i], left);
    if (!item && taken.items.empty()) {
      return fail(Code::kTooLarge, "One value alone is too large for an answer: ask for a part of it.");
    }
    if (!item) break;
    taken.items.push_back(*std::move(item));
    if (with_paths) taken.paths.push_back(found.paths[i]);
  }
  return taken;
}

// class is a list, as in the contract.
Json attributes_json(const analysis::HtmlNode& node) {
  Json attributes = Json::object();
  for (const auto& [name, value] : node.attributes) {
    if (name != "class") {
      attributes[std::string(name)] = value;
      continue;
    }
    Json& classes = attributes["class"] = Json::array();
    std::string_view rest = value;
    constexpr std::string_view kBlank = " \t\n\r\f";
    for (std::size_t begin; (begin = rest.find_first_not_of(kBlank)) != std::string_view::npos;) {
      rest.remove_prefix(begin);
      const std::size_t end = std::min(rest.find_first_of(kBlank), rest.size());
      classes.push_back(rest.substr(0, end));
      rest.remove_prefix(end);
    }
  }
  return attributes;
}

Result<Taken> take_html(const flow::Exchange& exchange, const std::string& text, const Window& window,
                        const CallContext& context) {
  auto selector = analysis::CssSelector::parse(text);
  if (!selector) return fail(Code::kInvalid, fmt::format("css_selector cannot be used: {}.", selector.error().message));
  SLUICE_TRY(const std::string body, response_text(exchange, context, context.redactor));
  const Clock& clock = context.services->clock;
  const MonoTime end = clock.mono() + kMostHtmlTime;
  const auto enough = [&] { return context.stop.stop_requested() || clock.mono() >= end; };
  SLUICE_TRY(const analysis::HtmlPage page, analysis::HtmlPage::parse(body, enough));
  const analysis::CssFound found = selector->find(page, kMostTaken, context.stop);
  Taken taken;
  taken.total = found.elements.size();
  taken.truncated = found.truncated;
  for (std::size_t i = window.offset; i < found.elements.size() && taken.items.size() < window.limit; ++i) {
    const analysis::HtmlNode& node = *found.elements[i];
    taken.items.push_back(
        {{"text", text_of(node)}, {"html", outer_html(node, kMostOuterHtml)}, {"attrs", attributes_json(node)}});
  }
  return taken;
}

ToolResult extract_from_flow(const Json& arguments, CallContext& context) {
  const auto path = text_argument(arguments, "json_path"), selector = text_argument(arguments, "css_selector");
  if (!path && !selector) return fail(Code::kInvalid, "Give json_path or css_selector.");
  SLUICE_TRY(const flow::Exchange exchange, find_flow(context, *text_argument(arguments, "flow_id")));
  const Window window{static_cast<std::size_t>(*integer_argument(arguments, "offset")),
                      static_cast<std::size_t>(*integer_argument(arguments, "limit"))};
  SLUICE_TRY(Taken taken, path ? take_json(exchange, *path, window, flag_argument(arguments, "paths"), context)
                               : take_html(exchange, *selector, window, context));
  if (context.stop.stop_requested()) return fail(Code::kCancelled, "The call was cancelled.");
  Page page;
  for (std::size_t i = 0; i < taken.items.size(); ++i) {
    // With its path, so that both lists end where the next page begins.
    Json one = std::move(taken.items[i]);
    if (!taken.paths.empty()) one = Json::array({std::move(one), taken.paths[i]});
    if (!page.add(std::move(one))) break;
  }
  const std::size_t next = window.offset + page.size();
  Json items = page.take();
  if (!taken.paths.empty()) {
    taken.paths = Json::array();
    for (Json& item : items) {
      taken.paths.push_back(std::move(item[1]));
      item = Json(std::move(item[0]));
    }
  }
  Json answer = {{"result", std::move(items)}};
  if (!taken.paths.empty()) answer["paths"] = std::move(taken.paths);
  answer["total"] = taken.total;
  answer["offset"] = window.offset;
  if (next < taken.total) answer["next_offset"] = next;
  if (taken.truncated) answer["truncated"] = true;
  return answer;
}

// --- get_flow_schema ---

std::string_view type_name(const analysis::JsonElement& value) {
  if (value.is_bool()) return "bool";
  if (value.is_int64() || value.is_uint64()) return "int";
  if (value.is_double()) return "float";
  if (value.is_string()) return "str";
  if (value.is_array()) return "list";
  if (value.is_object()) return "dict";
  return "null";
}

ToolResult get_flow_schema(const Json& arguments, CallContext& context) {
  SLUICE_TRY(const flow::Exchange exchange, find_flow(context, *text_argument(arguments, "flow_id")));
  SLUICE_TRY(const analysis::JsonDocument document, response_json(exchange, context, context.redactor));
  const auto object = document.root().get_object();
  if (object.error() != simdjson::SUCCESS) {
    return fail(Code::kInvalid,
                fmt::format("Response is JSON but not an object (it's {}).", type_name(document.root())));
  }
  Json schema = Json::object();
  for (const auto member : object.value_unsafe()) schema[std::string(member.key)] = type_name(member.value);
  return schema;
}

}  // namespace

Result<Extracted> first_of_json(const flow::Exchange& exchange, const std::string& text, const CallContext& context) {
  SLUICE_TRY(const analysis::JsonPath path, parse_path(text));
  SLUICE_TRY(const analysis::JsonDocument document, response_json(exchange, context, context.redactor));
  const analysis::JsonPathFound found = path.find(document, {.results = 1, .paths = true, .stop = context.stop});
  if (found.values.empty()) return fail(Code::kNotFound, "json_path finds nothing in this answer.");
  const auto text_of_value = [](const analysis::JsonElement& element) -> Result<std::string> {
    std::size_t left = kMostCopied;
    const auto value = analysis::to_json(element, left);
    if (!value) return fail(Code::kTooLarge, "What json_path finds is too large for a variable.");
    return value->is_string() ? value->get<std::string>() : dump_json(*value);
  };
  SLUICE_TRY(std::string shown, text_of_value(found.values.front()));
  Extracted extracted{std::move(shown), ""};
  extracted.raw = extracted.shown;
  if (!context.redactor) return extracted;
  SLUICE_TRY(const analysis::JsonPath place, analysis::JsonPath::parse(found.paths.front()));
  SLUICE_TRY(const analysis::JsonDocument whole, response_json(exchange, context, nullptr));
  const analysis::JsonPathFound there = place.find(whole, {.results = 1, .stop = context.stop});
  if (!there.values.empty()) {
    SLUICE_TRY(extracted.raw, text_of_value(there.values.front()));
  }
  return extracted;
}

Result<Extracted> first_of_html(const flow::Exchange& exchange, const std::string& text, const CallContext& context) {
  auto selector = analysis::CssSelector::parse(text);
  if (!selector) return fail(Code::kInvalid, fmt::format("css_selector cannot be used: {}.", selector.error().message));
  const Clock& clock = context.services->clock;
  const MonoTime end = clock.mono() + kMostHtmlTime;
  const auto enough = [&] { return context.stop.stop_requested() || clock.mono() >= end; };
  SLUICE_TRY(const std::string shown, response_text(exchange, context, context.redactor));
  SLUICE_TRY(const analysis::HtmlPage page, analysis::HtmlPage::parse(shown, enough));
  const analysis::CssFound found = selector->find(page, 1, context.stop);
  if (found.elements.empty()) return fail(Code::kNotFound, "css_selector finds nothing in this answer.");
  // What an input or a meta element says stands in an attribute.
  const auto said = [](const analysis::HtmlNode& node) {
    const std::string_view* value = node.name == "input" ? node.attribute("value") : nullptr;
    if (node.name == "meta") value = node.attribute("content");
    return value ? std::string(*value) : text_of(node);
  };
  Extracted extracted{said(*found.elements.front()), ""};
  extracted.raw = extracted.shown;
  if (!context.redactor) return extracted;
  // Masks change no element: the same place in the page as it is.
  const auto& all = page.elements();
  const auto place = static_cast<std::size_t>(std::find(all.begin(), all.end(), found.elements.front()) - all.begin());
  SLUICE_TRY(const std::string raw, response_text(exchange, context, nullptr));
  SLUICE_TRY(const analysis::HtmlPage whole, analysis::HtmlPage::parse(raw, enough));
  if (whole.elements().size() == all.size()) extracted.raw = said(*whole.elements()[place]);
  return extracted;
}

Result<Extracted> whole_answer(const flow::Exchange& exchange, const CallContext& context) {
  Extracted extracted;
  SLUICE_TRY(extracted.raw, response_text(exchange, context, nullptr));
  SLUICE_TRY(extracted.shown, response_text(exchange, context, context.redactor));
  return extracted;
}

Tool get_flow_schema_tool() {
  return {.name = "get_flow_schema",
          .title = "Members of a JSON answer",
          .summary = "The types of the top-level members of a flow's JSON answer, whatever its length.",
          .group = "traffic",
          .risk = Risk::kRead,
          .hints = kMitmproxy | kSlow | kReturnsTraffic | kIdempotent,
          .fields = {flow_id_field()},
          .function = get_flow_schema};
}

Tool extract_tool() {
  return {.name = "extract_from_flow",
          .title = "Parts of an answer",
          .summary =
              "Values out of a flow's whole decoded answer: of JSON by JSONPath (RFC 9535), of HTML by a CSS selector. "
              "Filters see what is shown: secrets as their masks.",
          .group = "traffic",
          .risk = Risk::kRead,
          .hints = kMitmproxy | kWrapped | kSlow | kReturnsTraffic | kIdempotent,
          .fields = {flow_id_field(),
                     {.name = "json_path", .meaning = "$.items[?@.price < 10].name; it wins where both are given."},
                     {.name = "css_selector", .meaning = "table.prices > tbody td:first-child"},
                     {.name = "paths",
                      .type = FieldType::kBoolean,
                      .meaning = "json_path: also where each value stands, as a normalised path.",
                      .default_value = false},
                     {.name = "offset",
                      .type = FieldType::kInteger,
                      .meaning = "Results to skip.",
                      .default_value = 0,
                      .minimum = 0},
                     {.name = "limit",
                      .type = FieldType::kInteger,
                      .meaning = "At most so many.",
                      .default_value = kMostTaken,
                      .minimum = 0,
                      .maximum = static_cast<double>(kMostTaken)}},
          .result = {{"result", "array", "values, or {text, html, attrs}"},
                     {"paths", "string[]", "of the values", true},
                     {"total", "number", "found"},
                     {"offset", "number", ""},
                     {"next_offset", "number", "there are more", true},
                     {"truncated", "boolean", "a limit ended the search, or the answer was too long", true}},
          .function = extract_from_flow};
}

}  // namespace sluice::tools
