#include "proxy/hold.h"

#include <array>

#include "base/text.h"
#include "http/framing.h"
#include "http/token.h"

namespace sluice::proxy {
namespace {

constexpr std::size_t kMostHeaders = 1'000;  // as many as a head may have

Error invalid(std::string message) { return {Code::kInvalid, std::move(message)}; }

Result<http::FieldList> field_list(const std::vector<std::pair<std::string, std::string>>& given) {
  if (given.size() > kMostHeaders) return fail(Code::kTooLarge, "edits.rawHeaders has more than 1,000 entries");
  http::FieldList fields;
  for (const auto& [name, value] : given) {
    if (!http::is_token(name)) return fail(invalid("edits.rawHeaders: a name is no header name"));
    if (!http::is_field_value(value)) {
      return fail(invalid("edits.rawHeaders: " + name + " holds a line break or NUL: no header value can"));
    }
    if (!http::is_framing_field(name)) fields.append(name, value);
  }
  return fields;
}

// Which edits make sense, by what is held and what is done with it.
Status check_fit(const HeldMessage& held, HoldAction action, const HoldEdits& edits) {
  const bool answers = action == HoldAction::kRespond || held.side == HoldSide::kResponse;
  const bool any =
      edits.method || edits.url || edits.status || !edits.headers.empty() || edits.all_headers || edits.body;
  if (action == HoldAction::kDrop && any) return fail(invalid("edits: what is dropped takes none"));
  if (edits.method && edits.method->empty()) return fail(invalid("edits.method must be an HTTP method"));
  if (answers && edits.method) return fail(invalid("edits.method is for a held request that goes on"));
  if (answers && edits.url) return fail(invalid("edits.url is for a held request that goes on"));
  if (!answers && edits.status) {
    return fail(invalid("edits.status is for answers: a held request is answered by action \"respond\""));
  }
  if (!edits.headers.empty() && edits.all_headers) {
    return fail(invalid("edits: give headers, which sets and removes, or rawHeaders, which is the whole list"));
  }
  if (edits.body && action == HoldAction::kContinue && !held.body_at_hand) {
    return fail(invalid("edits.body: this body is too large or has no end, so that it passes as it stands"));
  }
  return {};
}

Result<Url> parse_target(const std::string& text) {
  auto url = parse_url(text);
  if (!url) return fail(invalid("edits.url: " + url.error().message));
  if (url->scheme != "http" && url->scheme != "https") {
    return fail(invalid("edits.url must begin with http:// or https://"));
  }
  return *std::move(url);
}

rules::Handler answering(HoldEdits& edits) {
  rules::Handler handler;
  handler.type = rules::HandlerType::kMock;
  handler.status = edits.status;
  handler.body = std::move(edits.body);
  if (edits.all_headers) handler.headers = *std::move(edits.all_headers);
  for (auto& [name, value] : edits.headers) {
    if (value) handler.headers.emplace_back(std::move(name), *std::move(value));
  }
  return handler;
}

rules::Handler editing(HoldSide side, HoldEdits& edits) {
  rules::Transform transform;
  transform.update_headers = std::move(edits.headers);
  transform.replace_method = edits.method.value_or("");
  transform.replace_status = edits.status;
  transform.set_body = std::move(edits.body);
  rules::Handler handler;
  (side == HoldSide::kRequest ? handler.transform_request : handler.transform_response) = std::move(transform);
  return handler;
}

// The reason without the names that rules have for these members.
Error as_edits(Error error, const std::string& rule) {
  static constexpr std::array<std::pair<std::string_view, std::string_view>, 7> kNames{{
      {"handler.transformRequest.updateHeaders", "edits.headers"},
      {"handler.transformResponse.updateHeaders", "edits.headers"},
      {"handler.transformRequest.replaceMethod", "edits.method"},
      {"handler.transformResponse.replaceStatus", "edits.status"},
      {"handler.transformRequest.", "edits."},
      {"handler.transformResponse.", "edits."},
      {"handler.", "edits."},
  }};
  std::string& text = error.message;
  if (text.starts_with(rule + ": ")) text.erase(0, rule.size() + 2);
  for (const auto& [member, name] : kNames) {
    if (!text.starts_with(member)) continue;
    text.replace(0, member.size(), name);
    break;
  }
  return error;
}

}  // namespace

Result<Resumption> make_resumption(const HeldMessage& held, HoldAction action, HoldEdits edits) {
  SLUICE_CHECK(check_fit(held, action, edits));
  Resumption made;
  made.action = action;
  if (action == HoldAction::kDrop) return made;
  made.grant = edits.grant;
  if (edits.url) {
    SLUICE_TRY(made.url, parse_target(*edits.url));
  }
  if (edits.all_headers && action == HoldAction::kContinue) {
    SLUICE_TRY(made.fields, field_list(*edits.all_headers));
  }
  auto rule = std::make_shared<rules::Rule>();
  rule->number = held.rule;
  rule->spec.handler = action == HoldAction::kRespond ? answering(edits) : editing(held.side, edits);
  auto book = rules::RuleBook::compile({rule});
  if (!book) return fail(as_edits(std::move(book).error(), rule->id()));
  made.edits = (*book)->rules().front();
  return made;
}

}  // namespace sluice::proxy
