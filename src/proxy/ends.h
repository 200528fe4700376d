// The two ends of an exchange as event sources, whatever their HTTP version: what the relay between versions
// (stream_relay.h) knows of a client and of an origin. HTTP/1 to HTTP/1 keeps its own pump (http1_relay.cc), which
// forwards octets as they stood; everything that involves HTTP/2 meets here. docs/architecture.md "Ends".
//
// offer_*() never waits: it takes what it gets and says in has_room() whether the receiver keeps up. One coroutine may
// read an end while another writes to it. All of one worker thread.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <utility>

#include "flow/chunk.h"
#include "flow/sink.h"
#include "http/framing.h"
#include "http/message.h"
#include "net/stream.h"
#include "proxy/error_reply.h"

namespace sluice::proxy {

// A piece of content on its way: in view until the next suspension point, or kept.
class Content {
 public:
  Content() = default;
  Content(Bytes in_view) : view_(in_view) {}                            // NOLINT: a view is content
  Content(flow::Held kept) : kept_(std::move(kept)), is_kept_(true) {}  // NOLINT: so is what is held
  Bytes octets() const { return is_kept_ ? kept_.view() : view_; }
  // What keeps it over a suspension point.
  flow::Held keep(flow::Sink& sink) && { return is_kept_ ? std::move(kept_) : sink.hold(view_); }

 private:
  Bytes view_;
  flow::Held kept_;
  bool is_kept_ = false;
};

// Why an end is of no more use.
struct EndFailure {
  enum class Cause : std::uint8_t {
    kClosed,     // the connection ended
    kReset,      // the stream was reset (`code`)
    kTimeout,    // the deadline passed; the end is still usable
    kMalformed,  // what it said is no HTTP
    kTooLarge,   // its head was over the limit
    kCancelled,  // cancel() was called
    kIdentity,   // the origin wants a client certificate
    kProxyAuth,  // it is an upstream proxy that wants other credentials, or (untouched) the request again with ours
    kNoRoom,     // Sluice itself reset the stream: it holds too much (body_budget.h)
  };
  Cause cause = Cause::kClosed;
  std::uint32_t code = 0;  // RFC 9113 §7, for kReset
  std::string message;     // one sentence
  bool untouched = false;  // the origin did not process the request: it may be sent again, whatever the method
  bool truncated = false;  // TLS ended without close_notify
};

enum class BodyStep : std::uint8_t { kContent, kEnd, kFailed };
struct BodyRead {
  BodyStep step = BodyStep::kEnd;
  Content content;
  std::optional<http::FieldList> trailers;  // with kEnd
  EndFailure failure;                       // with kFailed; with kEnd only `truncated`
};

class End {
 public:
  virtual ~End() = default;
  // The next piece of the message's content. Calling again means that the piece before went on.
  virtual net::Task<BodyRead> read_body() = 0;
  virtual void offer(Content content) = 0;
  // The end of the content that was offered.
  virtual void offer_end(const http::FieldList* trailers) = 0;
  virtual bool has_room() const = 0;
  // Until there is room; after offer_end() until all has left. kTimeout: call again to wait on.
  virtual net::Task<Status> wait_room() = 0;
  // For all waits; a wait that passes it fails with kTimeout.
  virtual void set_deadline(MonoTime at) = 0;
  // Ends the waits under way and all to come; cancel_reads() only those of read_body().
  virtual void cancel() = 0;
  virtual void cancel_reads() = 0;
  // What was begun cannot be completed: the peer sees a reset (RFC 9113 §7 code), never a clean end.
  virtual void cut(std::uint32_t code) = 0;
  // Called once, from the loop's stack, when the peer goes away (or resets its stream) while nobody reads this end.
  virtual void on_gone(std::function<void()> call) = 0;
  // The code with which the peer has reset its stream; nullopt if it did not.
  virtual std::optional<std::uint32_t> reset_code() const { return std::nullopt; }
};

class ClientEnd : public End {
 public:
  // Interim heads too. `content_follows`: offer() and offer_end() come; otherwise the answer is over with the head.
  virtual void offer_head(const http::ResponseHead& head, bool content_follows) = 0;
  // True if a reset of the origin's stream can be told to this client as a reset: cut(code) does it.
  virtual bool knows_resets() const = 0;
  // A look without waiting: nobody is there any more to take an answer.
  virtual bool has_left() = 0;
};

struct OriginHead {
  std::optional<http::ResponseHead> head;  // interim or final
  http::BodyFraming framing;               // of a final head
  http::AnomalySet anomalies = 0;
  EndFailure failure;  // without a head
};

class OriginEnd : public End {
 public:
  struct RequestOptions {
    std::string scheme;
    std::string protocol;  // of an extended CONNECT (RFC 8441); empty otherwise
    bool content_follows = false;
    // What the client gave its stream (RFC 7540 §5.3.2); dependencies are of its connection alone and do not pass.
    std::optional<std::uint16_t> weight;
  };
  virtual void offer_request(const http::RequestHead& head, const RequestOptions& options) = 0;
  virtual net::Task<OriginHead> read_head(const std::string& method) = 0;
  // RFC 8441 §3; may wait for the origin to say so.
  virtual net::Task<bool> takes_extended_connect(MonoTime) { co_return false; }
  virtual const flow::UpstreamPtr& info() const = 0;
  virtual bool is_reused() const = 0;
  // The exchange is over and went well on this end: a connection may go back to its pool.
  virtual void release(bool reusable) = 0;
};

}  // namespace sluice::proxy
