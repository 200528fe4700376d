// What an answer must be like for a session to live (analysis.md, login_check): status, a header field, a text of the
// body, a member of its JSON. Texts are looked for in what is shown, so that no secret is found out piece by piece.
// Pure; thread-safe.
#pragma once

#include <optional>
#include <string>

#include "base/json.h"
#include "base/redact.h"
#include "http/fields.h"

namespace sluice::analysis {

struct Expectation {
  int status = 0;                      // 0: any
  std::string header;                  // is there, …
  std::string header_text;             // … and holds this
  std::string text;                    // stands in the body
  std::optional<std::string> pointer;  // RFC 6901: is there in the body's JSON, …
  std::optional<Json> equals;          // … and is this

  bool empty() const { return status == 0 && header.empty() && text.empty() && !pointer; }
};

// Empty: it is met. Else one sentence without a value of the answer. `content`: decoded.
std::string why_unmet(const Expectation& expectation, int status, const http::FieldList& fields,
                      const std::string& content, const Redactor* redactor);

}  // namespace sluice::analysis
