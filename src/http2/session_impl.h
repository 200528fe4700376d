// What stands behind http2.h: an nghttp2 session, the streams as the caller knows them, the queue of events, and the
// octets on their way out. received.cc holds what nghttp2 tells of incoming frames, sent.cc what goes out,
// callbacks.cc the way from C.
#pragma once

#include <nghttp2/nghttp2.h>

#include <exception>
#include <memory>
#include <optional>
#include <unordered_map>
#include <vector>

#include "http2/floods.h"
#include "http2/frames.h"
#include "http2/head_in.h"
#include "http2/head_out.h"
#include "http2/http2.h"
#include "http2/out_buffer.h"
#include "http2/preface.h"

namespace sluice::http2 {

// One stream that the caller may still use. nghttp2 keeps its states; this is what it does not keep.
struct Stream {
  bool final_head_read = false;  // the request, or the answer that is not interim
  bool remote_ended = false;
  bool malformed = false;  // server role: nothing of what still comes is told
  bool answered = false;   // server role: the final head was submitted
  bool sent = false;       // client role: the request's head has left the queue
  bool asked_head = false;
  bool asked_connect = false;
  std::optional<ByteCount> length;  // of the peer's body, where it is known
  ByteCount received = 0;
  ByteCount unconsumed = 0;
  ByteCount window = 0;
  ByteCount since_growth = 0;  // octets consumed since the window grew
};

class Session::Impl {
 public:
  Impl(Role role, const Options& options, BodySource& source);
  ~Impl();
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;

  Status upgraded(std::string_view settings, std::string_view method);
  Status feed(Bytes octets);
  std::optional<Event> next();
  Bytes output();
  bool wants_output() const;
  bool is_over() const;
  std::uint64_t head_under_way() const { return within_head_ ? heads_ : 0; }
  Status submit_response(StreamId id, const http::ResponseHead& head, Body body);
  Result<StreamId> submit_request(const http::RequestHead& head, const RequestOptions& options, Body body);
  void resume(StreamId id);
  void reset(StreamId id, ErrorCode code);
  void consumed(StreamId id, ByteCount octets, bool may_grow);
  bool is_open(StreamId id) const { return streams_.contains(id); }
  void go_away(ErrorCode code);
  std::uint32_t peer_max_streams() const;
  bool peer_takes_extended_connect() const;
  std::size_t open_streams() const { return streams_.size(); }
  const Preface& peer_preface() const { return preface_.preface(); }

 private:
  struct Callbacks;
  struct Queued {
    template <class Kind>
    Queued(StreamId id, Kind&& what) : stream(id), event(std::forward<Kind>(what)) {}
    StreamId stream;
    bool dropped = false;
    Event event;
  };

  void start();  // our SETTINGS and window, once
  Stream* find(StreamId id);
  Stream& open(StreamId id);
  template <class Kind>
  void push(StreamId id, Kind&& event) {
    events_.emplace_back(id, std::forward<Kind>(event));
  }
  void fail_connection(Code code, ErrorCode error, std::string_view message);
  void fail_stream(StreamId id, ErrorCode code);
  void break_off();

  // callbacks.cc
  void create_session();
  void rethrow();  // what a callback threw
  static nghttp2_data_provider body_provider();

  // received.cc
  void feed_piece(const FrameScanner::Piece& piece);
  void check_termination();
  void on_invalid_frame(const nghttp2_frame& frame, int error);
  int on_begin_headers(const nghttp2_frame& frame);
  void on_header(const nghttp2_frame& frame, std::string_view name, std::string_view value);
  void on_frame(const nghttp2_frame& frame);
  void on_headers(const nghttp2_headers& frame);
  void on_request(StreamId id, Stream& stream, const nghttp2_headers& frame);
  void on_response(StreamId id, Stream& stream, const nghttp2_headers& frame);
  void on_trailers(StreamId id, Stream& stream, const nghttp2_headers& frame);
  void on_data(StreamId id, Bytes content);
  void on_end(StreamId id, Stream& stream);
  void on_go_away(const nghttp2_goaway& frame);
  void on_closed(StreamId id, std::uint32_t code);
  void malformed(StreamId id, Stream& stream, Malformed what);
  Malformed bad_body(StreamId id, std::string_view message) const;

  // sent.cc
  enum class Bodies : bool { kLeave, kPull };
  void flush();  // everything but bodies
  void fill(Bodies bodies);
  bool submit_trailers(StreamId id, const http::FieldList& fields);
  ssize_t on_pull(StreamId id, std::size_t room, std::uint32_t* flags);
  int on_send_data(const nghttp2_frame& frame, const std::uint8_t* header);
  void on_before_send(const nghttp2_frame& frame);
  void on_not_sent(const nghttp2_frame& frame, int error);

  const Role role_;
  const Options options_;
  BodySource& source_;
  const Settings settings_;
  nghttp2_session* session_ = nullptr;
  bool started_ = false;
  bool upgrading_ = false;      // nghttp2 reads the settings of an upgrade
  bool settings_said_ = false;  // by our upgrade request
  bool pulling_ = false;        // output() runs: bodies may be asked for
  bool goaway_read_ = false;
  bool going_away_ = false;  // go_away() was called
  bool own_goaway_queued_ = false;
  std::optional<Error> failure_;  // of the connection: nothing more is read
  bool broken_ = false;           // and nothing written
  std::exception_ptr thrown_;

  FrameScanner scanner_;
  std::uint64_t heads_ = 0;  // that have begun
  bool within_head_ = false;
  FloodGuard floods_;
  PrefaceReader preface_;
  HeadReader head_in_;
  StreamId section_stream_ = 0;  // whose section head_in_ holds
  HeadWriter head_out_;
  std::unordered_map<StreamId, Stream> streams_;
  std::vector<Queued> events_;
  std::size_t next_event_ = 0;
  OutBuffer out_;
  bool cut_by_window_ = false;  // the body last pulled had perhaps more to give
};

}  // namespace sluice::http2
