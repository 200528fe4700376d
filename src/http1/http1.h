// HTTP/1.0 and 1.1 as a pure codec: feed octets, take events; write heads and bodies back as they stood.
// A head that nothing changed is written octet for octet as it came. RFC 9112.
//
//   RequestReader reader(limits);
//   reader.feed(octets);                     // a view; must stay valid until next() has returned NeedMore
//   for (;;) { auto event = reader.next(); if (!event) …400/431…; if NeedMore: break; … }
//
// The reader keeps only what it must (an unfinished head or chunk line), never a body. Errors: kInvalid (400 for a
// request, 502 for an answer), kTooLarge (431, 502), kClosed (finish() before the message was whole); whether a head
// or a body was refused is told by in_head(). After an error the reader is of no more use. Not thread-safe.
//
// Refused, because it could be read two ways: everything that framing.h refuses, blanks before a colon and folded
// lines in requests, CR or NUL anywhere in a head, chunk lines and trailers that do not end with CRLF.
// Passed on and marked (Anomaly): bare LF in heads, several blanks in a start line, no reason phrase, folded lines in
// answers, control and non-ASCII octets in values. Whoever pools connections should not reuse one that carried a
// request marked kBareLf: its peer may have read another head.
// The kinds of body: one piece for each feed; for chunks also pieces of framing, adjacent to their data in memory.
// HEAD, 1xx, 204, 304, CONNECT and 101 are known; after CONNECT's MessageEnd or a 101's call take_rest().
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "base/limits.h"
#include "base/result.h"
#include "http/framing.h"
#include "http/message.h"
#include "http1/body_reader.h"
#include "http1/fed_octets.h"
#include "http1/head_gatherer.h"

namespace sluice::http1 {

// The sentences of two errors that callers may want to tell from others (both kInvalid).
inline constexpr std::string_view kHttp2Preface =
    "this is the HTTP/2 connection preface, not an HTTP/1 request (RFC 9113 §3.4)";
inline constexpr std::string_view kUnsupportedVersion = "the HTTP version is neither 1.0 nor 1.1 (RFC 9112 §2.3)";

class RequestReader {
 public:
  explicit RequestReader(const HttpLimits& limits);

  void feed(Bytes octets);
  // After MessageEnd the reader is ready for the next request: what was fed beyond the end is kept in view, so call
  // next() again for a pipelined one; if that returns NeedMore and in_head() is false, the connection is idle.
  Result<http::RequestEvent> next();
  // The same in two parts, for who wants nothing copied: what was found, and then the thing itself.
  Result<Step> step();
  // Gives a head back that was moved from here: the next one is read into its memory.
  void reuse(http::RequestHead&& spent);
  http::RequestHead& head() { return head_; }                       // after kHead; may be moved from
  const http::BodyPiece& piece() const { return body_.piece(); }    // after kPiece
  http::Trailers take_trailers() { return body_.take_trailers(); }  // once, after kTrailers
  // The peer closed. Success if no message was begun.
  Status finish();

  // True once an octet of a head has been seen that is not yet complete, or was refused.
  bool in_head() const { return gatherer_.begun(); }
  // After next() refused a head: its octets as far as they were gathered, for the record. Valid like the fed octets.
  Bytes refused_head() const { return gatherer_.head(); }
  http::BodyFraming framing() const { return framing_; }                         // of the message whose head came last
  http::AnomalySet anomalies() const { return anomalies_ | body_.anomalies(); }  // of that message
  // What was fed and not consumed, and a head not yet whole: the first octets of a tunnel after CONNECT or Upgrade,
  // or a pipelined request. After this call the reader no longer has them.
  std::string take_rest();
  // True if fed octets remain that no event has consumed.
  bool has_rest() const { return !fed_.empty() || !gatherer_.partial().empty(); }

 private:
  enum class State : std::uint8_t { kHead, kBody, kFailed };
  Result<Step> read_head();

  State state_ = State::kHead;
  FedOctets fed_;
  HeadGatherer gatherer_;
  http::RequestHead head_;
  BodyReader body_;
  http::BodyFraming framing_;
  http::AnomalySet anomalies_ = 0;
};

class ResponseReader {
 public:
  explicit ResponseReader(const HttpLimits& limits);

  // Before each answer: the method decides whether a body follows. Interim (1xx) heads are returned as ResponseHead
  // and followed by another head; 101 is final. What is left of earlier octets is read as this answer: ask has_rest()
  // first, an answer that came before its request is none of it.
  void begin(std::string_view request_method);
  void feed(Bytes octets);
  // After MessageEnd: NeedMore until begin(). Octets after the end stay unread and show in has_rest() (kExtraBytes).
  Result<http::ResponseEvent> next();
  // The same in two parts, as in RequestReader.
  Result<Step> step();
  void reuse(http::ResponseHead&& spent);
  http::ResponseHead& head() { return head_; }
  const http::BodyPiece& piece() const { return body_.piece(); }
  http::Trailers take_trailers() { return body_.take_trailers(); }
  // The peer closed: MessageEnd for a body until close and after an answer's end, kClosed for one cut short.
  Result<http::ResponseEvent> finish();

  bool in_head() const { return gatherer_.begun(); }
  Bytes refused_head() const { return gatherer_.head(); }
  // The last head where it lies in what was fed, so that a pump can forward it as it stands; empty if it came in
  // pieces, or is not to be forwarded so (kBlankBeforeColon). Valid like the fed octets.
  Bytes head_wire() const { return head_wire_; }
  http::BodyFraming framing() const { return framing_; }
  http::AnomalySet anomalies() const { return anomalies_ | body_.anomalies(); }
  std::string take_rest();
  // Forgets what is left of earlier octets: before begin() for another connection.
  void forget_rest();
  bool has_rest() const { return !fed_.empty() || !gatherer_.partial().empty(); }

 private:
  enum class State : std::uint8_t { kIdle, kHead, kBody, kFailed };
  Result<Step> read_head();

  State state_ = State::kIdle;
  FedOctets fed_;
  HeadGatherer gatherer_;
  http::ResponseHead head_;
  BodyReader body_;
  std::string method_;
  Bytes head_wire_;
  http::BodyFraming framing_;
  http::AnomalySet anomalies_ = 0;
};

// --- writers: append to `out` ---
// What came is written as it came. Of what was made here, CR, LF and NUL become blanks (in a target: %XX, blanks
// too), so that nothing a rule sets becomes a line of its own.
void append_head(std::string& out, const http::RequestHead& head);
void append_head(std::string& out, const http::ResponseHead& head);
void append_chunk(std::string& out, Bytes content);        // nothing for empty content
void append_chunk_line(std::string& out, ByteCount size);  // the line alone: content and CRLF follow; size > 0
void append_last_chunk(std::string& out, const http::FieldList& trailers);

}  // namespace sluice::http1
