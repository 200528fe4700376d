#include "analysis/places.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <set>

#include "analysis/flow_view.h"
#include "analysis/html.h"
#include "base/json_pointer.h"
#include "base/text.h"

namespace sluice::analysis {
namespace {

constexpr JsonLimits kJson{.refuse_duplicate_keys = false};
constexpr std::size_t kMostName = 200;  // octets of an attribute that describes an element
// What an element is told from its siblings by.
constexpr std::array<std::string_view, 4> kKeys = {"name", "id", "property", "itemprop"};

bool visit_member(const Json& value, Place& place, std::size_t& left, const VisitPlace& visit) {
  if (value.is_string()) return left-- > 0 && visit(place, value.get_ref<const std::string&>());
  if (value.is_number()) return left-- > 0 && visit(place, dump_json(value));
  if (!value.is_structured() || place.pointer.size() >= kMostPlaceDepth) return true;
  for (const auto& [name, member] : value.items()) {
    place.pointer.push_back(name);
    const bool more = visit_member(member, place, left, visit);
    place.pointer.pop_back();
    if (!more) return false;
  }
  return true;
}

void describe(Place& place, const HtmlNode& node) {
  place.element = node.name;
  for (const std::string_view key : kKeys) {
    const std::string_view* const value = node.attribute(key);
    if (!value || value->empty() || value->size() > kMostName) continue;
    place.key = key;
    place.key_value = *value;
    break;
  }
  const std::string_view* const type = node.attribute("type");
  place.hidden = node.name == "input" && type && iequals(*type, "hidden");
}

class PageWalk {
 public:
  explicit PageWalk(const VisitPlace& visit) : visit_(visit) {}

  bool element(const HtmlNode& node) {
    Place place{.kind = PlaceKind::kHtml};
    describe(place, node);
    for (const auto& [name, value] : node.attributes) {
      place.name = name;
      place.first = seen_.emplace(place.element, place.key, place.key_value, place.name).second;
      if (name != place.key && !value.empty() && !(left_-- > 0 && visit_(place, value))) return false;
    }
    place.name.clear();
    place.first = false;  // programs take attributes only
    for (const HtmlNode* child = node.first_child; child; child = child->next) {
      if (child->is_element() || trim(child->text).empty()) continue;
      if (!(left_-- > 0 && visit_(place, child->text))) return false;
    }
    return true;
  }

 private:
  const VisitPlace& visit_;
  std::size_t left_ = kMostPlaces;
  std::set<std::tuple<std::string, std::string, std::string, std::string>> seen_;
};

}  // namespace

std::string_view to_string(PlaceKind kind) {
  constexpr std::array<std::string_view, 8> kNames = {"header", "cookie", "path", "query",
                                                      "form",   "json",   "html", "text"};
  return kNames[static_cast<std::size_t>(kind)];
}

std::string Place::json() const {
  std::string all;
  for (const std::string& step : pointer) all += "/" + pointer_segment(step);
  return all;
}

std::string Place::label() const {
  if (kind == PlaceKind::kJson) return json();
  if (kind != PlaceKind::kHtml) return name;
  std::string selector = element;
  if (!key.empty()) selector += fmt::format("[{}={}]", key, dump_json(Json(key_value)));
  return selector;
}

bool visit_field(std::string_view name, std::string_view value, const VisitPlace& visit) {
  if (iequals(name, "set-cookie")) {
    const std::string_view pair = value.substr(0, value.find(';'));
    const std::size_t equals = pair.find('=');
    if (equals == std::string_view::npos) return true;
    return visit({.kind = PlaceKind::kCookie, .name = std::string(trim(pair.substr(0, equals)))},
                 trim(pair.substr(equals + 1)));
  }
  if (!iequals(name, "cookie")) return visit({.kind = PlaceKind::kHeader, .name = std::string(name)}, trim(value));
  for (const std::string_view part : split(value, ';')) {
    const std::size_t equals = part.find('=');
    if (equals == std::string_view::npos) continue;
    if (!visit({.kind = PlaceKind::kCookie, .name = std::string(trim(part.substr(0, equals)))},
               trim(part.substr(equals + 1))))
      return false;
  }
  return true;
}

bool visit_target(std::string_view target, const VisitPlace& visit) {
  const std::size_t mark = std::min(target.find('?'), target.size());
  std::size_t number = 0;
  for (const std::string_view segment :
       split(target.substr(target.starts_with('/') ? 1 : 0, mark - (target.starts_with('/') ? 1 : 0)), '/')) {
    if (!visit({.kind = PlaceKind::kPath, .name = std::to_string(number++)}, segment)) return false;
  }
  return visit_pairs(PlaceKind::kQuery, target.substr(std::min(mark + 1, target.size())), visit);
}

bool visit_pairs(PlaceKind kind, std::string_view pairs, const VisitPlace& visit) {
  std::size_t left = kMostPairs;
  for (const std::string_view pair : split(pairs, '&')) {
    const std::size_t equals = pair.find('=');
    if (equals == std::string_view::npos) continue;
    if (left-- == 0) return false;
    if (!visit({.kind = kind, .name = repair_utf8(percent_decode(pair.substr(0, equals)))}, pair.substr(equals + 1)))
      return false;
  }
  return true;
}

bool visit_json(const Json& document, const VisitPlace& visit) {
  Place place{.kind = PlaceKind::kJson};
  std::size_t left = kMostPlaces;
  return visit_member(document, place, left, visit);
}

bool visit_body(std::string_view media, std::string_view body, const VisitPlace& visit) {
  if (media == "application/x-www-form-urlencoded") return visit_pairs(PlaceKind::kForm, body, visit);
  if (is_json_media(media)) {
    if (const auto json = parse_json(body, kJson)) return visit_json(*json, visit);
  } else if (media == "text/html" || media == "application/xhtml+xml") {
    if (const auto page = HtmlPage::parse(body)) {
      PageWalk walk(visit);
      const auto& elements = page->elements();
      return std::all_of(elements.begin(), elements.end(), [&](const HtmlNode* node) { return walk.element(*node); });
    }
  }
  return visit({.kind = PlaceKind::kText}, body);
}

}  // namespace sluice::analysis
