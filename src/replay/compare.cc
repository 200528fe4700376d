#include "replay/compare.h"

#include <algorithm>
#include <array>
#include <map>

#include "base/text.h"

namespace sluice::replay {
namespace {

constexpr ByteCount kMostJson = 4 * kMiB;  // larger ones are compared as octets

constexpr std::array<std::string_view, 24> kVolatile = {"age",
                                                        "alt-svc",
                                                        "cf-ray",
                                                        "connection",
                                                        "date",
                                                        "etag",
                                                        "expires",
                                                        "keep-alive",
                                                        "last-modified",
                                                        "nel",
                                                        "report-to",
                                                        "retry-after",
                                                        "server-timing",
                                                        "set-cookie",
                                                        "traceparent",
                                                        "tracestate",
                                                        "via",
                                                        "x-amz-cf-id",
                                                        "x-cache",
                                                        "x-amzn-trace-id",
                                                        "x-amzn-requestid",
                                                        "x-correlation-id",
                                                        "x-request-id",
                                                        "x-runtime"};
// They follow from the content and its framing.
constexpr std::array<std::string_view, 3> kFraming = {"content-length", "transfer-encoding", "content-encoding"};

std::map<std::string, std::vector<std::string_view>> values_of(const http::FieldList& fields) {
  std::map<std::string, std::vector<std::string_view>> values;
  for (std::size_t i = 0; i < fields.size(); ++i) values[to_lower(fields.name(i))].push_back(fields.value(i));
  return values;
}

bool is_digits(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

// 2026-11-22T…: a date with a time.
bool is_time(std::string_view text) {
  return text.size() >= 16 && is_digits(text.substr(0, 4)) && text[4] == '-' && is_digits(text.substr(5, 2)) &&
         text[7] == '-' && is_digits(text.substr(8, 2)) && (text[10] == 'T' || text[10] == ' ') &&
         is_digits(text.substr(11, 2)) && text[13] == ':';
}

// A UUID, a long hexadecimal or base64url number, a JWT: what is made anew each time.
bool is_token(std::string_view text) {
  if (text.size() < 16 || text.size() > 4'096) return false;
  bool digit = false, letter = false;
  for (const char c : text) {
    if (c >= '0' && c <= '9')
      digit = true;
    else if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'))
      letter = true;
    else if (c != '-' && c != '_' && c != '.' && c != '=' && c != '+' && c != '/')
      return false;
  }
  return digit && letter;
}

bool is_epoch(const Json& value) {
  if (!value.is_number()) return false;
  const double number = value.get<double>();
  return (number > 1e9 && number < 4e9) || (number > 1e12 && number < 4e12);
}

bool are_volatile(const Json& before, const Json& after) {
  if (is_epoch(before) && is_epoch(after)) return true;
  if (!before.is_string() || !after.is_string()) return false;
  const auto& a = before.get_ref<const std::string&>();
  const auto& b = after.get_ref<const std::string&>();
  return (is_time(a) && is_time(b)) ||
         (is_token(a) && is_token(b) && a.size() / 2 <= b.size() && b.size() / 2 <= a.size());
}

bool is_ignored(const std::string& pointer, const CompareOptions& options) {
  return std::any_of(options.ignore.begin(), options.ignore.end(), [&](const std::string& one) {
    return one.starts_with('/') && (pointer == one || pointer.starts_with(one + '/'));
  });
}

bool is_ignored_field(const std::string& name, const CompareOptions& options) {
  return std::any_of(options.ignore.begin(), options.ignore.end(),
                     [&](const std::string& one) { return iequals(one, name); });
}

void compare_fields(const Answer& before, const Answer& after, const CompareOptions& options, Comparison& made) {
  const auto was = values_of(before.fields), is = values_of(after.fields);
  const auto note = [&](const std::string& name, std::vector<std::string>& list) {
    if (is_ignored_field(name, options)) return;
    if (std::find(kFraming.begin(), kFraming.end(), name) != kFraming.end()) return;
    if (options.ignore_volatile && is_volatile_field(name)) return made.volatile_fields.push_back(name);
    list.push_back(name);
    made.same = false;
  };
  for (const auto& [name, values] : was) {
    const auto now = is.find(name);
    if (now == is.end())
      note(name, made.removed);
    else if (now->second != values)
      note(name, made.changed);
  }
  for (const auto& [name, values] : is) {
    if (!was.contains(name)) note(name, made.added);
  }
}

bool compare_json(const Answer& before, const Answer& after, const CompareOptions& options, Comparison& made) {
  if (before.content.size() > kMostJson || after.content.size() > kMostJson) return false;
  const auto was = parse_json(before.content), is = parse_json(after.content);
  if (!was || !is || !(was->is_structured() && is->is_structured())) return false;
  made.is_json = true;
  for (const Json& step : Json::diff(*was, *is)) {
    JsonChange change{step["op"].get<std::string>(), step["path"].get<std::string>(), false};
    if (is_ignored(change.pointer, options)) continue;
    if (change.op == "replace" && options.ignore_volatile) {
      const Json::json_pointer place(change.pointer);
      change.is_volatile = was->contains(place) && are_volatile(was->at(place), step["value"]);
    }
    ++(change.is_volatile ? made.json_volatile : made.json_changes);
    if (made.json.size() < kMostChanges) made.json.push_back(std::move(change));
  }
  made.content = made.json_changes == 0 ? ContentDifference::kSame : ContentDifference::kDifferent;
  return true;
}

void compare_content(const Answer& before, const Answer& after, const CompareOptions& options, Comparison& made) {
  if (!before.whole || !after.whole) {
    made.content = ContentDifference::kUnknown;
    return;
  }
  if (before.content == after.content) return;
  made.content = ContentDifference::kDifferent;
  if (!compare_json(before, after, options, made) || made.content == ContentDifference::kDifferent) {
    made.same = made.same && made.content != ContentDifference::kDifferent;
  }
}

}  // namespace

bool is_volatile_field(std::string_view name) {
  return std::find(kVolatile.begin(), kVolatile.end(), to_lower(name)) != kVolatile.end();
}

Comparison compare(const Answer& before, const Answer& after, const CompareOptions& options) {
  Comparison made;
  made.status_before = before.status;
  made.status_after = after.status;
  made.same = before.status == after.status;
  compare_fields(before, after, options, made);
  compare_content(before, after, options, made);
  return made;
}

Json comparison_json(const Comparison& made) {
  Json json = {{"same", made.same}};
  if (made.status_before != made.status_after) {
    json["status"] = {{"recorded", made.status_before}, {"now", made.status_after}};
  }
  Json headers = Json::object();
  if (!made.added.empty()) headers["added"] = made.added;
  if (!made.removed.empty()) headers["removed"] = made.removed;
  if (!made.changed.empty()) headers["changed"] = made.changed;
  if (!headers.empty()) json["headers"] = std::move(headers);
  json["body"] = made.content == ContentDifference::kSame        ? "same"
                 : made.content == ContentDifference::kDifferent ? "different"
                                                                 : "unknown";
  if (made.is_json && !made.json.empty()) {
    Json changes = Json::array();
    for (const JsonChange& change : made.json) {
      Json one = {{"op", change.op}, {"pointer", change.pointer}};
      if (change.is_volatile) one["volatile"] = true;
      changes.push_back(std::move(one));
    }
    json["json"] = std::move(changes);
    json["jsonChanges"] = made.json_changes + made.json_volatile;
  }
  if (!made.volatile_fields.empty()) json["volatileHeaders"] = made.volatile_fields;
  return json;
}

}  // namespace sluice::replay
