// The message vocabulary that every HTTP version shares: heads and events. A codec (http1, http2) turns octets into
// these events and these heads into octets; proxy::Exchange sees nothing else.
// RFC 9110 §6, RFC 9112 §2-7.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>

#include "base/bytes.h"
#include "base/result.h"
#include "http/fields.h"

namespace sluice::http {

enum class Version : std::uint8_t { kHttp10, kHttp11, kHttp2 };
std::string_view to_string(Version version);  // "HTTP/1.1"

// What was odd but passed on as it stood; a bit each, so that marking costs nothing.
enum class Anomaly : std::uint32_t {
  kBareLf = 1u << 0,               // a line ended with LF alone
  kLeadingEmptyLine = 1u << 1,     // blank lines before the start line (RFC 9112 §2.2)
  kObsFold = 1u << 2,              // obsolete line folding in an answer (RFC 9112 §5.2)
  kOddStartLine = 1u << 3,         // more than one blank between the parts, no reason phrase, ...
  kOddFieldOctets = 1u << 4,       // control or non-ASCII octets in a field value
  kRepeatedLength = 1u << 5,       // Content-Length given twice with one value
  kTruncatedTls = 1u << 6,         // TLS ended without close_notify
  kTruncatedBody = 1u << 7,        // fewer octets than announced
  kAuthorityMismatch = 1u << 8,    // dialled address, SNI and Host disagree (engine.md 2)
  kRuleBodyLimit = 1u << 9,        // too large for a rule: passed unchanged (engine.md 6)
  kCaptureCut = 1u << 10,          // a body was not kept whole (engine.md 5)
  kExtraBytes = 1u << 11,          // octets after the end of an answer that nobody asked for
  kConnectionField = 1u << 12,     // a field named in Connection that must not be (RFC 9110 §7.6.1)
};
using AnomalySet = std::uint32_t;  // Anomaly bits
constexpr AnomalySet bit(Anomaly anomaly) { return static_cast<AnomalySet>(anomaly); }
std::string_view to_string(Anomaly anomaly);  // "bare_lf"; the names in records

struct RequestHead {
  std::string method;
  std::string target;     // as on the wire: origin, absolute, authority or asterisk form
  Version version = Version::kHttp11;
  std::string start_line; // as it came, with its line end; empty: write method, target, version
  FieldList fields;
};

struct ResponseHead {
  int status = 0;
  std::string reason;
  Version version = Version::kHttp11;
  std::string start_line;  // as it came, with its line end; empty: write version, status, reason
  FieldList fields;
  bool is_interim() const { return status >= 100 && status < 200; }
};

// --- events: what a reader's next() returns. Views point into the octets last fed or into the reader, and are valid
// until the next call of the reader.

struct NeedMore {};  // feed more octets
// A piece of a body. `wire` is what stood on the wire, framing included; `content` the part of it that is content:
// a sub-range of `wire` in memory, possibly empty (a chunk line). Consecutive pieces are usually adjacent in memory.
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

}  // namespace sluice::http
