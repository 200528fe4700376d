// HTTP/2 as a pure core over nghttp2: feed octets, take events; submit heads, let bodies be pulled, take octets to
// write. One Session is one connection, of either role. RFC 9113, RFC 7541, RFC 8441 (extended CONNECT).
//
//   Session session(Role::kServer, options, source);
//   if (!session.feed(octets)) …;                     // the connection is over: write what output() still has
//   while (auto event = session.next()) …;            // all of them: views in events live until the next feed()
//   for (Bytes out = session.output(); !out.empty(); out = session.output()) write(out);
//
// output() may queue events, too (a stream that could not be opened any more), but none with views.
//
// Heads become http::RequestHead/ResponseHead of Version::kHttp2: method, target (:path; for CONNECT :authority) and
// status from the pseudo-header fields, all other fields as they came, in order. :authority becomes a first field
// "host", unless a Host field says the same (another one is refused); when written, Host becomes :authority again.
// What RFC 9113 §8 forbids is refused here, with reasons of our own (nghttp2's messaging checks are off): a Malformed
// event, never a forwarded head. Fields that RFC 9113 §8.2.2 forbids in heads given to submit_*() are left out.
//
// Flow control (engine.md 4): the connection's window is given back when octets leave in an event, a stream's when
// the caller says consumed(); stream windows begin at `stream_window` and grow to `stream_window_max` while the caller
// keeps up. Bodies towards the peer are pulled from BodySource inside output(), as windows allow.
// Not thread-safe. No clock, no sockets. Errors of feed(): kInvalid (protocol error; GOAWAY lies in output()),
// kTooLarge (a flood limit: rapid reset, CONTINUATION, SETTINGS, PING, empty frames).
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "http/message.h"

namespace sluice::http2 {

using StreamId = std::int32_t;

enum class Role : std::uint8_t { kServer, kClient };

// RFC 9113 §7.
enum class ErrorCode : std::uint32_t {
  kNoError = 0,
  kProtocolError = 1,
  kInternalError = 2,
  kFlowControlError = 3,
  kSettingsTimeout = 4,
  kStreamClosed = 5,
  kFrameSizeError = 6,
  kRefusedStream = 7,
  kCancel = 8,
  kCompressionError = 9,
  kConnectError = 10,
  kEnhanceYourCalm = 11,
  kInadequateSecurity = 12,
  kHttp11Required = 13
};
std::string_view to_string(ErrorCode code);  // "CANCEL"; "" for codes that are not registered

// RFC 9113 §5.3 (deprecated, passed on where it exists; dependencies between streams are not kept).
struct Priority {
  std::uint32_t dependency = 0;
  std::uint16_t weight = 16;  // 1-256
  bool exclusive = false;
};

// What a peer showed of itself before its first request: the material of the HTTP/2 (Akamai) fingerprint, and what
// `Profile` says again.
struct Preface {
  std::vector<std::pair<std::uint16_t, std::uint32_t>> settings;  // in order, as in its first SETTINGS frame
  std::uint32_t window_increment = 0;                             // of the first WINDOW_UPDATE on stream 0; 0: none
  struct PriorityFrame {
    StreamId stream = 0;
    Priority priority;
  };
  std::vector<PriorityFrame> priorities;  // PRIORITY frames before the first HEADERS
  std::string pseudo_order;               // of the first request: "mpas" letters in order, m a s p
};

// How this end introduces itself: SETTINGS in this order, the connection window beyond 65,535, and the order of
// pseudo-header fields. A header table above 1 MiB and stream windows above 16 MiB are brought down to that.
struct Profile {
  std::vector<std::pair<std::uint16_t, std::uint32_t>> settings;  // empty: built from Options
  std::uint32_t window_increment = 0;                             // 0: from Options
  std::string pseudo_order = "masp";
};

struct Options {
  std::uint32_t max_streams = 100;      // that the peer may have open
  ByteCount stream_window = 64 * 1024;  // at first
  ByteCount stream_window_max = 1024 * 1024;
  ByteCount connection_window = 4 * 1024 * 1024;
  // Of a field section, as RFC 9113 §6.5.2 counts. Of one name or value nghttp2 takes 64 KiB; more ends the connection.
  ByteCount head_size = 256 * 1024;
  std::size_t head_fields = 1000;
  bool extended_connect = true;  // server: SETTINGS_ENABLE_CONNECT_PROTOCOL
  // server: a :path that is the whole URL of its own :scheme and :authority counts as the path in it. curl 7 writes so
  // to a proxy after an upgrade; RFC 9113 §8.3.1 knows no such form.
  bool whole_urls = false;
  Profile profile;
};

// --- events ---
struct HeadRead {  // a request (server role), an answer or an interim answer (client role)
  StreamId stream = 0;
  std::variant<http::RequestHead, http::ResponseHead> head;
  bool ended = false;    // no body follows, and no StreamEnded
  std::string scheme;    // server role: :scheme; empty if none
  std::string protocol;  // server role: :protocol of an extended CONNECT (RFC 8441); empty otherwise
  std::optional<Priority> priority;
};
struct DataRead {
  StreamId stream = 0;
  Bytes content;  // inside the octets fed
};
struct TrailersRead {
  StreamId stream = 0;
  http::FieldList fields;
};
struct StreamEnded {  // the peer's half is over (END_STREAM); comes after the last DataRead or TrailersRead
  StreamId stream = 0;
};
// The stream is over at once: the peer's RST_STREAM, or ours (also the one that reset() asked for; what was queued
// before it is dropped then). Nothing more comes of it or may be said on it.
struct StreamReset {
  StreamId stream = 0;
  ErrorCode code = ErrorCode::kNoError;
  bool by_peer = false;
};
// A head, trailers or body that RFC 9113 §8.1.1 calls malformed, or too large. In the server role the stream is still
// open towards the peer: answer (400, 431) or reset it; what else it brings is thrown away. In the client role it has
// been reset, and no StreamReset follows.
struct Malformed {
  StreamId stream = 0;
  std::variant<http::RequestHead, http::ResponseHead> head;  // as far as it was read, for the record
  bool too_large = false;
  bool in_head = true;  // false: trailers or body
  std::string message;  // one sentence with the RFC's section
};
struct GoAwayRead {  // the peer takes no new streams; those above `last_stream` were not processed (RFC 9113 §6.8)
  StreamId last_stream = 0;
  ErrorCode code = ErrorCode::kNoError;
};
struct SettingsRead {};  // the peer's SETTINGS: peer_max_streams() and extended_connect() may have changed
using Event =
    std::variant<HeadRead, DataRead, TrailersRead, StreamEnded, StreamReset, Malformed, GoAwayRead, SettingsRead>;

// Where the octets of bodies towards the peer come from; called inside output(), and must not call the session.
class BodySource {
 public:
  struct Pulled {
    std::size_t count = 0;
    bool end = false;                           // this was the last: END_STREAM, or trailers
    const http::FieldList* trailers = nullptr;  // with `end`: sent after the data; valid until pull() returns
  };
  // Fills `out` as far as there is something. Nothing and no end: the stream rests until resume().
  virtual Pulled pull(StreamId stream, MutableBytes out) = 0;

 protected:
  ~BodySource() = default;
};

enum class Body : std::uint8_t { kNone, kPulled };

class Session {
 public:
  // `source` outlives the session. The preface and SETTINGS lie in output() at once.
  Session(Role role, const Options& options, BodySource& source);
  ~Session();
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  // h2c (RFC 7540 §3.2), before anything else: `settings` is the HTTP2-Settings field's value (base64url).
  // Server: the request that asked becomes stream 1, half-closed; respond to it with submit_response(1, …).
  // Client: stream 1 awaits the answer.
  Status upgraded(std::string_view settings, std::string_view method);

  Status feed(Bytes octets);
  std::optional<Event> next();
  // Octets to write; valid until the next call of any function. Empty: nothing (now).
  Bytes output();
  bool wants_output() const;  // output() would give octets
  bool is_over() const;       // nothing to read and nothing to write any more: close
  // The number of the peer's field section that has begun and not ended (RFC 9113 §4.3), from 1 on: until it does, no
  // other frame may come. 0: there is none.
  std::uint64_t head_under_way() const;

  // Server role. kClosed: the stream is over; kConflict: it has its final head; kInvalid: 101, or no status;
  // kTooLarge: more than 1 MiB of head.
  Status submit_response(StreamId stream, const http::ResponseHead& head, Body body);  // also interim answers
  // Client role. kUnavailable: no more streams can be opened (ids used up, GOAWAY); kConflict: an extended CONNECT
  // that the peer does not take; kTooLarge as above. Beyond peer_max_streams() requests wait in the session.
  struct RequestOptions {
    std::string scheme = "https";
    std::string protocol;  // extended CONNECT
    std::optional<Priority> priority;
  };
  Result<StreamId> submit_request(const http::RequestHead& head, const RequestOptions& options, Body body);

  void resume(StreamId stream);                 // the source has something for this stream again
  void reset(StreamId stream, ErrorCode code);  // an answer's head that was submitted before still goes out
  // Of DataRead content: gives the stream's window back, and lets it grow if it may.
  void consumed(StreamId stream, ByteCount octets, bool may_grow = true);
  // Both halves over, or reset: forgotten. True while the stream can still be used.
  bool is_open(StreamId stream) const;
  // GOAWAY: no new streams from the peer; those that run go on. kNoError in a drain.
  void go_away(ErrorCode code);

  std::uint32_t peer_max_streams() const;
  bool peer_takes_extended_connect() const;
  std::size_t open_streams() const;
  const Preface& peer_preface() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace sluice::http2
