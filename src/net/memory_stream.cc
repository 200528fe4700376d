#include "net/memory_stream.h"

#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <cstring>
#include <utility>

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
  in_->changed();
  return {tls::IoStatus::kOk, count};
}

tls::IoResult MemoryStream::write(Bytes octets) {
  if (out_->reset || out_->ended || closed_) return {tls::IoStatus::kError, 0};
  const std::size_t count = std::min(octets.size(), out_->capacity - out_->octets.size());
  if (count == 0 && !octets.empty()) return {tls::IoStatus::kWouldBlock, 0};
  out_->octets.append(octets.substr(0, count));
  out_->changed();
  return {tls::IoStatus::kOk, count};
}

void MemoryStream::close_write() {
  out_->ended = true;
  out_->changed();
}

Task<Status> MemoryStream::wait(Pipe& pipe, bool (Pipe::*ready)() const) {
  const unsigned cancels = cancels_;
  while (!(pipe.*ready)() && !closed_) {
    if (cancels != cancels_) co_return fail(why_, "the wait was cancelled");
    pipe.timer.expires_at(asio::steady_timer::time_point::max());
    co_await pipe.timer.async_wait(asio::as_tuple(asio::use_awaitable));
  }
  if (closed_) co_return fail(Code::kCancelled, "the connection was closed here");
  co_return Status{};
}

Task<Status> MemoryStream::wait_readable() { co_return co_await wait(*in_, &Pipe::is_readable); }
Task<Status> MemoryStream::wait_writable() { co_return co_await wait(*out_, &Pipe::is_writable); }

void MemoryStream::watch_readable(Watcher* who) {
  in_->reader = who;
  in_->changed();
}

void MemoryStream::watch_writable(Watcher* who) {
  out_->writer = who;
  out_->changed();
}

void MemoryStream::Pipe::changed() {
  timer.cancel();
  if (reader && is_readable()) std::exchange(reader, nullptr)->on_wait_over({});
  if (writer && is_writable()) std::exchange(writer, nullptr)->on_wait_over({});
}

void MemoryStream::close() {
  if (closed_) return;
  closed_ = true;
  in_->ended = out_->ended = true;
  in_->changed();
  out_->changed();
}

void MemoryStream::reset() {
  in_->reset = out_->reset = true;
  close();
}

void MemoryStream::cancel(Code why) {
  why_ = why;
  ++cancels_;
  in_->timer.cancel();
  out_->timer.cancel();
  for (Watcher** const who : {&in_->reader, &out_->writer}) {
    if (*who) std::exchange(*who, nullptr)->on_wait_over(fail(why, "the wait was cancelled"));
  }
}

bool MemoryStream::is_quiet(Look) { return in_->octets.empty() && !in_->ended && !in_->reset; }
bool MemoryStream::is_dead() { return in_->reset || closed_; }
bool MemoryStream::has_ended() { return in_->reset || in_->ended; }

}  // namespace sluice::net
