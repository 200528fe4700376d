#include "gateway/presenter.h"

#include <algorithm>

#include "base/json_spelling.h"
#include "base/text.h"
#include "gateway/answer_cut.h"
#include "gateway/foreign_answer.h"
#include "gateway/handle_naming.h"
#include "gateway/masking.h"

namespace sluice::gateway {
namespace {

// A sentence of ours with a name of the caller's in it fits; a flood of either does not.
constexpr std::size_t kMaxErrorUnits = 2'000;
// Pointers of masked strings listed in an answer.
constexpr std::size_t kMaxRedacted = 100;
constexpr std::size_t kMaxRedactedUnits = 4'000;

constexpr const char* kTooLong = "The answer is longer than the policy lets pass; ask for less";
constexpr std::string_view kLostShape =
    "The policy masks parts of this answer, and what is left is not of the shape that the tool promises: it is text "
    "only.";

Json text_content(std::string text) { return Json::array({{{"type", "text"}, {"text", std::move(text)}}}); }

// Whether an answer still has the shape that tools/list promises.
bool fits_schema(const tools::Tool& tool, const Json& answer) {
  const auto shape = policy::Shape::compile(tools::output_schema(tool));
  return shape && shape->fits(answer);
}

// The same of another server's tool, whose schema may say more than can be judged here.
bool keeps_shape(const Json& entry, const Json& answer) {
  const Json* promised = find_member(entry, "outputSchema");
  if (!promised) return true;
  const auto shape = policy::Shape::compile(plain_json(*promised));
  const Json* structured = find_member(answer, "structuredContent");
  return shape && structured && shape->fits(plain_json(*structured));
}

// How many of the pointers are listed, and what they cost.
std::size_t listed(const std::vector<std::string>& pointers, std::size_t& units) {
  std::size_t count = 0;
  units = 0;
  while (count < pointers.size() && count < kMaxRedacted) {
    const std::size_t more = utf16_length(pointers[count]) + 3;
    if (units + more > kMaxRedactedUnits) break;
    units += more;
    ++count;
  }
  if (count > 0) units += sizeof(R"(,"redacted":[])");
  if (count < pointers.size()) units += sizeof(R"(,"redacted_more":1000000)");
  return count;
}

// Cuts what an answer by id lists; what is said of that goes to the notes.
void cut_by_id(Json& answer, std::size_t units, std::vector<std::string>& pointers, Json& notes) {
  const std::string prefix = "/result";
  for (std::string& pointer : pointers) pointer.insert(0, prefix);
  Json holder = {{"result", std::move(answer)}};
  cut_answer(holder, units, pointers);
  for (std::string& pointer : pointers) pointer.erase(0, prefix.size());
  answer = std::move(holder["result"]);
  holder.erase("result");
  if (holder.contains("cut")) {
    for (Json& pointer : holder["cut"]) pointer = pointer.get<std::string>().substr(prefix.size());
  }
  for (auto& [name, said] : holder.get_ref<Json::object_t&>()) notes[name] = std::move(said);
}

}  // namespace

const Redactor* Presenter::redactor_for(const Caller& caller, const Json& arguments) const {
  if (caller.unmasked) return nullptr;
  const Json* show = find_member(arguments, "show_secrets");
  return show && show->is_boolean() && show->get<bool>() ? nullptr : &redactor_;
}

std::size_t Presenter::limit_for(const tools::Tool& tool, const Json& arguments) const {
  const std::size_t body = limits_.max_included_body;
  if (tool.hints & tools::kUncapped) return body;
  if ((tool.hints & tools::kIncludesBody) == 0) return limits_.answer_units;
  const Json* whole = find_member(arguments, "full_body");
  bool included = find_member(arguments, "limit") != nullptr || (whole && *whole == true);
  if (const Json* include = find_member(arguments, "include")) {
    for (const Json& name : *include)
      included |= name == "request_body" || name == "response_body" || name == "messages";
  }
  // Two bodies of the limit, base64 taking four octets for three, beside the usual answer.
  return included ? 3 * body + limits_.answer_units : limits_.answer_units;
}

// Withheld: the denial, or nothing in monitor mode, where it is only told.
std::string Presenter::withhold(const View& view, std::string rule, const std::string& message) {
  if (view.withheld) *view.withheld = std::move(rule);
  return view.observed ? "" : "[POLICY DENIED] " + message;
}

// How many items of its list an answer skipped; nullopt: the tool does not page by them.
std::optional<std::int64_t> Presenter::offset_of(const tools::Tool& tool, const Json& answer, const Json& arguments) {
  if ((tool.hints & tools::kPagesByItem) == 0) return std::nullopt;
  for (const Json* holder : {&answer, &arguments}) {
    const Json* offset = find_member(*holder, "offset");
    if (offset && offset->is_number_integer()) return offset->get<std::int64_t>();
  }
  return 0;
}

Presenter::Made Presenter::make_safe(Json& answer, const View& view, const Json& arguments,
                                     const Making& making) const {
  std::size_t units = making.units;
  const auto cut = [&](std::size_t most, std::vector<std::string>& pointers) {
    if (making.notes) return cut_by_id(answer, most, pointers, *making.notes);
    cut_answer(answer, most, pointers, making.offset);
  };
  Made made;
  std::vector<std::string> pointers;
  if (view.redactor) mask_answer(answer, *view.redactor, pointers);
  if (view.handles && !pointers.empty()) view.handles->put_handles(arguments, answer);
  repair_strings(answer);
  if (view.results) {
    // Before anything is cut: half of what a rule looks for is not found.
    if (const auto blocked = view.results->blocked(answer)) {
      made.denial = withhold(view, blocked->rule, blocked->message);
      if (!made.denial.empty()) return made;
    }
    if (!view.observed) made.redacted = view.results->redact(answer) > 0;
  }
  const auto most = view.results ? view.results->max_bytes() : std::nullopt;
  if (most && !view.observed) units = std::min<std::size_t>(units, most->bytes);
  std::size_t reserved = 0;
  listed(pointers, reserved);
  cut(units > reserved ? units - reserved : 0, pointers);
  const std::size_t count = listed(pointers, reserved);
  if (!pointers.empty()) {
    Json names = Json::array();
    for (std::size_t i = 0; i < count; ++i) names.push_back(repair_utf8(pointers[i]));
    Json& said = making.notes ? *making.notes : answer;
    said["redacted"] = std::move(names);
    if (count < pointers.size()) said["redacted_more"] = pointers.size() - count;
  }
  if (!most) return made;
  std::size_t size = dump_json(answer).size();
  if (size > most->bytes && !view.observed) {  // octets, not units: once more
    std::vector<std::string> none;
    cut(most->bytes / 4, none);
    size = dump_json(answer).size();
  }
  if (size > most->bytes) {
    made.denial = withhold(view, most->rule, kTooLong);
  }
  return made;
}

std::string Presenter::safe_text(std::string_view text, const Redactor* redactor) const {
  std::string safe = repair_utf8(text);
  const std::string_view kept = utf16_prefix(safe, kMaxErrorUnits);
  if (kept.size() < safe.size()) safe = std::string(kept) + "...";
  return redactor ? redactor->mask_text(safe).text : safe;
}

Json Presenter::success(const tools::Tool& tool, const Json& arguments, const View& view, Json result) const {
  const bool mitmproxy = (tool.hints & tools::kMitmproxy) != 0;
  Json answer = Json::object();
  if (!mitmproxy) answer["status"] = "success";
  for (auto& [name, member] : result.get_ref<Json::object_t&>()) answer[name] = std::move(member);
  View shown = view;
  if (tool.hints & tools::kMasksItself) shown.redactor = nullptr;
  Json notes = Json::object();
  const Making making{limit_for(tool, arguments), offset_of(tool, answer, arguments),
                      (tool.hints & tools::kById) != 0 ? &notes : nullptr};
  const Made made = make_safe(answer, shown, arguments, making);
  if (!made.denial.empty()) return plain_failure(made.denial, nullptr);
  const bool fits = !made.redacted || fits_schema(tool, answer);
  Json presented;
  if (mitmproxy) {
    presented = mitmproxy_success(tool, std::move(answer), std::move(notes));
  } else {
    presented = {{"content", text_content(dump_json(answer))}};
    presented["structuredContent"] = std::move(answer);
  }
  if (fits) return presented;
  presented.erase("structuredContent");
  presented["content"].push_back(text_content(std::string(kLostShape))[0]);
  presented["isError"] = true;
  return presented;
}

// The text is what mitm.md prints; what we say beside it is a second one.
Json Presenter::mitmproxy_success(const tools::Tool& tool, Json answer, Json notes) const {
  Json content;
  if (tool.hints & tools::kWrapped) {
    const Json& shown = answer["result"];
    content = text_content(shown.is_string() ? shown.get<std::string>() : dump_json(shown, JsonStyle::kIndented));
    for (const auto& [name, member] : answer.items()) {
      if (name != "result" && name != "redacted") notes[name] = member;
    }
  } else {
    content = text_content(dump_json(answer, JsonStyle::kIndented));
  }
  if (!notes.empty()) content.push_back({{"type", "text"}, {"text", dump_json(notes)}});
  Json presented = {{"content", std::move(content)}};
  presented["structuredContent"] = std::move(answer);
  return presented;
}

Json Presenter::failure(const tools::Tool& tool, const Error& error, const View& view) const {
  if ((tool.hints & tools::kMitmproxy) == 0) return failure(error.message, view);
  std::string text = safe_text(error.message, view.redactor);
  if (view.results) {
    if (const auto blocked = view.results->blocked_text(text)) {
      const std::string denial = withhold(view, blocked->rule, blocked->message);
      if (!denial.empty()) return plain_failure(denial, nullptr);
    }
    if (!view.observed) view.results->redact_text(text);
  }
  Json presented = {{"content", text_content(std::move(text))}, {"isError", true}};
  presented["_meta"] = {{"dev.sluice/error", {{"code", to_string(error.code)}}}};
  return presented;
}

Json Presenter::failure(std::string_view message, const View& view) const {
  Json answer = {{"status", "error"}, {"error", safe_text(message, view.redactor)}};
  if (view.results) {
    if (const auto blocked = view.results->blocked(answer)) {
      const std::string denial = withhold(view, blocked->rule, blocked->message);
      if (!denial.empty()) return plain_failure(denial, nullptr);
    }
    if (!view.observed) view.results->redact(answer);
  }
  return {{"content", text_content(dump_json(answer))}, {"isError", true}};
}

Json Presenter::plain_failure(std::string_view text, const Redactor* redactor) const {
  return {{"content", text_content(safe_text(text, redactor))}, {"isError", true}};
}

Result<Json> Presenter::resource(const Resource& resource, const View& view, Json value) const {
  Made made;
  std::string text;
  if (value.is_string()) {
    Json holder = {{"text", repair_utf8(value.get_ref<const std::string&>())}};
    // A certificate: nothing of it is a secret, and a cut one is none.
    made = make_safe(holder, {nullptr, view.results, view.observed, view.withheld}, Json::object(),
                     {limits_.max_included_body});
    text = holder["text"].get<std::string>();
  } else {
    made = make_safe(value, view, Json::object(), {limits_.answer_units});
    text = dump_json(value, JsonStyle::kIndented);
  }
  if (!made.denial.empty()) return fail(Code::kRefused, made.denial);
  return Json{{"contents",
               Json::array({{{"uri", resource.uri}, {"mimeType", resource.mime_type}, {"text", std::move(text)}}})}};
}

std::string Presenter::withhold_foreign(const View& view, const Json& answer) {
  const auto blocked = view.results->blocked(answer);
  return blocked ? withhold(view, blocked->rule, blocked->message) : "";
}

std::string Presenter::too_long(const View& view, const Json& answer) {
  const auto most = view.results->max_bytes();
  if (!most || dump_spelled_json(answer).size() <= most->bytes) return "";
  return withhold(view, most->rule, kTooLong);
}

Result<Json> Presenter::foreign(const View& view, Json answer) const {
  if (!view.results) return answer;
  std::string denial = withhold_foreign(view, answer);
  if (denial.empty() && !view.observed) view.results->redact(answer);
  if (denial.empty()) denial = too_long(view, answer);
  if (!denial.empty()) return fail(Code::kRefused, denial);
  return answer;
}

Json Presenter::foreign_tool(const View& view, const Json& entry, Json answer) const {
  if (!view.results) return answer;
  std::string denial = withhold_foreign(view, answer);
  if (denial.empty() && !view.observed && redact_foreign(*view.results, answer) && !keeps_shape(entry, answer)) {
    answer.erase("structuredContent");
    const auto content = answer.find("content");
    if (content == answer.end() || !content->is_array()) answer["content"] = Json::array();
    answer["content"].push_back(text_content(std::string(kLostShape))[0]);
    answer["isError"] = true;
  }
  if (denial.empty()) denial = too_long(view, answer);
  return denial.empty() ? answer : plain_failure(denial, nullptr);
}

std::string Presenter::progress(std::string_view message, const View& view) const {
  std::string text = safe_text(message, view.redactor);
  if (!view.results || view.observed) return text;
  if (view.results->blocked_text(text)) return "";
  view.results->redact_text(text);
  return text;
}

}  // namespace sluice::gateway
