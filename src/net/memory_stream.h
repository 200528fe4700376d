// Two ends of a connection in memory, on one io_context: what tests and internal senders use in a client's place.
// Each direction holds at most `capacity` octets, so that backpressure is real.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <memory>
#include <string>
#include <utility>

#include "net/stream.h"

namespace sluice::net {

class MemoryStream final : public Stream {
 public:
  static std::pair<std::unique_ptr<MemoryStream>, std::unique_ptr<MemoryStream>> pair(
      const asio::any_io_executor& executor, std::size_t capacity = 64 * 1024);
  ~MemoryStream() override;

  // Reads give at most this many octets at once: every split can be tried.
  void set_slice(std::size_t octets) { slice_ = octets; }

  tls::IoResult read(MutableBytes out) override;
  tls::IoResult write(Bytes octets) override;
  void close_write() override;
  std::string error_text() const override { return "the connection was reset"; }
  Task<Status> wait_readable() override;
  Task<Status> wait_writable() override;
  void watch_readable(Watcher* who) override;
  void watch_writable(Watcher* who) override;
  void set_deadline(MonoTime) override {}
  void clear_deadline() override {}
  void close() override;
  void reset() override;
  void cancel(Code why) override;
  bool is_quiet(Look look) override;
  bool is_dead() override;
  bool has_ended() override;

 private:
  // One direction.
  struct Pipe {
    explicit Pipe(const asio::any_io_executor& executor) : timer(executor) {}
    std::string octets;
    std::size_t capacity = 0;
    bool ended = false, reset = false;
    asio::steady_timer timer;
    Watcher *reader = nullptr, *writer = nullptr;
    bool is_readable() const { return !octets.empty() || ended || reset; }
    bool is_writable() const { return octets.size() < capacity || ended || reset; }
    void changed();
  };
  MemoryStream(std::shared_ptr<Pipe> in, std::shared_ptr<Pipe> out) : in_(std::move(in)), out_(std::move(out)) {}
  Task<Status> wait(Pipe& pipe, bool (Pipe::*ready)() const);

  std::shared_ptr<Pipe> in_, out_;
  std::size_t slice_ = SIZE_MAX;
  bool closed_ = false;
  unsigned cancels_ = 0;
  Code why_ = Code::kCancelled;
};

}  // namespace sluice::net
