// A breakpoint's two halves as data: what is held, shown to whoever decides, and what was decided. Pure; values.
// engine.md 6 (`hold`, proxy_list_held, proxy_resume_exchange).
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/result.h"
#include "base/url.h"
#include "http/fields.h"
#include "rules/rules.h"

namespace sluice::proxy {

enum class HoldSide : std::uint8_t { kRequest, kResponse };

// A request or an answer as it would go on, after the edits of the rules that apply.
struct HeldMessage {
  HoldSide side = HoldSide::kRequest;
  std::string method, url;  // of the request, also where its answer is held
  int status = 0;           // of the answer
  http::FieldList fields;
  std::string body;                   // decoded where its codings are known; at most kShownBody octets
  ByteCount body_size = 0;            // all of it
  bool body_at_hand = true;           // false: too large to gather, or without an end; it passes as it stands
  std::uint32_t rule = 0;             // that holds it
  std::chrono::milliseconds time{0};  // after which it goes on by itself
};
inline constexpr ByteCount kShownBody = 1 * kMiB;

enum class HoldAction : std::uint8_t { kContinue, kRespond, kDrop };

// What somebody wants changed; what is not set stays.
struct HoldEdits {
  std::optional<std::string> method, url;                                       // of requests
  std::optional<int> status;                                                    // of answers
  rules::HeaderEdits headers;                                                   // set, or deleted
  std::optional<std::vector<std::pair<std::string, std::string>>> all_headers;  // in place of all, in this order
  std::optional<std::string> body;                                              // decoded
  std::string grant;                                                            // who wants it
};

// A decision that was checked. The edits are a rule (passthrough with a transform, or a mock), so that they are made
// exactly as rules make them.
struct Resumption {
  HoldAction action = HoldAction::kContinue;
  rules::RulePtr edits;  // null: none
  std::optional<Url> url;
  std::optional<http::FieldList> fields;  // in place of all
  std::string grant;                      // who decided
};

// kInvalid, kTooLarge: one sentence that begins with the member, "edits.url: …".
Result<Resumption> make_resumption(const HeldMessage& held, HoldAction action, HoldEdits edits);

}  // namespace sluice::proxy
