#include "analysis/fuzz_point.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <vector>

#include "analysis/flow_view.h"
#include "analysis/percent_encode.h"
#include "base/json_pointer.h"
#include "base/text.h"

namespace sluice::analysis {
namespace {

constexpr std::string_view kForm = "application/x-www-form-urlencoded";

constexpr std::array<std::pair<std::string_view, FuzzLocation>, 6> kLocations = {{
    {"query", FuzzLocation::kQuery},
    {"path", FuzzLocation::kPath},
    {"header", FuzzLocation::kHeader},
    {"cookie", FuzzLocation::kCookie},
    {"form", FuzzLocation::kForm},
    {"json", FuzzLocation::kJson},
}};

std::string in_url(const FuzzPayload& payload) {
  return payload.is_encoded ? payload.text : percent_encode(payload.text);
}

// "a=1&b=2": each value of the name is replaced; a name that is not there is added.
std::string with_parameter(std::string_view pairs, const std::string& name, const std::string& value) {
  std::string out;
  bool there = false;
  const std::string coded = percent_encode(name);
  if (!pairs.empty()) {
    for (const std::string_view pair : split(pairs, '&')) {
      const std::string_view key = pair.substr(0, pair.find('='));
      if (!out.empty()) out += '&';
      if (key == name || key == coded) {
        there = true;
        out.append(key).append("=").append(value);
      } else {
        out += pair;
      }
    }
  }
  if (!there) out.append(out.empty() ? "" : "&").append(coded).append("=").append(value);
  return out;
}

Status put_in_path(FuzzedRequest& request, const std::string& name, const std::string& value) {
  const std::size_t query = std::min(request.target.find('?'), request.target.size());
  const std::string path = request.target.substr(0, query), rest = request.target.substr(query);
  std::vector<std::string_view> segments =
      split(std::string_view(path).substr(std::min<std::size_t>(1, path.size())), '/');
  std::size_t wanted = segments.size();
  if (const auto by_text = std::find(segments.begin(), segments.end(), name);
      !name.empty() && by_text != segments.end()) {
    wanted = static_cast<std::size_t>(by_text - segments.begin());
  } else {
    const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), wanted);
    if (error != std::errc() || end != name.data() + name.size()) wanted = segments.size();
  }
  if (wanted >= segments.size())
    return fail(Code::kInvalid, "the path has no such segment (its text, or its number from 0)");
  std::string made;
  for (std::size_t i = 0; i < segments.size(); ++i) made.append("/").append(i == wanted ? value : segments[i]);
  request.target = made + rest;
  return {};
}

Status put_in_cookie(FuzzedRequest& request, const std::string& name, const std::string& value) {
  const std::string cookies = request.fields.joined("cookie").value_or("");
  std::string made;
  bool there = false;
  if (!cookies.empty()) {
    for (const std::string_view part : split(cookies, ';')) {
      const std::string_view pair = trim(part);
      if (pair.empty()) continue;
      if (!made.empty()) made += "; ";
      if (pair.substr(0, pair.find('=')) == name) {
        there = true;
        made.append(name).append("=").append(value);
      } else {
        made += pair;
      }
    }
  }
  if (!there) made.append(made.empty() ? "" : "; ").append(name).append("=").append(value);
  request.fields.set("Cookie", made);
  return {};
}

Status put_in_json(FuzzedRequest& request, const FuzzPoint& point, const FuzzPayload& payload) {
  auto document = parse_json(request.content);
  if (!document) return fail(Code::kInvalid, "the body is no JSON");
  const Json value = payload.json ? *payload.json : Json(repair_utf8(payload.text));
  if (point.pointer.empty()) {
    if (!document->is_object()) return fail(Code::kInvalid, "the body is no JSON object: give a pointer");
    (*document)[point.name] = value;
  } else {
    Json* at = &*document;
    std::vector<std::string> steps = pointer_steps(point.pointer);
    const std::string last = std::move(steps.back());
    steps.pop_back();
    for (const std::string& step : steps) {
      at = child_of(*at, step);
      if (!at) return fail(Code::kInvalid, "the body has nothing at the pointer");
    }
    if (at->is_object()) {
      (*at)[last] = value;
    } else if (Json* item = child_of(*at, last)) {
      *item = value;
    } else {
      return fail(Code::kInvalid, "the body has nothing at the pointer");
    }
  }
  request.content = dump_json(*document);
  return {};
}

}  // namespace

std::optional<FuzzLocation> find_fuzz_location(std::string_view name) {
  const auto found =
      std::find_if(kLocations.begin(), kLocations.end(), [&](const auto& one) { return one.first == name; });
  return found == kLocations.end() ? std::nullopt : std::optional(found->second);
}

Status put_payload(FuzzedRequest& request, const FuzzPoint& point, const FuzzPayload& payload) {
  if (point.name.empty() && point.pointer.empty()) return fail(Code::kInvalid, "target_param names nothing");
  switch (point.location) {
    case FuzzLocation::kQuery: {
      const std::size_t mark = request.target.find('?');
      const std::string query = mark == std::string::npos ? "" : request.target.substr(mark + 1);
      request.target = request.target.substr(0, mark) + '?' + with_parameter(query, point.name, in_url(payload));
      return {};
    }
    case FuzzLocation::kPath:
      return put_in_path(request, point.name, in_url(payload));
    case FuzzLocation::kHeader:
      if (!http::is_token(point.name)) return fail(Code::kInvalid, "target_param is no header name");
      if (!http::is_field_value(payload.text)) return fail(Code::kInvalid, "a line break or NUL cannot be in a header");
      request.fields.set(point.name, payload.text);
      return {};
    case FuzzLocation::kCookie:
      return put_in_cookie(request, point.name, in_url(payload));
    case FuzzLocation::kForm:
      if (media_type_of(request.fields) != kForm) {
        return fail(Code::kInvalid, fmt::format("the body is no {}: a parameter cannot be put into it", kForm));
      }
      request.content = with_parameter(request.content, point.name, in_url(payload));
      return {};
    case FuzzLocation::kJson:
      return put_in_json(request, point, payload);
  }
  return {};
}

}  // namespace sluice::analysis
