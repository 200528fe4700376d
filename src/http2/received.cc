// What came in: frame by frame to nghttp2, and what it tells back becomes events.
#include <algorithm>
#include <limits>

#include "http2/session_impl.h"

namespace sluice::http2 {
namespace {

constexpr std::size_t kMostQueued = 2'000;  // frames; one that reads has none waiting
constexpr std::string_view kReadsTooLittle = "the peer sends faster than it reads what is answered (RFC 9113 §10.5)";

std::optional<Priority> priority_of(const nghttp2_headers& frame) {
  if ((frame.hd.flags & NGHTTP2_FLAG_PRIORITY) == 0) return std::nullopt;
  Priority priority;
  priority.dependency = static_cast<std::uint32_t>(frame.pri_spec.stream_id);
  priority.weight = static_cast<std::uint16_t>(frame.pri_spec.weight);
  priority.exclusive = frame.pri_spec.exclusive != 0;
  return priority;
}

bool ends_stream(const nghttp2_frame_hd& header) { return (header.flags & NGHTTP2_FLAG_END_STREAM) != 0; }

}  // namespace

Status Session::Impl::feed(Bytes octets) {
  start();
  while (!octets.empty() && !failure_) feed_piece(scanner_.take(octets));
  if (failure_) return fail(*failure_);
  return {};
}

void Session::Impl::feed_piece(const FrameScanner::Piece& piece) {
  if (piece.octets.empty()) return;
  const FrameHeader& header = scanner_.header();
  if (piece.begins) {
    // nghttp2 does not look at the size of CONTINUATION frames.
    if (header.length > nghttp2_session_get_local_settings(session_, NGHTTP2_SETTINGS_MAX_FRAME_SIZE)) {
      fail_connection(Code::kInvalid, ErrorCode::kFrameSizeError, "a frame is larger than allowed (RFC 9113 §4.2)");
    } else if (!floods_.on_frame(header)) {
      fail_connection(Code::kTooLarge, ErrorCode::kEnhanceYourCalm, floods_.reason());
    }
    if (failure_) return flush();
  }
  if (header.type == FrameType::kHeaders || header.type == FrameType::kContinuation) {
    if (piece.begins && header.type == FrameType::kHeaders) ++heads_;
    within_head_ = !piece.ends || (header.flags & kFlagEndHeaders) == 0;
  }
  if (!preface_.is_done()) {
    if (piece.begins) preface_.on_frame(header);
    preface_.on_payload(piece.payload);
    if (piece.ends) preface_.on_frame_end();
  }
  const auto taken = nghttp2_session_mem_recv(session_, reinterpret_cast<const std::uint8_t*>(piece.octets.data()),
                                              piece.octets.size());
  rethrow();
  if (taken == NGHTTP2_ERR_BAD_CLIENT_MAGIC) {
    fail_connection(Code::kInvalid, ErrorCode::kProtocolError, "the peer does not speak HTTP/2 (RFC 9113 §3.4)");
  } else if (taken == NGHTTP2_ERR_FLOODED || taken == NGHTTP2_ERR_TOO_MANY_CONTINUATIONS) {
    fail_connection(Code::kTooLarge, ErrorCode::kEnhanceYourCalm, kReadsTooLittle);
  } else if (taken < 0) {
    break_off();
  }
  // Whoever sends and does not read makes frames wait here. A client's own requests may wait for their turn.
  if (role_ == Role::kServer && nghttp2_session_get_outbound_queue_size(session_) > kMostQueued) {
    fail_connection(Code::kTooLarge, ErrorCode::kEnhanceYourCalm, kReadsTooLittle);
  }
  // nghttp2 says that the connection failed only by writing GOAWAY. Asked at the end of each frame, so that it does
  // not matter how octets were cut.
  if (piece.ends || failure_) flush();
  check_termination();
}

// nghttp2's own GOAWAY for too many resets lets the streams that run go on; for us it is the end.
void Session::Impl::check_termination() {
  if (!failure_ || broken_) return;
  nghttp2_session_terminate_session(session_, NGHTTP2_ENHANCE_YOUR_CALM);
  flush();
}

// nghttp2 itself refuses streams beyond a limit that the client has not acknowledged yet.
void Session::Impl::on_invalid_frame(const nghttp2_frame& frame, int error) {
  if (frame.hd.type != NGHTTP2_HEADERS || error != NGHTTP2_ERR_REFUSED_STREAM || floods_.on_refusal()) return;
  fail_connection(Code::kTooLarge, ErrorCode::kEnhanceYourCalm, floods_.reason());
}

int Session::Impl::on_begin_headers(const nghttp2_frame& frame) {
  const StreamId id = frame.hd.stream_id;
  section_stream_ = 0;
  if (frame.hd.type != NGHTTP2_HEADERS) return 0;  // pushes are refused by an option
  Stream* stream = find(id);
  if (!stream) {
    if (role_ == Role::kClient || frame.headers.cat != NGHTTP2_HCAT_REQUEST) return 0;
    if (streams_.size() >= options_.max_streams) {
      if (!floods_.on_refusal()) {
        fail_connection(Code::kTooLarge, ErrorCode::kEnhanceYourCalm, floods_.reason());
      }
      nghttp2_submit_rst_stream(session_, NGHTTP2_FLAG_NONE, id, NGHTTP2_REFUSED_STREAM);
      return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    }
    stream = &open(id);
  }
  section_stream_ = id;
  if (stream->final_head_read) {
    head_in_.begin(Section::kTrailers);
  } else {
    head_in_.begin(role_ == Role::kServer ? Section::kRequest : Section::kResponse);
  }
  return 0;
}

void Session::Impl::on_header(const nghttp2_frame& frame, std::string_view name, std::string_view value) {
  if (frame.hd.type != NGHTTP2_HEADERS || frame.hd.stream_id != section_stream_) return;
  if (!head_in_.on_field(name, value)) {
    fail_connection(Code::kTooLarge, ErrorCode::kEnhanceYourCalm,
                    "a field section unfolds to many times the limit (RFC 9113 §10.5.1)");
  }
}

void Session::Impl::on_frame(const nghttp2_frame& frame) {
  const StreamId id = frame.hd.stream_id;
  switch (frame.hd.type) {
    case NGHTTP2_HEADERS:
      on_headers(frame.headers);
      break;
    case NGHTTP2_DATA:
      if (Stream* stream = find(id); stream && ends_stream(frame.hd)) on_end(id, *stream);
      break;
    case NGHTTP2_RST_STREAM:
      if (streams_.erase(id) > 0) push(id, StreamReset{id, static_cast<ErrorCode>(frame.rst_stream.error_code), true});
      break;
    case NGHTTP2_SETTINGS:
      if ((frame.hd.flags & NGHTTP2_FLAG_ACK) == 0 && !upgrading_) push(0, SettingsRead{});
      break;
    case NGHTTP2_GOAWAY:
      on_go_away(frame.goaway);
      break;
    default:
      break;
  }
}

void Session::Impl::on_headers(const nghttp2_headers& frame) {
  const StreamId id = frame.hd.stream_id;
  Stream* stream = find(id);
  if (!stream || id != section_stream_) return;
  section_stream_ = 0;
  if (stream->malformed) return;
  switch (head_in_.section()) {
    case Section::kRequest:
      return on_request(id, *stream, frame);
    case Section::kResponse:
      return on_response(id, *stream, frame);
    case Section::kTrailers:
      return on_trailers(id, *stream, frame);
  }
}

void Session::Impl::on_request(StreamId id, Stream& stream, const nghttp2_headers& frame) {
  const std::string_view problem = head_in_.finish();
  auto& order = preface_.preface().pseudo_order;
  if (order.empty()) order = head_in_.pseudo_order;
  stream.final_head_read = true;
  stream.length = head_in_.content_length();
  stream.remote_ended = ends_stream(frame.hd);
  if (!problem.empty()) {
    Malformed what{id, std::move(head_in_.request), head_in_.is_too_large(), true, std::string(problem)};
    return malformed(id, stream, std::move(what));
  }
  if (stream.remote_ended && stream.length.value_or(0) != 0) {
    Malformed what{id, std::move(head_in_.request), false, true,
                   "a request without content has a Content-Length (RFC 9113 §8.1.1)"};
    return malformed(id, stream, std::move(what));
  }
  HeadRead event;
  event.stream = id;
  event.head = std::move(head_in_.request);
  event.ended = stream.remote_ended;
  event.scheme = std::move(head_in_.scheme);
  event.protocol = std::move(head_in_.protocol);
  event.priority = priority_of(frame);
  push(id, std::move(event));
}

void Session::Impl::on_response(StreamId id, Stream& stream, const nghttp2_headers& frame) {
  std::string_view problem = head_in_.finish();
  const int status = head_in_.response.status;
  const bool interim = head_in_.response.is_interim();
  const bool ended = ends_stream(frame.hd);
  // RFC 9110 §6.4.1: answers without content, whatever Content-Length says of the content that is not there.
  const bool bare = stream.asked_head || status == 204 || status == 304;
  const bool tunnel = stream.asked_connect && status >= 200 && status < 300;
  if (bare) {
    stream.length = 0;
  } else if (!tunnel) {
    stream.length = head_in_.content_length();
  }
  if (problem.empty() && interim && ended) problem = "an interim answer ends the stream (RFC 9113 §8.1)";
  if (problem.empty() && ended && stream.length.value_or(0) != 0) {
    problem = "an answer without content has a Content-Length (RFC 9113 §8.1.1)";
  }
  if (!problem.empty()) {
    Malformed what{id, std::move(head_in_.response), head_in_.is_too_large(), true, std::string(problem)};
    return malformed(id, stream, std::move(what));
  }
  stream.final_head_read = !interim;
  stream.remote_ended = ended;
  HeadRead event;
  event.stream = id;
  event.head = std::move(head_in_.response);
  event.ended = ended;
  event.priority = priority_of(frame);
  push(id, std::move(event));
}

void Session::Impl::on_trailers(StreamId id, Stream& stream, const nghttp2_headers& frame) {
  const std::string_view problem = head_in_.finish();
  stream.remote_ended = ends_stream(frame.hd);
  if (!problem.empty() || !stream.remote_ended) {
    Malformed what = bad_body(id, problem.empty() ? "trailers do not end the stream (RFC 9113 §8.1)" : problem);
    what.too_large = head_in_.is_too_large();
    return malformed(id, stream, std::move(what));
  }
  if (stream.length && *stream.length != stream.received) return on_end(id, stream);
  push(id, TrailersRead{id, std::move(head_in_.trailers)});
  on_end(id, stream);
}

void Session::Impl::on_data(StreamId id, Bytes content) {
  // engine.md 4: a stream that nobody reads must not stop its siblings.
  nghttp2_session_consume_connection(session_, content.size());
  Stream* stream = find(id);
  if (!stream || stream->malformed) return;
  if (!stream->final_head_read) {
    return malformed(id, *stream, bad_body(id, "content came before the final head (RFC 9113 §8.1)"));
  }
  // What was announced is passed on, however the rest was cut into pieces.
  const ByteCount announced = stream->length.value_or(std::numeric_limits<ByteCount>::max());
  const Bytes fitting = content.substr(0, std::min<ByteCount>(content.size(), announced - stream->received));
  stream->received += fitting.size();
  stream->unconsumed += fitting.size();
  if (!fitting.empty()) push(id, DataRead{id, fitting});
  if (fitting.size() == content.size()) return;
  malformed(id, *stream, bad_body(id, "there is more content than Content-Length says (RFC 9113 §8.1.1)"));
}

void Session::Impl::on_end(StreamId id, Stream& stream) {
  stream.remote_ended = true;
  if (stream.malformed) return;
  if (!stream.final_head_read) {
    return malformed(id, stream, bad_body(id, "the stream ended before the final head (RFC 9113 §8.1)"));
  }
  if (stream.length && stream.received != *stream.length) {
    return malformed(id, stream, bad_body(id, "there is less content than Content-Length says (RFC 9113 §8.1.1)"));
  }
  push(id, StreamEnded{id});
}

// RFC 9113 §6.8: what lies above last_stream was not processed, and can be said again elsewhere; so can what still
// waits here.
void Session::Impl::on_go_away(const nghttp2_goaway& frame) {
  goaway_read_ = true;
  push(0, GoAwayRead{frame.last_stream_id, static_cast<ErrorCode>(frame.error_code)});
  if (role_ == Role::kServer) return;
  std::vector<StreamId> refused;
  for (const auto& [id, stream] : streams_) {
    if (id > frame.last_stream_id || !stream.sent) refused.push_back(id);
  }
  std::sort(refused.begin(), refused.end());
  for (const StreamId id : refused) {
    // nghttp2 closes what it sent; the rest it takes out of its queue.
    if (!streams_[id].sent) nghttp2_submit_rst_stream(session_, NGHTTP2_FLAG_NONE, id, NGHTTP2_REFUSED_STREAM);
    streams_.erase(id);
    push(id, StreamReset{id, ErrorCode::kRefusedStream, true});
  }
}

// Both halves over; or nghttp2 gave the stream up.
void Session::Impl::on_closed(StreamId id, std::uint32_t code) {
  if (streams_.erase(id) == 0 || code == NGHTTP2_NO_ERROR) return;
  push(id, StreamReset{id, static_cast<ErrorCode>(code), false});
  // A request that its client makes us reset is a reset of its client (CVE-2025-8671).
  if (role_ == Role::kServer && !floods_.on_forced_reset()) {
    fail_connection(Code::kTooLarge, ErrorCode::kEnhanceYourCalm, floods_.reason());
  }
}

void Session::Impl::malformed(StreamId id, Stream& stream, Malformed what) {
  stream.malformed = true;
  push(id, std::move(what));
  if (!floods_.on_refusal()) {
    return fail_connection(Code::kTooLarge, ErrorCode::kEnhanceYourCalm, floods_.reason());
  }
  if (role_ == Role::kClient) fail_stream(id, ErrorCode::kProtocolError);
}

Malformed Session::Impl::bad_body(StreamId id, std::string_view message) const {
  Malformed what;
  what.stream = id;
  if (role_ == Role::kClient) what.head = http::ResponseHead();
  what.in_head = false;
  what.message = message;
  return what;
}

}  // namespace sluice::http2
