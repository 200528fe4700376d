// The body half of apply.h: decode, edit as text, code again.
#include <utility>

#include "codings/codings.h"
#include "rules/apply.h"
#include "rules/json_edit.h"
#include "rules/rule_program.h"

namespace sluice::rules {
namespace {

struct Edit {
  const Transform* transform;
  const std::vector<Replacer>* replacers;
};
using Edits = std::vector<Edit>;
using Replacers = RuleProgram::BodyReplacers;

Edits edits_of(const RuleBook::Plan& plan, std::optional<Transform> Handler::*side,
               std::vector<Replacer> Replacers::*replacers) {
  Edits edits;
  for (const RulePtr& rule : plan.applied) {
    const Handler& handler = rule->spec.handler;
    if (!handler.transforms() || !(handler.*side) || !(handler.*side)->edits_body()) continue;
    edits.push_back({&*(handler.*side), &(rule->program->replacers.*replacers)});
  }
  return edits;
}

// ECMA-262 §22.1.3.19.1 GetSubstitution for a match without groups: $$ $& $` $' mean something, the rest is text.
Status substitute(std::string& text, std::size_t at, std::size_t length, std::string_view with, ByteCount most) {
  const std::string_view whole = text;
  std::string out(whole.substr(0, at));
  const auto append = [&](std::string_view piece) {
    if (out.size() + piece.size() > most) return false;
    out.append(piece);
    return true;
  };
  for (std::size_t i = 0; i < with.size(); ++i) {
    std::string_view piece = with.substr(i, 1);
    const char sign = with[i] == '$' && i + 1 < with.size() ? with[i + 1] : '\0';
    if (sign == '&') piece = whole.substr(at, length);
    if (sign == '`') piece = whole.substr(0, at);
    if (sign == '\'') piece = whole.substr(at + length);
    if (sign == '$' || sign == '&' || sign == '`' || sign == '\'') ++i;
    if (!append(piece)) return fail(Code::kTooLarge, "the edited body is too large");
  }
  if (!append(whole.substr(at + length))) return fail(Code::kTooLarge, "the edited body is too large");
  text = std::move(out);
  return {};
}

// Whether anything was found to replace.
Result<bool> edit_text(const Edits& edits, std::string& text, ByteCount most) {
  bool changed = false;
  for (const auto& [transform, replacers] : edits) {
    if (transform->set_body && text != *transform->set_body) {
      text = *transform->set_body;
      changed = true;
    }
    for (const auto& [search, replacement] : transform->match_replace_body) {
      const std::size_t at = text.find(search);
      if (at == std::string::npos) continue;
      SLUICE_CHECK(substitute(text, at, search.size(), replacement, most));
      changed = true;
    }
    for (const Replacer& replacer : *replacers) {
      SLUICE_TRY(const bool replaced, replacer.replace(text, most));
      changed |= replaced;
    }
    SLUICE_TRY(const bool edited, edit_json(transform->json_edits, text, most));
    changed |= edited;
  }
  return changed;
}

// A body that is only replaced need not be readable.
bool sets_first(const Edits& edits) { return !edits.empty() && edits.front().transform->set_body; }

Result<std::string> decode(Bytes content, const std::vector<codings::Coding>& codings, ByteCount most) {
  std::string text;
  if (codings.empty() || content.empty()) {
    if (content.size() > most) return fail(Code::kTooLarge, "the body is too large for a rule");
    text = content;
    return text;
  }
  const auto decoder = codings::make_decoder(codings, most);
  SLUICE_CHECK(decoder->decode(content, text));
  if (!decoder->ended()) return fail(Code::kInvalid, "the coded body is cut short");
  return text;
}

// Content-Length says what is sent; fields that say it already keep their octets. A message that had no body and still
// has none stays without a length.
void frame(http::FieldList& fields, std::size_t length) {
  const bool chunked = fields.erase("Transfer-Encoding") != 0;
  fields.erase("Trailer");
  const std::string text = std::to_string(length);
  if (fields.count("Content-Length") == 1 && fields.find("Content-Length") == text) return;
  if (length == 0 && !chunked && fields.count("Content-Length") == 0) return;
  fields.set("Content-Length", text);
}

Result<std::string> edit_body(const Edits& edits, http::FieldList& fields, Bytes content, const BodyLimits& limits) {
  std::vector<codings::Coding> codings;
  if (const auto coded = fields.joined("Content-Encoding")) {
    SLUICE_TRY(codings, codings::parse_codings(*coded));
  }
  std::erase(codings, codings::Coding::kIdentity);
  std::string text;
  if (sets_first(edits)) {
    text = *edits.front().transform->set_body + '\n';  // other than what it will be: it counts as changed
  } else {
    SLUICE_TRY(text, decode(content, codings, limits.decoded));
  }
  SLUICE_TRY(const bool changed, edit_text(edits, text, limits.edited));
  std::string out;
  if (!changed) {
    out = content;
  } else if (codings.empty()) {
    out = std::move(text);
  } else {
    SLUICE_TRY(out, codings::encode_all(text, codings));
  }
  frame(fields, out.size());
  return out;
}

}  // namespace

Result<std::string> edit_request_body(const RuleBook::Plan& plan, http::FieldList& fields, Bytes content,
                                      const BodyLimits& limits) {
  return edit_body(edits_of(plan, &Handler::transform_request, &Replacers::request), fields, content, limits);
}

Result<std::string> edit_response_body(const RuleBook::Plan& plan, http::FieldList& fields, Bytes content,
                                       const BodyLimits& limits) {
  return edit_body(edits_of(plan, &Handler::transform_response, &Replacers::response), fields, content, limits);
}

}  // namespace sluice::rules
