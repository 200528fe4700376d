// The message vocabulary that every HTTP version shares: heads and events. A codec (http1, http2) turns octets into
// these events and these heads into octets; proxy::Exchange sees nothing else.
// RFC 9110 §6, RFC 9112 §2-7.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

#include "base/bytes.h"
#include "base/result.h"
#include "http/fields.h"

namespace sluice::http {

enum class Version : std::uint8_t { kHttp10, kHttp11, kHttp2 };
std::string_view to_string(Version version);  // "HTTP/1.1"

// What was odd but passed on as it stood; a bit each, so that marking costs nothing.
enum class Anomaly : std::uint32_t {
  kBareLf = 1u << 0,             // a line ended with LF alone
  kLeadingEmptyLine = 1u << 1,   // blank lines before the start line (RFC 9112 §2.2)
  kObsFold = 1u << 2,            // obsolete line folding in an answer (RFC 9112 §5.2)
  kOddStartLine = 1u << 3,       // more than one blank between the parts, no reason phrase, ...
  kOddFieldOctets = 1u << 4,     // control or non-ASCII octets in a field value
  kRepeatedLength = 1u << 5,     // Content-Length given twice with one value
  kTruncatedTls = 1u << 6,       // TLS ended without close_notify
  kTruncatedBody = 1u << 7,      // fewer octets than announced
  kAuthorityMismatch = 1u << 8,  // dialled address, SNI and Host disagree (engine.md 2)
  kRuleBodyLimit = 1u << 9,      // too large for a rule: passed unchanged (engine.md 6)
  kCaptureCut = 1u << 10,        // a body, or a socket's messages, were not kept whole (engine.md 5)
  kExtraBytes = 1u << 11,        // octets after the end of an answer that nobody asked for
  kConnectionField = 1u << 12,   // a field named in Connection that must not be (RFC 9110 §7.6.1)
  kBlankBeforeColon = 1u << 13,  // in an answer's field name; removed, as RFC 9112 §5.1 demands
  kOddChunkLine = 1u << 14,      // an answer's chunk size padded with blanks (RFC 9112 §7.1)
  kWebSocketError = 1u << 15,    // frames that break RFC 6455: recorded as they stood from there on
  kWebSocketOdd = 1u << 16,      // a server's masked frame, a long length, a bad Close, data after a Close
  kWebSocketText = 1u << 17,     // a text message that is not UTF-8
  kHoldLimit = 1u << 18,         // too many exchanges were held already: it went on (engine.md 6)
};
using AnomalySet = std::uint32_t;  // Anomaly bits
constexpr AnomalySet bit(Anomaly anomaly) { return static_cast<AnomalySet>(anomaly); }
std::string_view to_string(Anomaly anomaly);  // "bare_lf"; the names in records

struct RequestHead {
  std::string method;
  std::string target;  // as on the wire: origin, absolute, authority or asterisk form
  Version version = Version::kHttp11;
  // As it came, with its line end; empty: write method, target, version. Whoever changes one of those clears it.
  std::string start_line;
  FieldList fields;
  bool ends_with_bare_lf = false;  // the empty line after the fields was LF alone
};

struct ResponseHead {
  int status = 0;
  std::string reason;
  Version version = Version::kHttp11;
  std::string start_line;  // as it came, with its line end; empty: write version, status, reason
  FieldList fields;
  bool ends_with_bare_lf = false;
  bool is_interim() const { return status >= 100 && status < 200; }
};

// --- events: what a reader's next() returns. A view that lies inside the octets last fed is valid as long as those
// are; any other lies in the reader and is valid until its next call.

struct NeedMore {};  // feed more octets
// A piece of a body. `wire` is what stood on the wire, framing included; `content` the part of it that is content:
// all of `wire`, or empty for a piece of framing (chunk lines, the line end after a chunk). Consecutive pieces are
// usually adjacent in memory, so that a pump can write many at once.
struct BodyPiece {
  Bytes wire;
  Bytes content;
};
// The end of a chunked body's trailer section; `wire` is that section as it stood (last-chunk line included).
struct Trailers {
  Bytes wire;
  FieldList fields;
};
struct MessageEnd {};

using RequestEvent = std::variant<NeedMore, RequestHead, BodyPiece, Trailers, MessageEnd>;
using ResponseEvent = std::variant<NeedMore, ResponseHead, BodyPiece, Trailers, MessageEnd>;

// The registered phrase for a status, or "" (RFC 9110 §15).
std::string_view reason_phrase(int status);

// --- heads made by Sluice itself: HTTP/1.1, CRLF, the fields in this order. Content-Length is the caller's to add.
using FieldInit = std::initializer_list<std::pair<std::string_view, std::string_view>>;
ResponseHead make_response(int status, FieldInit fields = {});
RequestHead make_request(std::string_view method, std::string_view target, FieldInit fields = {});

}  // namespace sluice::http
