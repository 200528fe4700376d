// Carrying a plan out: the edits of all applied rules, in their order. Pure; thread-safe.
// What no edit touches stays octet for octet: a changed field loses only its own raw line, a changed method or status
// only the start line.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "base/result.h"
#include "base/url.h"
#include "http/message.h"
#include "rules/rule_book.h"

namespace sluice::rules {

struct ForwardTarget {
  std::string scheme;      // "http", "https"; empty: as the request
  std::string host;        // lower case, no brackets
  std::uint16_t port = 0;  // 0: the scheme's default
};

// "host", "host:port", "http[s]://host[:port]" (one trailing slash is allowed). kInvalid for a path, a query,
// userinfo, another scheme, a host that cannot be one.
Result<ForwardTarget> parse_forward_target(std::string_view text);

// The target of the deciding forward rule; nullopt for any other plan.
std::optional<ForwardTarget> forward_target(const RuleBook::Plan& plan);

// Host becomes the target's. `request_scheme` is the scheme of the request as it came. Call it before edit_request, so
// that a rule that sets Host by name has the last word.
void apply_forward(const ForwardTarget& target, std::string_view request_scheme, http::RequestHead& head);

// The absolute URL that the deciding rewrite rule makes of the request's; nullopt for any other plan, and where its
// pattern does not match. kInvalid: what it makes is no http or https URL; a target that begins with a slash stays on
// the request's host.
Result<std::optional<Url>> rewritten_url(const RuleBook::Plan& plan, const Url& url);

// A text message of a WebSocket from that side, after all edits; nullopt: nothing matched.
std::optional<std::string> edit_message(const RuleBook::Plan& plan, bool from_client, std::string_view text);

// Method and header edits. The answer's framing follows the method that was sent, what the client gets follows the
// method that it sent: the caller keeps both where a rule changed GET to HEAD or back.
void edit_request(const RuleBook::Plan& plan, http::RequestHead& head);

enum class AnswerBody {
  kKeep,
  kDrop,  // the new status has no content (204, 205, 304): discard what the origin sends
};
// Header edits and status. Content-Length and Transfer-Encoding are put right where the status changes whether there
// is content: write the answer by the framing of the edited head. An interim answer and a 101 keep their status.
AnswerBody edit_response(const RuleBook::Plan& plan, http::ResponseHead& head);

struct BodyLimits {
  ByteCount decoded = 8 * kMiB;  // engine.md 6: gathered up to this, on the wire and decoded
  ByteCount edited = 16 * kMiB;  // after edits: $` and $' in replacements could multiply a body
};
// The gathered body (content, still content-coded) after all body edits, coded again as `fields` say; Content-Length
// set, Transfer-Encoding and Trailer removed. A body that no edit hit comes back as the same octets. ETag, Content-MD5
// and Digest stay as they are. kTooLarge or kInvalid (cannot be decoded): the caller passes the body and the fields,
// which were not touched, unchanged.
Result<std::string> edit_request_body(const RuleBook::Plan& plan, http::FieldList& fields, Bytes content,
                                      const BodyLimits& limits = {});
Result<std::string> edit_response_body(const RuleBook::Plan& plan, http::FieldList& fields, Bytes content,
                                       const BodyLimits& limits = {});

struct MockAnswer {
  http::ResponseHead head;  // HTTP/1.1, standard reason phrase
  std::string body;         // empty for HEAD, 204, 205, 304
};
// The given fields in their order, nothing else but Content-Length: added where absent, corrected where it would not
// be true, none for 204 and 304 (a given one stays in a 304). HEAD: the length that GET would have. A given
// Transfer-Encoding is left out.
MockAnswer mock_answer(const Handler& handler, std::string_view request_method);
// As above for the deciding mock, redirect or file of `plan` (`file`: its content), after the response edits of its
// continue rules: what the client gets.
MockAnswer mock_answer(const RuleBook::Plan& plan, std::string_view request_method, const std::string* file = nullptr);

}  // namespace sluice::rules
