#include "net/memory_stream.h"

#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <cstring>

namespace sluice::net {

std::pair<std::unique_ptr<MemoryStream>, std::unique_ptr<MemoryStream>> MemoryStream::pair(
    const asio::any_io_executor& executor, std::size_t capacity) {
  auto there = std::make_shared<Pipe>(executor), back = std::make_shared<Pipe>(executor);
  there->capacity = back->capacity = capacity;
  return {std::unique_ptr<MemoryStream>(new MemoryStream(back, there)),
          std::unique_ptr<MemoryStream>(new MemoryStream(there, back))};
}

MemoryStream::~MemoryStream() { close(); }

tls::IoResult MemoryStream::read(MutableBytes out) {
  if (in_->reset || closed_) return {tls::IoStatus::kError, 0};
  if (in_->octets.empty()) return {in_->ended ? tls::IoStatus::kEof : tls::IoStatus::kWouldBlock, 0};
  const std::size_t count = std::min({out.size(), in_->octets.size(), slice_});
  std::memcpy(out.data(), in_->octets.data(), count);
  in_->octets.erase(0, count);
  in_->changed.cancel();
  return {tls::IoStatus::kOk, count};
}

tls::IoResult MemoryStream::write(Bytes octets) {
  if (out_->reset || out_->ended || closed_) return {tls::IoStatus::kError, 0};
  const std::size_t count = std::min(octets.size(), out_->capacity - out_->octets.size());
  if (count == 0 && !octets.empty()) return {tls::IoStatus::kWouldBlock, 0};
  out_->octets.append(octets.substr(0, count));
  out_->changed.cancel();
  return {tls::IoStatus::kOk, count};
}

void MemoryStream::close_write() {
  out_->ended = true;
  out_->changed.cancel();
}

Task<Status> MemoryStream::wait(Pipe& pipe, bool (*ready)(const Pipe&)) {
  const unsigned cancels = cancels_;
  while (!ready(pipe) && !closed_) {
    if (cancels != cancels_) co_return fail(why_, "the wait was cancelled");
    pipe.changed.expires_at(asio::steady_timer::time_point::max());
    co_await pipe.changed.async_wait(asio::as_tuple(asio::use_awaitable));
  }
  if (closed_) co_return fail(Code::kCancelled, "the connection was closed here");
  co_return Status{};
}

Task<Status> MemoryStream::wait_readable() {
  co_return co_await wait(*in_, [](const Pipe& pipe) { return !pipe.octets.empty() || pipe.ended || pipe.reset; });
}

Task<Status> MemoryStream::wait_writable() {
  co_return co_await wait(
      *out_, [](const Pipe& pipe) { return pipe.octets.size() < pipe.capacity || pipe.ended || pipe.reset; });
}

void MemoryStream::close() {
  if (closed_) return;
  closed_ = true;
  in_->ended = out_->ended = true;
  in_->changed.cancel();
  out_->changed.cancel();
}

void MemoryStream::reset() {
  in_->reset = out_->reset = true;
  close();
}

void MemoryStream::cancel(Code why) {
  why_ = why;
  ++cancels_;
  in_->changed.cancel();
  out_->changed.cancel();
}

bool MemoryStream::is_quiet(Look) { return in_->octets.empty() && !in_->ended && !in_->reset; }
bool MemoryStream::is_dead() { return in_->reset || closed_; }
bool MemoryStream::has_ended() { return in_->reset || in_->ended; }

}  // namespace sluice::net
