#include "analysis/code_plan.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "analysis/auth.h"
#include "analysis/percent_encode.h"
#include "base/json.h"
#include "base/secret_names.h"
#include "base/text.h"

namespace sluice::analysis {
namespace {

constexpr std::size_t kMostOrigins = 20'000;
constexpr std::size_t kMostDepth = 8;
constexpr std::size_t kMostAnswer = 1 << 20;
constexpr JsonLimits kJson{.refuse_duplicate_keys = false};

// Of one connection, or made anew by every library.
constexpr auto kLeftOut = std::to_array<std::string_view>(
    {"accept-encoding", "connection", "content-length", "expect", "host", "http2-settings", "keep-alive",
     "proxy-authorization", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade"});
static_assert(std::is_sorted(kLeftOut.begin(), kLeftOut.end()));

struct Origin {
  std::size_t step = 0;
  Place place;
  bool unique = true;
};

bool is_secret(std::string_view name) { return find_secret_name(name) || is_api_key_name(name) || is_csrf_name(name); }

// Fields of an answer whose values a client sends back.
bool is_handed_out(std::string_view name) {
  if (is_secret(name) || iequals(name, "etag")) return true;
  const auto words = name_words(name);
  return std::any_of(words.begin(), words.end(), [](const std::string& word) {
    return word == "token" || word == "nonce" || word == "session" || word == "ticket";
  });
}

bool is_plain_name(const std::string& name) {
  return !name.empty() && name.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-") ==
                              std::string::npos;
}

std::string upper_name(std::string_view name) {
  std::string upper;
  for (const std::string& word : name_words(name)) upper += (upper.empty() ? "" : "_") + to_upper(word);
  if (upper.empty() || (upper[0] >= '0' && upper[0] <= '9')) upper.insert(0, "V_");
  return upper.substr(0, 60);
}

class Planner {
 public:
  explicit Planner(const CodePlanOptions& options) : options_(options) {}

  void add(const CodeFlow& flow) {
    CodeStep step;
    step.method = flow.method;
    step.url = url_text(flow.url);
    add_headers(step, flow);
    if (!flow.body.empty()) step.body = body_text(flow);
    step.expected_status = flow.expected_status;
    step.expected_text = flow.expected_text;
    plan_.steps.push_back(std::move(step));
    remember(flow);
  }
  CodePlan finish() { return std::move(plan_); }

 private:
  static void add_literal(CodeText& text, std::string_view literal) {
    if (literal.empty()) return;
    if (!text.empty() && text.back().kind == CodePart::kLiteral)
      text.back().text += literal;
    else
      text.push_back({CodePart::kLiteral, CodePart::kRaw, std::string(literal)});
  }

  // A value of an earlier answer, a secret, or the literal as it is spelt here.
  void add_value(CodeText& text, std::string_view name, const std::string& value, std::string_view spelt, bool secret,
                 CodePart::Encode encode) {
    if (const std::string* variable = chained(value, encode)) {
      text.push_back({CodePart::kChained, encode, *variable});
    } else if (secret && options_.redactor && !value.empty()) {
      text.push_back({CodePart::kEnvironment, encode, environment(name, value)});
    } else {
      add_literal(text, shown(name, value, spelt));
    }
  }

  // What is left of secrets in a literal, masked; as spelt where there is none.
  std::string shown(std::string_view name, const std::string& value, std::string_view spelt) const {
    if (!options_.redactor) return std::string(spelt);
    const Redacted masked = options_.redactor->mask_member(name, value);
    return masked.masked ? masked.text : std::string(spelt);
  }

  std::string without_tokens(std::string_view text) const {
    return options_.redactor ? options_.redactor->mask_text(text).text : std::string(text);
  }

  const Origin* origin_of(const std::string& value) const {
    if (value.size() < kLeastChained) return nullptr;
    const auto origin = origins_.find(value);
    return origin == origins_.end() || !origin->second.unique ? nullptr : &origin->second;
  }

  // Whether a reference leads there, and nothing would have to be encoded.
  static bool is_referable(const Place& place, const std::string& value, CodePart::Encode encode) {
    if (encode == CodePart::kUrl && percent_encode(value) != value) return false;
    if (encode == CodePart::kJson && dump_json(Json(value)).size() != value.size() + 2) return false;
    if (place.kind == PlaceKind::kHeader) return is_plain_name(place.name);
    return place.kind == PlaceKind::kJson && std::all_of(place.pointer.begin(), place.pointer.end(), is_plain_name);
  }

  const std::string* chained(const std::string& value, CodePart::Encode encode) {
    const Origin* const origin = origin_of(value);
    if (!origin) return nullptr;
    if (options_.chain == Chain::kByReference && !is_referable(origin->place, value, encode)) return nullptr;
    const auto known = variables_.find(value);
    if (known != variables_.end()) return &known->second;
    const std::string name = fmt::format("value_{}", variables_.size() + 1);
    plan_.steps[origin->step].values.push_back({name, origin->place});
    return &variables_.emplace(value, name).first->second;
  }

  const std::string& environment(std::string_view name, const std::string& value) {
    const auto known = names_.find(value);
    if (known != names_.end()) return known->second;
    const std::string base = upper_name(name);
    std::string unique = base;
    const auto taken = [&] {
      return std::find(plan_.environment.begin(), plan_.environment.end(), unique) != plan_.environment.end();
    };
    for (int n = 2; taken(); ++n) unique = fmt::format("{}_{}", base, n);
    plan_.environment.push_back(unique);
    return names_.emplace(value, unique).first->second;
  }

  CodeText url_text(const std::string& url) {
    CodeText text;
    const std::size_t authority = url.find("://") == std::string::npos ? 0 : url.find("://") + 3;
    const std::size_t path = std::min(url.find('/', authority), url.size());
    const std::size_t query = std::min(url.find('?', path), url.size());
    add_literal(text, std::string_view(url).substr(0, path));
    std::string_view segments = std::string_view(url).substr(path, query - path);
    while (!segments.empty()) {
      segments.remove_prefix(1);
      const std::string_view segment = segments.substr(0, segments.find('/'));
      add_literal(text, "/");
      add_value(text, "", percent_decode(segment), segment, false, CodePart::kUrl);
      segments.remove_prefix(segment.size());
    }
    if (query < url.size()) {
      add_literal(text, "?");
      add_pairs(text, std::string_view(url).substr(query + 1));
    }
    return text;
  }

  // "a=1&b=2", as spelt.
  void add_pairs(CodeText& text, std::string_view pairs) {
    bool first = true;
    for (const std::string_view pair : split(pairs, '&')) {
      if (!first) add_literal(text, "&");
      first = false;
      const std::size_t equals = pair.find('=');
      if (equals == std::string_view::npos) {
        add_literal(text, pair);
        continue;
      }
      add_literal(text, pair.substr(0, equals + 1));
      const auto decoded = parse_pairs(pair);
      if (decoded.empty())
        add_literal(text, pair.substr(equals + 1));
      else
        add_value(text, decoded[0].name, decoded[0].value, pair.substr(equals + 1), is_secret(decoded[0].name),
                  CodePart::kUrl);
    }
  }

  void add_headers(CodeStep& step, const CodeFlow& flow) {
    for (const NameValue& field : flow.headers) {
      const std::string lower = to_lower(field.name);
      if (std::binary_search(kLeftOut.begin(), kLeftOut.end(), std::string_view(lower)) || !http::is_token(field.name))
        continue;
      CodeText text = header_text(step, lower, field.value);
      if (text.empty() && lower == "cookie") continue;
      step.page |= flow.method == "GET" && lower == "accept" && field.value.find("text/html") != std::string::npos;
      const auto same = std::find_if(step.headers.begin(), step.headers.end(),
                                     [&](const auto& each) { return iequals(each.first, field.name); });
      if (same == step.headers.end()) {
        step.headers.emplace_back(field.name, std::move(text));
        continue;
      }
      // Most libraries take a name once (RFC 9110 §5.3; cookies: RFC 6265 §5.4).
      add_literal(same->second, lower == "cookie" ? "; " : ", ");
      for (CodePart& part : text) {
        if (part.kind == CodePart::kLiteral)
          add_literal(same->second, part.text);
        else
          same->second.push_back(std::move(part));
      }
    }
  }

  bool is_left_to_jar(std::string_view name, std::string_view value) const {
    if (options_.chain != Chain::kByReference || !is_plain_name(std::string(name))) return false;
    const Origin* const origin = origin_of(std::string(value));
    return origin && origin->place.kind == PlaceKind::kCookie && origin->place.name == name;
  }

  CodeText header_text(CodeStep& step, const std::string& name, const std::string& value) {
    CodeText text;
    if (name == "cookie") {
      bool first = true;
      for (const std::string_view part : split(value, ';')) {
        const std::string_view cookie = trim(part);
        if (cookie.empty()) continue;
        const std::size_t equals = std::min(cookie.find('='), cookie.size());
        if (is_left_to_jar(cookie.substr(0, equals), cookie.substr(std::min(equals + 1, cookie.size())))) {
          step.jar_cookies.emplace_back(cookie.substr(0, equals));
          continue;
        }
        if (!first) add_literal(text, "; ");
        first = false;
        add_literal(text, cookie.substr(0, std::min(equals + 1, cookie.size())));
        if (equals >= cookie.size()) continue;
        const std::string_view given = cookie.substr(equals + 1);
        add_value(text, "cookie-" + std::string(cookie.substr(0, equals)), std::string(given), given, true,
                  CodePart::kRaw);
      }
      return text;
    }
    const SecretName* const secret = find_secret_name(name);
    if (secret && secret->shape == SecretShape::kCredentials) {
      const std::size_t blank = value.find(' ');
      const std::string_view given =
          blank == std::string::npos ? std::string_view(value) : std::string_view(value).substr(blank + 1);
      if (blank != std::string::npos) add_literal(text, std::string_view(value).substr(0, blank + 1));
      add_value(text, name, std::string(given), given, true, CodePart::kRaw);
      return text;
    }
    add_value(text, name, value, value, is_secret(name), CodePart::kRaw);
    return text;
  }

  CodeText body_text(const CodeFlow& flow) {
    CodeText text;
    std::string media;
    for (const NameValue& field : flow.headers) {
      if (iequals(field.name, "content-type")) media = to_lower(trim(field.value.substr(0, field.value.find(';'))));
    }
    if (media == "application/x-www-form-urlencoded") {
      add_pairs(text, flow.body);
    } else if (is_json_media(media)) {
      add_json(text, flow.body);
    } else {
      add_literal(text, options_.redactor ? options_.redactor->mask_body(flow.body, media).text : flow.body);
    }
    return text;
  }

  // The strings of a JSON body that are secrets or values of earlier answers, spliced out of its spelling.
  void add_json(CodeText& text, const std::string& body) {
    auto json = parse_json(body, kJson);
    if (!json && options_.redactor) {
      add_literal(text, options_.redactor->mask_body(body, "application/json").text);
      return;
    }
    std::vector<NameValue> wanted;
    if (json) find_strings(*json, "", 0, wanted);
    const bool numbers = json && options_.redactor && zero_secret_numbers(*json, "", 0);
    std::string spelt = numbers ? dump_json(*json) : body;
    std::vector<std::pair<std::size_t, const NameValue*>> places;
    for (const bool canonical : {false, true}) {
      if (canonical) spelt = json ? dump_json(*json) : body;
      places.clear();
      bool all = true;
      for (const NameValue& each : wanted) all &= find_places(spelt, each, places);
      if (all) break;
    }
    std::sort(places.begin(), places.end());
    std::size_t at = 0;
    for (const auto& [place, each] : places) {
      const std::size_t size = dump_json(Json(each->value)).size() - 2;
      if (place < at) continue;
      add_literal(text, without_tokens(std::string_view(spelt).substr(at, place - at)));
      add_value(text, each->name, each->value, std::string_view(spelt).substr(place, size), true, CodePart::kJson);
      at = place + size;
    }
    add_literal(text, without_tokens(std::string_view(spelt).substr(at)));
  }

  // True: there were some.
  static bool zero_secret_numbers(Json& value, const std::string& name, std::size_t depth) {
    if (value.is_number() && is_secret(name)) {
      value = 0;
      return true;
    }
    if (!value.is_structured() || depth >= kMostDepth) return false;
    bool any = false;
    if (value.is_object()) {
      for (auto& [key, member] : value.get_ref<Json::object_t&>()) any |= zero_secret_numbers(member, key, depth + 1);
    } else {
      for (Json& item : value) any |= zero_secret_numbers(item, name, depth + 1);
    }
    return any;
  }

  void find_strings(const Json& value, const std::string& name, std::size_t depth, std::vector<NameValue>& wanted) {
    if (value.is_string()) {
      const auto& text = value.get_ref<const std::string&>();
      const bool known = text.size() >= kLeastChained && origins_.contains(text);
      if (!text.empty() && (is_secret(name) || known) && wanted.size() < 100) wanted.push_back({name, text});
    } else if (value.is_structured() && depth < kMostDepth) {
      for (const auto& [key, member] : value.items())
        find_strings(member, value.is_object() ? key : name, depth + 1, wanted);
    }
  }

  // Where the value's spelling stands as a whole string, not as a member's name. Between the quotes.
  static bool find_places(const std::string& body, const NameValue& each,
                          std::vector<std::pair<std::size_t, const NameValue*>>& places) {
    const std::string quoted = dump_json(Json(each.value));
    bool found = false;
    for (std::size_t at = body.find(quoted); at != std::string::npos; at = body.find(quoted, at + 1)) {
      const std::size_t before = at == 0 ? std::string::npos : body.find_last_not_of(" \t\r\n", at - 1);
      const std::size_t after = body.find_first_not_of(" \t\r\n", at + quoted.size());
      const bool begins =
          before == std::string::npos || std::string_view(":[,").find(body[before]) != std::string_view::npos;
      const bool ends =
          after == std::string::npos || std::string_view(",]}").find(body[after]) != std::string_view::npos;
      if (!begins || !ends) continue;
      found = true;
      places.emplace_back(at + 1, &each);
    }
    return found;
  }

  // --- what this step's answer hands out ---

  void remember(const CodeFlow& flow) {
    const std::size_t step = plan_.steps.size() - 1;
    for (const std::string& line : flow.set_cookies) {
      const std::string_view pair = std::string_view(line).substr(0, line.find(';'));
      const std::size_t equals = pair.find('=');
      if (equals == std::string_view::npos) continue;
      add_origin(trim(pair.substr(equals + 1)),
                 {step, {.kind = PlaceKind::kCookie, .name = std::string(trim(pair.substr(0, equals)))}, true});
    }
    for (const NameValue& field : flow.answer_headers) {
      if (is_handed_out(field.name) && http::is_token(field.name))
        add_origin(trim(field.value), {step, {.kind = PlaceKind::kHeader, .name = field.name}, true});
    }
    if (flow.answer.size() > kMostAnswer) return;
    if (flow.answer_is_html) remember_page(flow, step);
    if (!flow.answer_is_json) return;
    if (const auto json = parse_json(flow.answer, kJson)) {
      std::vector<std::string> pointer;
      remember_json(*json, step, pointer);
    }
  }

  // Fields of forms, meta elements, data attributes; a value in any other place makes its origin doubtful.
  void remember_page(const CodeFlow& flow, std::size_t step) {
    visit_body("text/html", flow.answer, [&](const Place& place, std::string_view text) {
      const bool taken = place.name == "value" || place.name == "content" || place.name.starts_with("data-");
      if (place.kind != PlaceKind::kHtml || place.name.empty()) return true;
      Origin origin{step, place, taken && place.first && !place.key.empty()};
      add_origin(text, std::move(origin));
      return true;
    });
  }

  void remember_json(const Json& value, std::size_t step, std::vector<std::string>& pointer) {
    if (value.is_string()) {
      add_origin(value.get_ref<const std::string&>(), {step, {.kind = PlaceKind::kJson, .pointer = pointer}, true});
      return;
    }
    if (!value.is_structured() || pointer.size() >= kMostDepth) return;
    for (const auto& [name, member] : value.items()) {
      pointer.push_back(name);
      remember_json(member, step, pointer);
      pointer.pop_back();
    }
  }

  // A value from two places says nothing about where it is from, unless a variable stands for it already.
  void add_origin(std::string_view text, Origin origin) {
    if (text.size() < kLeastChained || text.size() > 8'192) return;
    std::string value(text);
    const auto found = origins_.find(value);
    if (found != origins_.end()) {
      if (found->second.step == origin.step) found->second.unique = false;
    } else if (origins_.size() < kMostOrigins) {
      origins_.emplace(std::move(value), std::move(origin));
    }
  }

  const CodePlanOptions& options_;
  CodePlan plan_;
  std::map<std::string, Origin> origins_;
  std::map<std::string, std::string> variables_, names_;  // by value
};

template <class Wanted>
bool any_part(const CodePlan& plan, Wanted wanted) {
  const auto in = [&](const CodeText& text) { return std::any_of(text.begin(), text.end(), wanted); };
  return std::any_of(plan.steps.begin(), plan.steps.end(), [&](const CodeStep& step) {
    return in(step.url) || (step.body && in(*step.body)) ||
           std::any_of(step.headers.begin(), step.headers.end(), [&](const auto& each) { return in(each.second); });
  });
}

}  // namespace

std::string environment_comments(const CodePlan& plan) {
  std::string all;
  for (const std::string& name : plan.environment) all += "// Set the environment variable " + name + ".\n";
  return all;
}

std::string joined(const CodeText& text, std::string (*write)(const CodePart& part), std::string_view empty,
                   std::string_view between) {
  if (text.empty()) return std::string(empty);
  std::string all;
  for (const CodePart& part : text) {
    if (!all.empty()) all += between;
    all += write(part);
  }
  return all;
}

bool CodePlan::has(CodePart::Kind kind) const {
  return any_part(*this, [&](const CodePart& part) { return part.kind == kind; });
}
bool CodePlan::has(CodePart::Encode encode) const {
  return any_part(*this,
                  [&](const CodePart& part) { return part.kind != CodePart::kLiteral && part.encode == encode; });
}

bool CodePlan::has(PlaceKind kind) const {
  return std::any_of(steps.begin(), steps.end(), [&](const CodeStep& step) {
    return std::any_of(step.values.begin(), step.values.end(),
                       [&](const CodeValue& value) { return value.place.kind == kind; });
  });
}

const CodeValue* CodePlan::value(const std::string& variable, std::size_t& step) const {
  for (step = 0; step < steps.size(); ++step) {
    for (const CodeValue& each : steps[step].values) {
      if (each.variable == variable) return &each;
    }
  }
  return nullptr;
}

CodePlan plan_code(const std::vector<CodeFlow>& flows, const CodePlanOptions& options) {
  Planner planner(options);
  for (std::size_t i = 0; i < flows.size() && i <= kMostCodeSteps; ++i) planner.add(flows[i]);
  return planner.finish();
}

}  // namespace sluice::analysis
