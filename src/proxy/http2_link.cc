#include "proxy/http2_link.h"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <cstring>

#include "net/spawn.h"
#include "proxy/relay.h"
#include "proxy/worker.h"

namespace sluice::proxy {
namespace {

constexpr ByteCount kOutboxMark = 64 * kKiB;   // of one stream: beyond it the other side's reading pauses
constexpr std::chrono::seconds kLastWords{1};  // for a peer that has ended to take what was said last
constexpr int kReadsInARow = 8;                // then the streams' coroutines get their turn

}  // namespace

// --- a stream ---

Http2Stream::Http2Stream(Http2Link& link, http2::StreamId id)
    : readable(link.worker().deadlines()),
      writable(link.worker().deadlines()),
      budget_(link.worker().shared().bodies),
      link_(&link),
      id_(id) {}

Http2Stream::~Http2Stream() { budget_.give_back(in_size_ + out_size_); }

void Http2Stream::receive(Bytes content) {
  if (in_size_ > 0 && budget_.is_overdrawn()) {
    EndFailure failure;
    failure.cause = EndFailure::Cause::kNoRoom;
    failure.message = "too much of bodies waits for slow receivers, this one's too";
    fail(std::move(failure));
    return reset(static_cast<std::uint32_t>(http2::ErrorCode::kEnhanceYourCalm));
  }
  in_.push_back(link_->worker().sink().hold(content));
  in_size_ += content.size();
  budget_.take(content.size());
  readable.notify();
}

// What read_body() gave has gone on. When the process holds too much, only to those that do not add to it.
void Http2Stream::give_window_back() {
  owed_ += std::exchange(taken_, 0);
  if (owed_ == 0 || !link_ || (in_size_ > 0 && budget_.is_spent())) return;
  link_->session().consumed(id_, std::exchange(owed_, 0), !budget_.is_short());
  if (link_->session().wants_output()) link_->flush();
}

void Http2Stream::fail(EndFailure failure) {
  if (failure_) return;
  failure_ = std::move(failure);
  readable.notify();
  writable.notify();
  if (auto call = std::exchange(on_gone, nullptr)) call();
}

net::Task<BodyRead> Http2Stream::read_body() {
  BodyRead read;
  give_window_back();
  for (;;) {
    if (in_next_ < in_.size()) {
      read.step = BodyStep::kContent;
      read.content = Content(std::move(in_[in_next_++]));
      taken_ = read.content.octets().size();
      in_size_ -= taken_;
      budget_.give_back(taken_);
      if (in_next_ == in_.size()) {
        in_.clear();
        in_next_ = 0;
      }
      co_return read;
    }
    if (in_ended_) {
      read.step = BodyStep::kEnd;
      read.trailers = std::move(trailers_);
      co_return read;
    }
    if (failure_ || cancelled_ || reads_cancelled_) {
      read.step = BodyStep::kFailed;
      if (failure_)
        read.failure = *failure_;
      else
        read.failure.cause = EndFailure::Cause::kCancelled;
      co_return read;
    }
    if (const Status ready = co_await readable.wait(); !ready) {
      read.step = BodyStep::kFailed;
      read.failure.cause =
          ready.error().code == Code::kTimeout ? EndFailure::Cause::kTimeout : EndFailure::Cause::kCancelled;
      co_return read;
    }
  }
}

void Http2Stream::offer(Content content) {
  const std::size_t size = content.octets().size();
  if (size == 0 || !link_ || failure_) return;
  out_size_ += size;
  budget_.take(size);
  out_.push_back(std::move(content).keep(link_->worker().sink()));
  link_->session().resume(id_);
  link_->flush();
}

void Http2Stream::offer_end(const http::FieldList* trailers) {
  if (trailers) out_trailers_ = *trailers;
  out_ended_ = true;
  if (!link_ || failure_) return;
  link_->session().resume(id_);
  link_->flush();
}

bool Http2Stream::has_room() const { return failure_ || (out_ended_ ? out_over_ : out_size_ < kOutboxMark); }

net::Task<Status> Http2Stream::wait_room() {
  while (!has_room()) {
    if (cancelled_) co_return sluice::fail(Code::kCancelled, "the wait was ended");
    if (const Status ready = co_await writable.wait(); !ready) co_return ready;
  }
  if (failure_) co_return sluice::fail(Code::kClosed, failure_->message);
  co_return Status{};
}

http2::BodySource::Pulled Http2Stream::pull(MutableBytes out) {
  http2::BodySource::Pulled pulled;
  while (out_next_ < out_.size() && pulled.count < out.size()) {
    const Bytes left = out_[out_next_].view().substr(out_offset_);
    const std::size_t count = std::min(left.size(), out.size() - pulled.count);
    std::memcpy(out.data() + pulled.count, left.data(), count);
    pulled.count += count;
    out_offset_ += count;
    if (count == left.size()) {
      out_[out_next_++] = flow::Held();
      out_offset_ = 0;
    }
  }
  if (out_next_ == out_.size()) {
    out_.clear();
    out_next_ = 0;
    if (out_ended_) {
      pulled.end = out_over_ = true;
      if (out_trailers_) pulled.trailers = &*out_trailers_;
    }
  }
  out_size_ -= pulled.count;
  budget_.give_back(pulled.count);
  if (out_over_ || (pulled.count > 0 && out_size_ < kOutboxMark)) writable.notify();
  return pulled;
}

void Http2Stream::set_deadline(MonoTime at) {
  if (cancelled_) return;
  readable.set_deadline(at);
  writable.set_deadline(at);
}

void Http2Stream::cancel_reads() {
  reads_cancelled_ = true;
  readable.notify();  // cancel() would be forgotten with the next deadline
}

void Http2Stream::cancel() {
  cancelled_ = true;
  readable.cancel(Code::kCancelled);
  writable.cancel(Code::kCancelled);
}

void Http2Stream::reset(std::uint32_t code) {
  if (!link_ || !link_->session().is_open(id_)) return;
  link_->session().reset(id_, static_cast<http2::ErrorCode>(code));
  link_->flush();
}

// --- a connection ---

Http2Link::Http2Link(Worker& worker, net::Stream& stream, http2::Role role, const http2::Options& options,
                     net::asio::any_io_executor executor)
    : worker_(worker),
      stream_(stream),
      executor_(std::move(executor)),
      session_(role, options, *this),
      output_(worker.deadlines()),
      joined_(worker.deadlines()),
      heads_are_timed_(role == http2::Role::kServer) {}

Http2Link::~Http2Link() {
  for (auto& [id, stream] : streams_) stream->link_ = nullptr;
}

Http2StreamPtr Http2Link::add_stream(http2::StreamId id, bool ended) {
  auto stream = std::make_shared<Http2Stream>(*this, id);
  stream->in_ended_ = ended;
  streams_.emplace(id, stream);
  return stream;
}

Http2StreamPtr Http2Link::find_stream(http2::StreamId id) const {
  if (last_ && last_->id() == id) return last_;
  const auto found = streams_.find(id);
  return found == streams_.end() ? nullptr : found->second;
}

http2::BodySource::Pulled Http2Link::pull(http2::StreamId id, MutableBytes out) {
  const Http2StreamPtr stream = find_stream(id);
  if (!stream) return {0, true, nullptr};
  return stream->pull(out);
}

void Http2Link::dispatch() {
  while (auto event = session_.next()) {
    if (auto* data = std::get_if<http2::DataRead>(&*event)) {
      if (Http2StreamPtr stream = find_stream(data->stream)) {
        stream->receive(data->content);
        last_ = std::move(stream);
      } else {
        session_.consumed(data->stream, data->content.size());
      }
    } else if (auto* head = std::get_if<http2::HeadRead>(&*event)) {
      const http2::StreamId id = head->stream;
      const bool ended = head->ended;
      on_head(std::move(*head));
      if (!ended) continue;
      if (const Http2StreamPtr stream = find_stream(id)) stream->in_ended_ = true;
    } else if (auto* ended = std::get_if<http2::StreamEnded>(&*event)) {
      if (const Http2StreamPtr stream = find_stream(ended->stream)) {
        stream->in_ended_ = true;
        stream->readable.notify();
      }
    } else if (auto* trailers = std::get_if<http2::TrailersRead>(&*event)) {
      if (const Http2StreamPtr stream = find_stream(trailers->stream)) stream->trailers_ = std::move(trailers->fields);
    } else if (auto* reset = std::get_if<http2::StreamReset>(&*event)) {
      if (const Http2StreamPtr stream = find_stream(reset->stream)) {
        EndFailure failure;
        failure.cause = EndFailure::Cause::kReset;
        failure.code = static_cast<std::uint32_t>(reset->code);
        failure.untouched = reset->code == http2::ErrorCode::kRefusedStream;
        failure.message = std::string(reset->by_peer ? "the peer" : "Sluice") + " reset the stream (" +
                          std::string(http2::to_string(reset->code)) + ")";
        stream->fail(std::move(failure));
        forget(reset->stream);
      }
    } else if (auto* malformed = std::get_if<http2::Malformed>(&*event)) {
      on_malformed(std::move(*malformed));
    } else if (auto* go_away = std::get_if<http2::GoAwayRead>(&*event)) {
      on_go_away(*go_away);
    } else {
      on_settings();
    }
  }
}

void Http2Link::forget(http2::StreamId id) {
  if (last_ && last_->id() == id) last_.reset();
  const auto found = streams_.find(id);
  if (found == streams_.end()) return;
  found->second->link_ = nullptr;
  streams_.erase(found);
}

void Http2Link::end_streams(const EndFailure& failure) {
  last_.reset();
  auto streams = std::move(streams_);
  streams_.clear();
  for (auto& [id, stream] : streams) {
    stream->link_ = nullptr;
    stream->fail(failure);
  }
}

// One octet of a head now and then would keep a connection for ever, and nothing else can be said on it meanwhile.
bool Http2Link::head_takes_too_long() {
  const std::uint64_t head = heads_are_timed_ ? session_.head_under_way() : 0;
  if (head != timed_head_) head_end_.reset();
  timed_head_ = head;
  if (head == 0) return false;
  const MonoTime now = worker_.clock().mono();
  if (!head_end_) head_end_ = now + worker_.limits().timeouts.client_head;
  if (now < *head_end_) return false;
  complaint_ = "a request's head took too long";
  head_timed_out_ = true;
  session_.go_away(http2::ErrorCode::kEnhanceYourCalm);
  return true;
}

net::Task<void> Http2Link::read_loop() {
  const auto idle = worker_.limits().timeouts.idle;
  int in_a_row = 0;
  for (;;) {
    const MutableBytes space = worker_.sink().read_space(worker_.limits().read_size);
    const tls::IoResult got = stream_.read(space);
    if (got.status == tls::IoStatus::kOk) {
      activity_ = worker_.clock().mono();
      const Status fed = session_.feed(Bytes(space.data(), got.count));
      dispatch();
      if (session_.wants_output()) flush();
      if (!fed) complaint_ = fed.error().message;
      if (!fed || session_.is_over() || head_takes_too_long()) co_return;
      if (++in_a_row >= kReadsInARow) {
        in_a_row = 0;
        co_await net::asio::post(executor_, net::asio::use_awaitable);
        if (stopping_) co_return;
      }
      continue;
    }
    if (got.status != tls::IoStatus::kWouldBlock) co_return;
    in_a_row = 0;
    const MonoTime idle_end = worker_.clock().mono() + idle;
    stream_.set_deadline(head_end_ ? std::min(idle_end, *head_end_) : idle_end);
    const Status ready = stream_.read_waits_for() == tls::WaitFor::kRead ? co_await stream_.wait_readable()
                                                                         : co_await stream_.wait_writable();
    if (ready) continue;
    if (stopping_ || ready.error().code != Code::kTimeout || head_takes_too_long()) co_return;
    if (worker_.clock().mono() < activity_ + idle) continue;
    if (!on_idle()) co_return;
  }
}

net::Task<void> Http2Link::write_loop() {
  Outbox out(worker_.sink(), stream_);
  while (!stopping_) {
    for (Bytes octets = session_.output(); !octets.empty(); octets = session_.output()) {
      out.add_view(octets);
      if (!out.try_send()) {
        if (out.failed()) co_return stop();
        Status sent = co_await out.send_rest();
        while (!sent && sent.error().code == Code::kTimeout && !stopping_ && !over_ &&
               worker_.clock().mono() < activity_ + worker_.limits().timeouts.idle) {
          stream_.set_deadline(worker_.clock().mono() + worker_.limits().timeouts.idle);
          sent = co_await out.send_rest();
        }
        if (!sent) co_return stop();
      }
      activity_ = worker_.clock().mono();
    }
    dispatch();  // streams that could not be opened any more
    // Those that are over in both directions are no longer needed here.
    if (session_.open_streams() < streams_.size()) {
      std::vector<http2::StreamId> gone;
      for (const auto& [id, stream] : streams_) {
        if (!session_.is_open(id)) gone.push_back(id);
      }
      for (const http2::StreamId id : gone) forget(id);
    }
    if (session_.is_over()) co_return stop();
    if (over_) co_return;
    co_await output_.wait_told();
  }
}

void Http2Link::stop() {
  stopping_ = true;
  stream_.set_deadline(MonoTime{});
  stream_.cancel(Code::kCancelled);
  output_.notify();
}

net::Task<void> Http2Link::run() {
  activity_ = worker_.clock().mono();
  writing_ = true;
  net::asio::co_spawn(executor_, write_loop(), [this](std::exception_ptr bug) {
    writing_ = false;
    joined_.notify();
    if (!bug) return;
    stop();
    try {
      std::rethrow_exception(bug);
    } catch (const std::exception& what) {
      worker_.shared().on_bug(what.what());
    } catch (...) {
      worker_.shared().on_bug("an exception of an unknown kind");
    }
  });
  std::exception_ptr bug;
  try {
    co_await read_loop();
  } catch (...) {
    bug = std::current_exception();
  }
  over_ = true;
  EndFailure failure = end_of_connection();
  // Of a head that took too long the other streams are no cause.
  if (!complaint_.empty() && !head_timed_out_ && failure.cause == EndFailure::Cause::kClosed) {
    failure = {EndFailure::Cause::kMalformed, 0, "the HTTP/2 connection was ended: " + complaint_};
  }
  failure.truncated = stream_.truncated();
  end_streams(failure);
  stream_.set_deadline(worker_.clock().mono() + kLastWords);
  output_.notify();  // a GOAWAY that says why
  while (writing_) co_await joined_.wait_told();
  if (bug) std::rethrow_exception(bug);
}

}  // namespace sluice::proxy
