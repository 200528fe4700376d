#include <algorithm>
#include <array>
#include <limits>

#include "base/text.h"
#include "http2/session_impl.h"

namespace sluice::http2 {
namespace {

constexpr std::size_t kClientPreface = 24;       // RFC 9113 §3.4
constexpr std::size_t kFrameSize = 16 * 1024;    // RFC 9113 §6.5.2: what peers send unless told otherwise
constexpr std::int32_t kDefaultWindow = 65'535;  // RFC 9113 §6.9.2

std::size_t max_continuations(const Options& options) {
  // Twice what a section of the limit needs, so that most which are too large can still be answered.
  return static_cast<std::size_t>(2 * options.head_size / kFrameSize) + 8;
}

HeadLimits head_limits(Role role, const Options& options, const Settings& settings) {
  HeadLimits limits;
  limits.size = options.head_size;
  limits.fields = options.head_fields;
  limits.extended_connect =
      role == Role::kServer && find_setting(settings, NGHTTP2_SETTINGS_ENABLE_CONNECT_PROTOCOL, 0) == 1;
  limits.whole_urls = options.whole_urls;
  return limits;
}

std::int32_t as_window(ByteCount octets) {
  return static_cast<std::int32_t>(std::min<ByteCount>(octets, std::numeric_limits<std::int32_t>::max()));
}

}  // namespace

Session::Impl::Impl(Role role, const Options& options, BodySource& source)
    : role_(role),
      options_(options),
      source_(source),
      settings_(own_settings(role, options)),
      scanner_(role == Role::kServer ? kClientPreface : 0),
      floods_(max_continuations(options)),
      head_in_(head_limits(role, options, settings_)) {
  create_session();
}

Session::Impl::~Impl() { nghttp2_session_del(session_); }

void Session::Impl::start() {
  if (started_) return;
  started_ = true;
  if (!settings_said_) {
    std::vector<nghttp2_settings_entry> entries;
    for (const auto& [id, value] : settings_) entries.push_back({id, value});
    // A profile with a value that RFC 9113 §6.5.2 forbids cannot be said.
    if (nghttp2_submit_settings(session_, NGHTTP2_FLAG_NONE, entries.data(), entries.size()) != 0) {
      nghttp2_submit_settings(session_, NGHTTP2_FLAG_NONE, nullptr, 0);
    }
  }
  const auto increment = options_.profile.window_increment;
  const ByteCount window = increment > 0 ? ByteCount{increment} + kDefaultWindow : options_.connection_window;
  if (as_window(window) > kDefaultWindow) {
    nghttp2_session_set_local_window_size(session_, NGHTTP2_FLAG_NONE, 0, as_window(window));
  }
}

Status Session::Impl::upgraded(std::string_view settings, std::string_view method) {
  if (started_) return fail(Code::kConflict, "an upgrade comes before anything else");
  const auto payload = base64_decode(settings);
  if (!payload) return fail(Code::kInvalid, "HTTP2-Settings is no base64url (RFC 7540 §3.2.1)");
  upgrading_ = true;
  const int error = nghttp2_session_upgrade2(session_, reinterpret_cast<const std::uint8_t*>(payload->data()),
                                             payload->size(), method == "HEAD" ? 1 : 0, nullptr);
  upgrading_ = false;
  settings_said_ = role_ == Role::kClient;
  if (error != 0) return fail(Code::kInvalid, "HTTP2-Settings holds no settings (RFC 7540 §3.2.1)");
  Stream& stream = open(1);
  stream.asked_head = method == "HEAD";
  stream.sent = true;
  if (role_ == Role::kServer) stream.final_head_read = stream.remote_ended = true;
  start();
  flush();  // nghttp2 tells of forbidden values only through its GOAWAY
  check_termination();
  if (failure_) return fail(*failure_);
  return {};
}

Stream* Session::Impl::find(StreamId id) {
  const auto found = streams_.find(id);
  return found == streams_.end() ? nullptr : &found->second;
}

Stream& Session::Impl::open(StreamId id) {
  Stream& stream = streams_[id];
  stream.window = find_setting(settings_, NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, kDefaultWindow);
  return stream;
}

std::optional<Event> Session::Impl::next() {
  while (next_event_ < events_.size()) {
    Queued& queued = events_[next_event_++];
    if (!queued.dropped) return std::move(queued.event);
  }
  constexpr std::size_t kKept = 64;
  events_.clear();
  if (events_.capacity() > kKept) events_.shrink_to_fit();
  next_event_ = 0;
  return std::nullopt;
}

// The connection is over because of the peer; GOAWAY goes out, streams end with it.
void Session::Impl::fail_connection(Code code, ErrorCode error, std::string_view message) {
  if (failure_) return;
  failure_ = Error{code, std::string(message)};
  nghttp2_session_terminate_session(session_, static_cast<std::uint32_t>(error));
}

// nghttp2 gave up, or a bug threw through it: its session can only be deleted.
void Session::Impl::break_off() {
  broken_ = true;
  if (!failure_) failure_ = Error{Code::kInternal, "the HTTP/2 session cannot go on"};
}

// The stream is over for a reason of ours; what was queued for it stays queued.
void Session::Impl::fail_stream(StreamId id, ErrorCode code) {
  nghttp2_submit_rst_stream(session_, NGHTTP2_FLAG_NONE, id, static_cast<std::uint32_t>(code));
  streams_.erase(id);
}

void Session::Impl::reset(StreamId id, ErrorCode code) {
  const Stream* stream = find(id);
  if (!stream) return;
  if (stream->answered) flush();  // nghttp2 would drop a head that waits
  fail_stream(id, code);
  for (std::size_t i = next_event_; i < events_.size(); ++i) {
    if (events_[i].stream == id) events_[i].dropped = true;
  }
  push(id, StreamReset{id, code, false});
}

void Session::Impl::consumed(StreamId id, ByteCount octets, bool may_grow) {
  Stream* stream = find(id);
  if (!stream) return;
  octets = std::min(octets, stream->unconsumed);
  stream->unconsumed -= octets;
  if (octets == 0 || stream->remote_ended) return;  // no window is needed any more
  nghttp2_session_consume_stream(session_, id, octets);
  stream->since_growth += octets;
  const bool keeps_up = may_grow && stream->unconsumed <= stream->window / 4;
  if (stream->since_growth < stream->window || !keeps_up || stream->window >= options_.stream_window_max) return;
  stream->window = std::min(2 * stream->window, options_.stream_window_max);
  stream->since_growth = 0;
  nghttp2_session_set_local_window_size(session_, NGHTTP2_FLAG_NONE, id, as_window(stream->window));
}

void Session::Impl::go_away(ErrorCode code) {
  if (going_away_ || failure_) return;
  start();
  going_away_ = own_goaway_queued_ = true;
  nghttp2_submit_goaway(session_, NGHTTP2_FLAG_NONE, nghttp2_session_get_last_proc_stream_id(session_),
                        static_cast<std::uint32_t>(code), nullptr, 0);
}

bool Session::Impl::is_over() const {
  if (!started_ || !out_.empty()) return false;
  return broken_ || (nghttp2_session_want_read(session_) == 0 && nghttp2_session_want_write(session_) == 0);
}

std::uint32_t Session::Impl::peer_max_streams() const {
  return nghttp2_session_get_remote_settings(session_, NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS);
}

bool Session::Impl::peer_takes_extended_connect() const {
  return nghttp2_session_get_remote_settings(session_, NGHTTP2_SETTINGS_ENABLE_CONNECT_PROTOCOL) == 1;
}

// --- the public face ---

std::string_view to_string(ErrorCode code) {
  static constexpr std::array<std::string_view, 14> kNames = {"NO_ERROR",
                                                              "PROTOCOL_ERROR",
                                                              "INTERNAL_ERROR",
                                                              "FLOW_CONTROL_ERROR",
                                                              "SETTINGS_TIMEOUT",
                                                              "STREAM_CLOSED",
                                                              "FRAME_SIZE_ERROR",
                                                              "REFUSED_STREAM",
                                                              "CANCEL",
                                                              "COMPRESSION_ERROR",
                                                              "CONNECT_ERROR",
                                                              "ENHANCE_YOUR_CALM",
                                                              "INADEQUATE_SECURITY",
                                                              "HTTP_1_1_REQUIRED"};
  const auto index = static_cast<std::size_t>(code);
  return index < kNames.size() ? kNames[index] : "";
}

Session::Session(Role role, const Options& options, BodySource& source)
    : impl_(std::make_unique<Impl>(role, options, source)) {}
Session::~Session() = default;
Status Session::upgraded(std::string_view settings, std::string_view method) {
  return impl_->upgraded(settings, method);
}
Status Session::feed(Bytes octets) { return impl_->feed(octets); }
std::optional<Event> Session::next() { return impl_->next(); }
Bytes Session::output() { return impl_->output(); }
bool Session::wants_output() const { return impl_->wants_output(); }
bool Session::is_over() const { return impl_->is_over(); }
std::uint64_t Session::head_under_way() const { return impl_->head_under_way(); }
Status Session::submit_response(StreamId stream, const http::ResponseHead& head, Body body) {
  return impl_->submit_response(stream, head, body);
}
Result<StreamId> Session::submit_request(const http::RequestHead& head, const RequestOptions& options, Body body) {
  return impl_->submit_request(head, options, body);
}
void Session::resume(StreamId stream) { impl_->resume(stream); }
void Session::reset(StreamId stream, ErrorCode code) { impl_->reset(stream, code); }
void Session::consumed(StreamId stream, ByteCount octets, bool may_grow) { impl_->consumed(stream, octets, may_grow); }
bool Session::is_open(StreamId stream) const { return impl_->is_open(stream); }
void Session::go_away(ErrorCode code) { impl_->go_away(code); }
std::uint32_t Session::peer_max_streams() const { return impl_->peer_max_streams(); }
bool Session::peer_takes_extended_connect() const { return impl_->peer_takes_extended_connect(); }
std::size_t Session::open_streams() const { return impl_->open_streams(); }
const Preface& Session::peer_preface() const { return impl_->peer_preface(); }

}  // namespace sluice::http2
