#include "gateway/presenter.h"

#include "base/text.h"
#include "gateway/answer_cut.h"
#include "gateway/masking.h"

namespace sluice::gateway {
namespace {

// A sentence of ours with a name of the caller's in it fits; a flood of either does not.
constexpr std::size_t kMaxErrorUnits = 2'000;
// Pointers of masked strings listed in an answer.
constexpr std::size_t kMaxRedacted = 100;
constexpr std::size_t kMaxRedactedUnits = 4'000;

Json text_content(std::string text) { return Json::array({{{"type", "text"}, {"text", std::move(text)}}}); }

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
  bool included = find_member(arguments, "limit") != nullptr;
  if (const Json* include = find_member(arguments, "include")) {
    for (const Json& name : *include)
      included |= name == "request_body" || name == "response_body" || name == "messages";
  }
  // Two bodies of the limit, base64 taking four octets for three, beside the usual answer.
  return included ? 3 * body + limits_.answer_units : limits_.answer_units;
}

void Presenter::make_safe(Json& answer, const Redactor* redactor, std::size_t units) const {
  std::vector<std::string> pointers;
  if (redactor) mask_answer(answer, *redactor, pointers);
  repair_strings(answer);
  std::size_t reserved = 0;
  listed(pointers, reserved);
  cut_answer(answer, units > reserved ? units - reserved : 0, pointers);
  const std::size_t count = listed(pointers, reserved);
  if (pointers.empty()) return;
  Json names = Json::array();
  for (std::size_t i = 0; i < count; ++i) names.push_back(repair_utf8(pointers[i]));
  answer["redacted"] = std::move(names);
  if (count < pointers.size()) answer["redacted_more"] = pointers.size() - count;
}

std::string Presenter::safe_text(std::string_view text, const Redactor* redactor) const {
  std::string safe = repair_utf8(text);
  const std::string_view kept = utf16_prefix(safe, kMaxErrorUnits);
  if (kept.size() < safe.size()) safe = std::string(kept) + "...";
  return redactor ? redactor->mask_text(safe).text : safe;
}

Json Presenter::success(const tools::Tool& tool, const Json& arguments, const Redactor* redactor, Json result) const {
  if (tool.hints & tools::kMitmproxy) {
    make_safe(result, redactor, limit_for(tool, arguments));
    return mitmproxy_success(tool, std::move(result));
  }
  Json answer = {{"status", "success"}};
  for (auto& [name, member] : result.get_ref<Json::object_t&>()) answer[name] = std::move(member);
  make_safe(answer, redactor, limit_for(tool, arguments));
  Json presented = {{"content", text_content(dump_json(answer))}};
  presented["structuredContent"] = std::move(answer);
  return presented;
}

// The text is what mitm.md prints; what we say beside it is a second one.
Json Presenter::mitmproxy_success(const tools::Tool& tool, Json answer) const {
  Json content;
  if (tool.hints & tools::kWrapped) {
    const Json& shown = answer["result"];
    content = text_content(shown.is_string() ? shown.get<std::string>() : dump_json(shown, JsonStyle::kIndented));
    Json notes = Json::object();
    for (const auto& [name, member] : answer.items()) {
      if (name != "result" && name != "redacted") notes[name] = member;
    }
    if (!notes.empty()) content.push_back({{"type", "text"}, {"text", dump_json(notes)}});
  } else {
    content = text_content(dump_json(answer, JsonStyle::kIndented));
  }
  Json presented = {{"content", std::move(content)}};
  presented["structuredContent"] = std::move(answer);
  return presented;
}

Json Presenter::failure(const tools::Tool& tool, const Error& error, const Redactor* redactor) const {
  if ((tool.hints & tools::kMitmproxy) == 0) return failure(error.message, redactor);
  Json presented = plain_failure(error.message, redactor);
  presented["_meta"] = {{"dev.sluice/error", {{"code", to_string(error.code)}}}};
  return presented;
}

Json Presenter::failure(std::string_view message, const Redactor* redactor) const {
  const Json answer = {{"status", "error"}, {"error", safe_text(message, redactor)}};
  return {{"content", text_content(dump_json(answer))}, {"isError", true}};
}

Json Presenter::plain_failure(std::string_view text, const Redactor* redactor) const {
  return {{"content", text_content(safe_text(text, redactor))}, {"isError", true}};
}

Json Presenter::resource(const Resource& resource, const Redactor* redactor, Json value) const {
  std::string text;
  if (value.is_string()) {
    text = repair_utf8(value.get_ref<const std::string&>());
  } else {
    make_safe(value, redactor, limits_.answer_units);
    text = dump_json(value, JsonStyle::kIndented);
  }
  return {{"contents",
           Json::array({{{"uri", resource.uri}, {"mimeType", resource.mime_type}, {"text", std::move(text)}}})}};
}

}  // namespace sluice::gateway
