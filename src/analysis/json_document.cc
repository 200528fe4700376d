#include "analysis/json_document.h"

#include <algorithm>
#include <string>
#include <vector>

namespace sluice::analysis {
namespace {

using simdjson::dom::element_type;

constexpr std::size_t kFewNames = 8;  // compared each with each

bool has_twins(std::vector<std::string_view>& names) {
  if (names.size() > kFewNames) {
    std::sort(names.begin(), names.end());
    return std::adjacent_find(names.begin(), names.end()) != names.end();
  }
  for (std::size_t i = 1; i < names.size(); ++i) {
    for (std::size_t j = 0; j < i; ++j) {
      if (names[i] == names[j]) return true;
    }
  }
  return false;
}

// What JsonLimits ask for, and one member of each name. `depth`: of the arrays and objects around it.
bool is_within(const JsonElement& element, const JsonLimits& limits, std::size_t depth) {
  const element_type type = element.type();
  if (type != element_type::ARRAY && type != element_type::OBJECT) return true;
  if (depth >= limits.max_depth) return false;
  if (type == element_type::ARRAY) {
    for (const JsonElement item : array_of(element)) {
      if (!is_within(item, limits, depth + 1)) return false;
    }
    return true;
  }
  std::vector<std::string_view> names;
  for (const auto member : object_of(element)) {
    if (names.size() == limits.max_members || !is_within(member.value, limits, depth + 1)) return false;
    names.push_back(member.key);
  }
  return !has_twins(names);
}

bool pay(std::size_t cost, std::size_t& left) {
  if (cost > left) return false;
  left -= cost;
  return true;
}

}  // namespace

bool JsonDocument::take(std::string_view text, const JsonLimits& limits) {
  if (parser_->allocate(text.size(), limits.max_depth + 2) != simdjson::SUCCESS) return false;
  return parser_->parse(text.data(), text.size()).get(root_) == simdjson::SUCCESS && is_within(root_, limits, 0);
}

Result<JsonDocument> JsonDocument::parse(std::string_view text, const JsonLimits& limits) {
  JsonDocument document;
  if (document.take(text, limits)) return document;
  // Something is wrong with it, and parse_json says what; or simdjson is stricter, and is given what parse_json read.
  SLUICE_TRY(const Json json, parse_json(text, limits));
  if (document.take(dump_json(json), limits)) return document;
  return fail(Code::kInvalid, "this JSON cannot be read");
}

std::optional<Json> to_json(const JsonElement& element, std::size_t& left) {
  if (!pay(kValueCost, left)) return std::nullopt;
  switch (element.type()) {
    case element_type::ARRAY: {
      Json made = Json::array();
      for (const JsonElement item : array_of(element)) {
        auto json = to_json(item, left);
        if (!json) return std::nullopt;
        made.push_back(*std::move(json));
      }
      return made;
    }
    case element_type::OBJECT: {
      Json made = Json::object();
      auto& members = made.get_ref<Json::object_t&>();  // whose names are known to differ
      for (const auto member : object_of(element)) {
        auto json = to_json(member.value, left);
        if (!json || !pay(member.key.size(), left)) return std::nullopt;
        members.Container::emplace_back(std::string(member.key), *std::move(json));
      }
      return made;
    }
    case element_type::INT64:
      return Json(element.get_int64().value_unsafe());
    case element_type::UINT64:
      return Json(element.get_uint64().value_unsafe());
    case element_type::DOUBLE:
      return Json(element.get_double().value_unsafe());
    case element_type::STRING: {
      const std::string_view text = element.get_string().value_unsafe();
      if (!pay(text.size(), left)) return std::nullopt;
      return Json(std::string(text));
    }
    case element_type::BOOL:
      return Json(element.get_bool().value_unsafe());
    case element_type::NULL_VALUE:
      break;
  }
  return Json();
}

}  // namespace sluice::analysis
