// One HTTP/2 connection on a net::Stream, of either role: the codec, its two coroutines, and its streams. A stream's
// coroutine sees a Http2Stream: content that came waits there until it is taken (then the window is given back),
// content to be sent waits there until the codec pulls it. Http2Server and Http2Upstream are the two kinds of link.
// engine.md 4 (flow control); RFC 9113. One worker thread.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "http2/http2.h"
#include "net/signal.h"
#include "proxy/body_budget.h"
#include "proxy/ends.h"

namespace sluice::proxy {

class Worker;
class Http2Link;

// An Upgrade to h2c that both sides have taken (RFC 7540 §3.2).
struct Http2Upgrade {
  std::string settings;  // the HTTP2-Settings field
  std::string method;    // of the request that is stream 1 now
};

class Http2Stream {
 public:
  Http2Stream(Http2Link& link, http2::StreamId id);
  ~Http2Stream();
  Http2Stream(const Http2Stream&) = delete;
  Http2Stream& operator=(const Http2Stream&) = delete;

  http2::StreamId id() const { return id_; }
  // --- what came ---
  net::Task<BodyRead> read_body();
  // --- what goes ---
  void offer(Content content);
  void offer_end(const http::FieldList* trailers);
  void offer_nothing() { out_ended_ = out_over_ = true; }  // the head was all
  bool has_room() const;
  net::Task<Status> wait_room();
  void set_deadline(MonoTime at);
  void cancel();
  void cancel_reads();
  void reset(std::uint32_t code);
  void fail(EndFailure failure);
  const std::optional<EndFailure>& failure() const { return failure_; }
  bool cancelled() const { return cancelled_; }
  bool has_ended() const { return in_ended_; }  // the peer's half; content may still wait here

  // Client role: heads that came, oldest first.
  std::vector<http::ResponseHead> heads;
  bool head_ended = false;  // the last head was all there is
  net::Signal readable, writable;
  std::function<void()> on_gone;  // see End

 private:
  friend class Http2Link;
  void receive(Bytes content);
  void give_window_back();
  http2::BodySource::Pulled pull(MutableBytes out);

  BodyBudget& budget_;
  Http2Link* link_;  // null: the connection is over
  const http2::StreamId id_;
  std::vector<flow::Held> in_;
  std::size_t in_next_ = 0;
  ByteCount in_size_ = 0;  // of what waits
  ByteCount taken_ = 0;    // octets of the piece that read_body() gave last
  ByteCount owed_ = 0;     // that went on, and whose window was not given back yet
  bool in_ended_ = false, reads_cancelled_ = false;
  std::optional<http::FieldList> trailers_;
  std::vector<flow::Held> out_;
  std::size_t out_next_ = 0, out_offset_ = 0;
  ByteCount out_size_ = 0;
  bool out_ended_ = false, out_over_ = false, cancelled_ = false;
  std::optional<http::FieldList> out_trailers_;
  std::optional<EndFailure> failure_;
};
using Http2StreamPtr = std::shared_ptr<Http2Stream>;

class Http2Link : protected http2::BodySource {
 public:
  Http2Link(Worker& worker, net::Stream& stream, http2::Role role, const http2::Options& options,
            net::asio::any_io_executor executor);
  virtual ~Http2Link();

  Worker& worker() { return worker_; }
  http2::Session& session() { return session_; }
  const net::asio::any_io_executor& executor() const { return executor_; }
  void flush() { output_.notify(); }  // something was submitted
  bool is_over() const { return over_; }
  std::size_t streams() const { return session_.open_streams(); }
  void stop();  // ends both coroutines at once
  // Why Sluice ended the connection: what the peer did that HTTP/2 forbids or nobody needs. Empty: it did not.
  const std::string& complaint() const { return complaint_; }
  bool head_timed_out() const { return head_timed_out_; }  // and that is the complaint

 protected:
  // Both coroutines: until the connection is over in both directions. Streams that were open have failed then.
  net::Task<void> run();
  Http2StreamPtr add_stream(http2::StreamId id, bool ended = false);  // ended: the peer's half is over already
  Http2StreamPtr find_stream(http2::StreamId id) const;
  void forget(http2::StreamId stream);

  virtual void on_head(http2::HeadRead head) = 0;
  virtual void on_malformed(http2::Malformed malformed) = 0;
  virtual void on_go_away(const http2::GoAwayRead&) {}
  virtual void on_settings() {}
  // What streams are told that were open when the connection ended.
  virtual EndFailure end_of_connection() const {
    return {EndFailure::Cause::kClosed, 0, "the HTTP/2 connection ended"};
  }
  // The connection was silent for the idle time: true to go on.
  virtual bool on_idle() = 0;

 private:
  friend class Http2Stream;
  Pulled pull(http2::StreamId stream, MutableBytes out) override;
  net::Task<void> read_loop();
  net::Task<void> write_loop();
  void dispatch();
  bool head_takes_too_long();
  void end_streams(const EndFailure& failure);

  Worker& worker_;
  net::Stream& stream_;
  net::asio::any_io_executor executor_;
  http2::Session session_;
  net::Signal output_, joined_;
  std::unordered_map<http2::StreamId, Http2StreamPtr> streams_;
  Http2StreamPtr last_;  // most events are of the stream of the one before
  MonoTime activity_{};
  const bool heads_are_timed_;        // an origin's have the time-outs of their exchanges
  std::uint64_t timed_head_ = 0;      // Session::head_under_way()
  std::optional<MonoTime> head_end_;  // until when it must have ended
  std::string complaint_;
  bool over_ = false, writing_ = false, stopping_ = false, head_timed_out_ = false;
};

}  // namespace sluice::proxy
