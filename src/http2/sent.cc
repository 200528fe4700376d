// What goes out: heads submitted, bodies pulled, frames gathered so that one write carries many of them.
#include <cstring>
#include <stdexcept>

#include "http2/session_impl.h"

namespace sluice::http2 {
namespace {

constexpr std::size_t kOutputTarget = 64 * 1024;  // about what one write carries: four TLS records

}  // namespace

Status Session::Impl::submit_response(StreamId id, const http::ResponseHead& head, Body body) {
  Stream* stream = find(id);
  if (!stream || failure_) return fail(Code::kClosed, "the stream is over");
  if (stream->answered) return fail(Code::kConflict, "the stream was answered");
  if (head.status < 100 || head.status > 999) return fail(Code::kInvalid, "the answer has no status");
  if (head.status == 101) return fail(Code::kInvalid, "HTTP/2 switches no protocols (RFC 9113 §8.6)");
  SLUICE_TRY(const auto list, head_out_.response(head));
  int error = 0;
  if (head.is_interim()) {
    error = nghttp2_submit_headers(session_, NGHTTP2_FLAG_NONE, id, nullptr, list.data(), list.size(), nullptr);
  } else {
    const nghttp2_data_provider provider = body_provider();
    error =
        nghttp2_submit_response(session_, id, list.data(), list.size(), body == Body::kPulled ? &provider : nullptr);
    stream->answered = true;
  }
  if (error != 0) return fail(Code::kInternal, "the answer cannot be written");
  return {};
}

Result<StreamId> Session::Impl::submit_request(const http::RequestHead& head, const RequestOptions& options,
                                               Body body) {
  start();
  if (failure_ || going_away_ || goaway_read_ || nghttp2_session_check_request_allowed(session_) == 0) {
    return fail(Code::kUnavailable, "the connection takes no more streams");
  }
  if (!options.protocol.empty() && !peer_takes_extended_connect()) {
    return fail(Code::kConflict, "the peer takes no extended CONNECT (RFC 8441 §3)");
  }
  SLUICE_TRY(const auto list, head_out_.request(head, options, options_.profile.pseudo_order));
  nghttp2_priority_spec priority;
  if (options.priority) {
    nghttp2_priority_spec_init(&priority, static_cast<std::int32_t>(options.priority->dependency & 0x7fffffffu),
                               options.priority->weight, options.priority->exclusive ? 1 : 0);
  }
  const nghttp2_data_provider provider = body_provider();
  const StreamId id = nghttp2_submit_request(session_, options.priority ? &priority : nullptr, list.data(), list.size(),
                                             body == Body::kPulled ? &provider : nullptr, nullptr);
  if (id == NGHTTP2_ERR_INVALID_ARGUMENT) return fail(Code::kInvalid, "a stream cannot depend on itself");
  if (id < 0) return fail(Code::kUnavailable, "the connection takes no more streams");
  Stream& stream = open(id);
  stream.asked_head = head.method == "HEAD";
  stream.asked_connect = head.method == "CONNECT";
  return id;
}

void Session::Impl::resume(StreamId id) { nghttp2_session_resume_data(session_, id); }

bool Session::Impl::wants_output() const {
  return !started_ || !out_.empty() || (!broken_ && nghttp2_session_want_write(session_) != 0);
}

Bytes Session::Impl::output() {
  start();
  fill(Bodies::kPull);
  if (out_.empty() && streams_.empty()) out_.release();
  return out_.take();
}

void Session::Impl::flush() {
  if (nghttp2_session_get_outbound_queue_size(session_) > 0) fill(Bodies::kLeave);
}

void Session::Impl::fill(Bodies bodies) {
  pulling_ = bodies == Bodies::kPull;
  while (!broken_ && out_.size() < kOutputTarget) {
    const std::uint8_t* octets = nullptr;
    const auto size = nghttp2_session_mem_send(session_, &octets);
    rethrow();
    if (size < 0) break_off();
    if (size <= 0) break;
    out_.append(octets, static_cast<std::size_t>(size));
  }
  pulling_ = false;
}

// The body is pulled to where it will lie in the output; on_send_data() puts the frame's header before it.
ssize_t Session::Impl::on_pull(StreamId id, std::size_t room, std::uint32_t* flags) {
  if (!pulling_) return NGHTTP2_ERR_PAUSE;
  char* const place = out_.room(kFrameHeaderSize + room) + kFrameHeaderSize;
  const BodySource::Pulled pulled = source_.pull(id, MutableBytes(place, room));
  if (pulled.count > room) throw std::logic_error("BodySource::pull() filled more than it was given");
  if (pulled.count == 0 && !pulled.end) return NGHTTP2_ERR_DEFERRED;
  *flags |= NGHTTP2_DATA_FLAG_NO_COPY;
  cut_by_window_ = pulled.count == room;
  if (pulled.end) {
    *flags |= NGHTTP2_DATA_FLAG_EOF;
    if (pulled.trailers && !pulled.trailers->empty() && submit_trailers(id, *pulled.trailers)) {
      *flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
    }
  }
  return static_cast<ssize_t>(pulled.count);
}

bool Session::Impl::submit_trailers(StreamId id, const http::FieldList& fields) {
  const auto list = head_out_.trailers(fields);
  return list && !list->empty() && nghttp2_submit_trailer(session_, id, list->data(), list->size()) == 0;
}

int Session::Impl::on_send_data(const nghttp2_frame& frame, const std::uint8_t* header) {
  const std::size_t size = kFrameHeaderSize + frame.hd.length;
  std::memcpy(out_.room(size), header, kFrameHeaderSize);
  out_.commit(size);
  floods_.on_sent(frame.hd.length, cut_by_window_);
  return out_.size() < kOutputTarget ? 0 : NGHTTP2_ERR_PAUSE;
}

void Session::Impl::on_before_send(const nghttp2_frame& frame) {
  if (frame.hd.type == NGHTTP2_HEADERS) {
    if (Stream* stream = find(frame.hd.stream_id)) stream->sent = true;
    return;
  }
  if (frame.hd.type != NGHTTP2_GOAWAY || failure_) return;
  if (own_goaway_queued_) {
    own_goaway_queued_ = false;
    return;
  }
  if (role_ == Role::kServer && frame.goaway.error_code == NGHTTP2_INTERNAL_ERROR) {
    failure_ = Error{Code::kTooLarge, "the peer resets streams faster than anybody needs (RFC 9113 §10.5)"};
    return;
  }
  std::string message = "the peer broke HTTP/2: ";
  message += to_string(static_cast<ErrorCode>(frame.goaway.error_code));
  if (frame.goaway.opaque_data_len > 0) {  // nghttp2's own words
    message += ", ";
    message.append(reinterpret_cast<const char*>(frame.goaway.opaque_data), frame.goaway.opaque_data_len);
  }
  const bool too_much = frame.goaway.error_code == NGHTTP2_ENHANCE_YOUR_CALM;
  failure_ = Error{too_much ? Code::kTooLarge : Code::kInvalid, message + " (RFC 9113 §5.4.1)"};
}

// An answer that nghttp2 would not write, for another reason than that its stream is over.
void Session::Impl::on_not_sent(const nghttp2_frame& frame, int error) {
  const StreamId id = frame.hd.stream_id;
  const bool is_over = error == NGHTTP2_ERR_STREAM_CLOSED || error == NGHTTP2_ERR_STREAM_CLOSING ||
                       error == NGHTTP2_ERR_STREAM_SHUT_WR || error == NGHTTP2_ERR_SESSION_CLOSING;
  if (frame.hd.type != NGHTTP2_HEADERS || frame.headers.cat == NGHTTP2_HCAT_REQUEST || is_over || !is_open(id)) return;
  fail_stream(id, ErrorCode::kInternalError);
  push(id, StreamReset{id, ErrorCode::kInternalError, false});
}

}  // namespace sluice::http2
