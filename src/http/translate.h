// A message that changes its HTTP version between client and origin: what engine.md 1 allows to change, and no more.
// The way to HTTP/2 needs nothing here: its codec leaves out what RFC 9113 §8.2.2 forbids. Pure.
// RFC 9113 §8.2.3 (cookie crumbs), §8.3.1 (authority), §8.8; RFC 9112 §6.
#pragma once

#include "http/message.h"

namespace sluice::http {

// How the receiving HTTP/1 connection learns where the content ends.
enum class Http1Content : std::uint8_t {
  kNone,        // no content follows
  kAsDeclared,  // a Content-Length among the fields says it
  kChunked,     // Transfer-Encoding was added
  kUntilClose,  // to an HTTP/1.0 client: the connection's end
};

// As HTTP/1.1: cookie crumbs joined with "; ", framing added where content of unknown length follows, Content-Length: 0
// where a method that usually has content has none. `content` tells the writer how to frame.
RequestHead to_http1(const RequestHead& head, bool content_follows, Http1Content& content);
// As HTTP/1.1, for a client of that version (1.0 knows no chunks), with the registered reason phrase.
ResponseHead to_http1(const ResponseHead& head, bool content_follows, Version client, Http1Content& content);

// As one line for each field, for the record.
std::string section_text(const FieldList& fields);

}  // namespace sluice::http
