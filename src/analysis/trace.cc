#include "analysis/trace.h"

#include <algorithm>
#include <array>

#include "base/secret_names.h"
#include "base/text.h"

namespace sluice::analysis {
namespace {

constexpr JsonLimits kJson{.refuse_duplicate_keys = false};
constexpr std::size_t kLeastAnchor = 4;          // octets
constexpr std::size_t kMostEncoded = 64 * 1024;  // octets of a text that is decoded
constexpr std::size_t kMostWords = 1'000;        // places in one text that are looked at

bool is_alnum(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9'); }
bool is_base64(char c) { return is_alnum(c) || c == '+' || c == '/' || c == '-' || c == '_'; }

std::string longest_run(std::string_view text) {
  std::string_view best;
  for (std::size_t at = 0; at < text.size();) {
    std::size_t end = at;
    while (end < text.size() && is_alnum(text[end])) ++end;
    if (end - at > best.size()) best = text.substr(at, end - at);
    at = end + 1;
  }
  return std::string(best);
}

// What base64 of a text makes of `value` with `before` octets in front of it, without what neighbours have a part in.
std::string within_base64(std::string_view value, std::size_t before) {
  const std::string all = base64_encode(std::string(before, 'x') + std::string(value));
  const std::size_t begin = (before * 8 + 5) / 6, end = (before + value.size()) * 8 / 6;
  return longest_run(std::string_view(all).substr(begin, end - begin));
}

// Octets that a word goes on with. A dot or a colon at its end is the sentence's.
bool goes_on(std::string_view text, std::size_t at) {
  if (at >= text.size()) return false;
  const char c = text[at];
  if (is_alnum(c) || static_cast<unsigned char>(c) >= 0x80) return true;
  if (std::string_view("-_~+/%=").find(c) != std::string_view::npos) return true;
  return c == '.' && at + 1 < text.size() && is_alnum(text[at + 1]);
}
bool comes_from(std::string_view text, std::size_t at) {
  if (at == 0) return false;
  const char c = text[at - 1];
  return is_alnum(c) || static_cast<unsigned char>(c) >= 0x80 ||
         std::string_view("-_~+/%.").find(c) != std::string_view::npos;
}

bool is_word(std::string_view text, std::string_view value) {
  std::size_t tries = 0;
  for (std::size_t at = text.find(value); at != std::string_view::npos && tries < kMostWords;
       at = text.find(value, at + 1), ++tries) {
    if (!comes_from(text, at) && !goes_on(text, at + value.size())) return true;
  }
  return false;
}

struct Entity {
  std::string_view name, text;
};
constexpr auto kEntities = std::to_array<Entity>({{"&amp;", "&"},
                                                  {"&lt;", "<"},
                                                  {"&gt;", ">"},
                                                  {"&quot;", "\""},
                                                  {"&apos;", "'"},
                                                  {"&#39;", "'"},
                                                  {"&#x27;", "'"},
                                                  {"&#34;", "\""},
                                                  {"&#x2F;", "/"},
                                                  {"&#x2f;", "/"},
                                                  {"&#47;", "/"},
                                                  {"&#43;", "+"},
                                                  {"&#x2B;", "+"},
                                                  {"&#61;", "="},
                                                  {"&#x3D;", "="}});

std::string decode_entities(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    const auto entity = std::find_if(kEntities.begin(), kEntities.end(),
                                     [&](const Entity& each) { return text.starts_with(each.name); });
    out += entity == kEntities.end() ? text.substr(0, 1) : entity->text;
    text.remove_prefix(entity == kEntities.end() ? 1 : entity->name.size());
  }
  return out;
}

// What follows an authentication scheme's word; empty: none is there. Of other texts no part is a value.
std::string_view without_scheme(std::string_view credentials) {
  constexpr std::array<std::string_view, 6> kSchemes = {"bearer", "basic", "token", "jwt", "apikey", "negotiate"};
  const std::size_t blank = std::min(credentials.find(' '), credentials.size());
  const bool known = std::any_of(kSchemes.begin(), kSchemes.end(), [&](std::string_view scheme) {
    return iequals(credentials.substr(0, blank), scheme);
  });
  return known ? trim(credentials.substr(blank)) : std::string_view();
}

bool visit_head(const FlowView& flow, flow::Direction message, const VisitPlace& visit) {
  const bool request = message == flow::Direction::kRequest;
  const http::FieldList& fields = request ? flow.request : flow.response;
  if (request && !visit_target(flow.exchange.target, visit)) return false;
  for (std::size_t i = 0; i < fields.size(); ++i) {
    if (!visit_field(fields.name(i), fields.value(i), visit)) return false;
  }
  return true;
}

std::string body_of(const FlowView& flow, flow::Direction message) {
  const bool request = message == flow::Direction::kRequest;
  const flow::BodyInfo& info = request ? flow.exchange.request.body : flow.exchange.response.body;
  if (info.size == 0) return "";
  return request ? flow.request_body() : flow.response_body();
}

}  // namespace

Tracer::Tracer(std::string value) : value_(std::move(value)) {
  if (value_.size() < kLeastTraced || value_.size() > kMostTraced) value_.clear();
  if (value_.empty()) return;
  anchors_ = {longest_run(value_), within_base64(value_, 0), within_base64(value_, 1), within_base64(value_, 2)};
  const bool short_one = std::any_of(anchors_.begin(), anchors_.end(),
                                     [](const std::string& anchor) { return anchor.size() < kLeastAnchor; });
  if (short_one) anchors_.clear();
}

bool Tracer::may_hold(std::string_view body) const {
  return anchors_.empty() || std::any_of(anchors_.begin(), anchors_.end(), [&](const std::string& anchor) {
           return body.find(anchor) != std::string_view::npos;
         });
}

bool Tracer::find(std::string_view text, bool words, TracedPlace& found, std::size_t depth) const {
  if (value_.empty() || text.size() < value_.size()) return false;
  if (text == value_) return true;
  if (depth < kMostEncodings && text.size() <= kMostEncoded && may_hold(text)) {
    const std::size_t known = found.encodings.size();
    if (find_encoded(text, found, depth) || find_inside(text, found, depth)) return true;
    found.encodings.resize(known);
  }
  if (!words || !is_word(text, value_)) return false;
  found.word = true;
  return true;
}

bool Tracer::find_encoded(std::string_view text, TracedPlace& found, std::size_t depth) const {
  const auto decoded = [&](std::string_view name, std::string_view plain, bool words = false) {
    if (plain == text) return false;
    found.encodings.push_back(name);
    if (find(plain, words, found, depth + 1)) return true;
    found.encodings.pop_back();
    return false;
  };
  if (text.find('%') != std::string_view::npos && decoded("percent", percent_decode(text))) return true;
  if (text.find('&') != std::string_view::npos && decoded("html", decode_entities(text))) return true;
  const std::size_t padding = text.size() - std::min(text.find('='), text.size());
  if (padding <= 2 && std::all_of(text.begin(), text.end() - static_cast<std::ptrdiff_t>(padding), is_base64)) {
    const auto plain = base64_decode(text);
    if (plain && decoded("base64", *plain)) return true;
  }
  return false;
}

// A text with parts of its own: JSON, a JWT, credentials, a URL, parameters.
bool Tracer::find_inside(std::string_view text, TracedPlace& found, std::size_t depth) const {
  const auto part = [&](std::string_view each, std::string name) {
    if (each.size() == text.size() || !find(each, false, found, depth + 1)) return false;
    const bool both = !name.empty() && !found.inside.empty();
    found.inside = std::move(name) + (both ? " " : "") + found.inside;
    return true;
  };
  if (text[0] == '{' || text[0] == '[' || text[0] == '"') {
    const auto json = parse_json(text, kJson);
    bool there = false;
    found.encodings.push_back("json");
    if (json)
      visit_json(*json, [&](const Place& place, std::string_view each) { return !(there = part(each, place.json())); });
    if (there) return true;
    found.encodings.pop_back();
    return false;
  }
  if (text.starts_with("eyJ")) {
    const auto parts = split(text, '.');
    for (std::size_t i = 0; parts.size() >= 3 && i < 2; ++i) {
      const auto plain = base64_decode(parts[i]);
      if (!plain) continue;
      found.encodings.push_back("jwt");
      if (find(*plain, false, found, depth + 1)) return true;
      found.encodings.pop_back();
    }
  }
  if (const std::string_view rest = without_scheme(text); !rest.empty() && part(rest, "")) return true;
  const std::size_t mark = text.find('?');
  const std::string_view pairs = mark == std::string_view::npos ? text : text.substr(mark + 1);
  if (pairs.find('=') != std::string_view::npos) {
    bool there = false;
    visit_pairs(PlaceKind::kQuery, pairs.substr(0, pairs.find('#')),
                [&](const Place& place, std::string_view each) { return !(there = part(each, place.name)); });
    if (there) return true;
  }
  if (const std::size_t scheme = text.find("://"); scheme != std::string_view::npos || text[0] == '/') {
    const std::string_view path = text.substr(0, std::min(mark, text.size()));
    for (const std::string_view segment : split(path, '/')) {
      if (part(segment, "path")) return true;
    }
  }
  // "user:password", as Basic has it.
  const std::size_t colon = text.find(':');
  return colon != std::string_view::npos && depth > 0 &&
         (part(text.substr(0, colon), "") || part(text.substr(colon + 1), ""));
}

bool Tracer::look_at_message(const FlowView& flow, flow::Direction message, TracedFlow& out) const {
  std::string body;
  const VisitPlace visit = [&](const Place& place, std::string_view text) {
    TracedPlace found{.message = message, .place = place, .encodings = {}, .inside = "", .word = false};
    const bool words = place.kind == PlaceKind::kText || (place.kind == PlaceKind::kHtml && place.name.empty());
    const bool parameter = place.kind == PlaceKind::kQuery || place.kind == PlaceKind::kForm;
    std::string blanks(parameter ? text : std::string_view());
    std::replace(blanks.begin(), blanks.end(), '+', ' ');
    const bool plus = parameter && blanks != text && find(blanks, false, found, 0);
    if (plus && found.encodings.empty()) found.encodings = {"percent"};
    if (!plus && !find(text, words, found)) return true;
    // What stands there is the value, but it is spelt in another way.
    const bool parsed = place.kind == PlaceKind::kJson || place.kind == PlaceKind::kHtml;
    if (parsed && found.encodings.empty() && body.find(value_) == std::string::npos)
      found.encodings = {place.kind == PlaceKind::kJson ? "json" : "html"};
    if (out.places.size() == kMostPlacesOfFlow) {
      out.cut = true;
      return false;
    }
    out.places.push_back(std::move(found));
    return true;
  };
  if (!visit_head(flow, message, visit)) return false;
  body = body_of(flow, message);
  if (body.size() < value_.size() || !may_hold(body)) return true;
  return visit_body(media_type_of(message == flow::Direction::kRequest ? flow.request : flow.response), body, visit);
}

TracedFlow Tracer::look_at(const FlowView& flow) const {
  TracedFlow out;
  if (!value_.empty() && look_at_message(flow, flow::Direction::kRequest, out))
    look_at_message(flow, flow::Direction::kResponse, out);
  return out;
}

std::optional<std::string> value_at(const FlowView& flow, flow::Direction message, PlaceKind kind,
                                    std::string_view label) {
  std::optional<std::string> value;
  const VisitPlace visit = [&](const Place& place, std::string_view text) {
    const bool field = kind == PlaceKind::kHeader && iequals(place.name, label);
    if (place.kind != kind || !(field || place.label() == label)) return true;
    if (kind == PlaceKind::kHtml && place.name != "value" && place.name != "content") return true;
    const bool parameter = kind == PlaceKind::kQuery || kind == PlaceKind::kForm;
    const SecretName* const secret = field ? find_secret_name(label) : nullptr;
    const bool credentials = secret && secret->shape == SecretShape::kCredentials;
    const std::string_view rest = credentials ? without_scheme(text) : std::string_view();
    std::string found(rest.empty() ? text : rest);
    if (parameter) std::replace(found.begin(), found.end(), '+', ' ');
    value = parameter || kind == PlaceKind::kPath ? percent_decode(found) : std::move(found);
    return false;
  };
  if (!visit_head(flow, message, visit) || value) return value;
  const std::string body = body_of(flow, message);
  if (!body.empty())
    visit_body(media_type_of(message == flow::Direction::kRequest ? flow.request : flow.response), body, visit);
  return value;
}

}  // namespace sluice::analysis
