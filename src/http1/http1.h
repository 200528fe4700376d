// HTTP/1.0 and 1.1 as a pure codec: feed octets, take events; write heads and bodies back as they stood.
// A head that nothing changed is written octet for octet as it came. RFC 9112.
//
//   RequestReader reader(limits);
//   reader.feed(octets);                     // a view; must stay valid until next() has returned NeedMore
//   for (;;) { auto event = reader.next(); if (!event) …400/431…; if NeedMore: break; … }
//
// The reader keeps only what it must (an unfinished head or chunk line), never a body. Errors: kInvalid (400 for a
// request, 502 for an answer), kTooLarge (431, 502), kClosed (finish() before the message was whole). After an
// error the reader is of no more use. Not thread-safe.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "base/limits.h"
#include "base/result.h"
#include "http/framing.h"
#include "http/message.h"

namespace sluice::http1 {

class RequestReader {
 public:
  explicit RequestReader(const HttpLimits& limits);

  void feed(Bytes octets);
  // After MessageEnd the reader is ready for the next request: what was fed beyond the end is kept in view, so call
  // next() again for a pipelined one; if that returns NeedMore after consuming nothing, the connection is idle.
  Result<http::RequestEvent> next();
  // The peer closed. Success if no message was begun.
  Status finish();

  // True once an octet of a head has been seen that is not yet complete.
  bool in_head() const;
  http::BodyFraming framing() const;       // of the message whose head was last returned
  http::AnomalySet anomalies() const;      // of that message
  // What was fed and not consumed: the first octets of a tunnel after CONNECT or Upgrade, or a pipelined request.
  // Valid like the fed octets. After this call the reader no longer has them.
  std::string take_rest();
  // True if fed octets remain that no event has consumed.
  bool has_rest() const;

 private:
  struct Impl;  // replaced by plain members where that reads better
  std::string placeholder_;
};

class ResponseReader {
 public:
  explicit ResponseReader(const HttpLimits& limits);

  // Before each answer: the method decides whether a body follows. Interim (1xx) heads are returned as ResponseHead
  // and followed by another head; 101 is final.
  void begin(std::string_view request_method);
  void feed(Bytes octets);
  Result<http::ResponseEvent> next();
  // The peer closed: MessageEnd for a body until close, kClosed for one cut short.
  Result<http::ResponseEvent> finish();

  bool in_head() const;
  http::BodyFraming framing() const;
  http::AnomalySet anomalies() const;
  std::string take_rest();
  bool has_rest() const;

 private:
  std::string placeholder_;
};

// --- writers: append to `out` ---
void append_head(std::string& out, const http::RequestHead& head);
void append_head(std::string& out, const http::ResponseHead& head);
void append_chunk(std::string& out, Bytes content);                       // nothing for empty content
void append_last_chunk(std::string& out, const http::FieldList& trailers);

}  // namespace sluice::http1
