// A stream of which some octets were read already: they come first, then those of the stream beneath, which is owned or
// outlives this. One worker thread.
#pragma once

#include <algorithm>
#include <cstring>
#include <memory>
#include <string>

#include "net/stream.h"

namespace sluice::net {

class PrefixedStream final : public Stream {
 public:
  PrefixedStream(Stream& lower, std::string prefix) : lower_(lower), prefix_(std::move(prefix)) {}
  PrefixedStream(std::unique_ptr<Stream> lower, std::string prefix)
      : owned_(std::move(lower)), lower_(*owned_), prefix_(std::move(prefix)) {}

  tls::IoResult read(MutableBytes out) override {
    if (prefix_.empty()) return lower_.read(out);
    const std::size_t count = std::min(out.size(), prefix_.size());
    std::memcpy(out.data(), prefix_.data(), count);
    prefix_.erase(0, count);
    return {tls::IoStatus::kOk, count};
  }
  tls::IoResult write(Bytes octets) override { return lower_.write(octets); }
  tls::IoResult flush() override { return lower_.flush(); }
  bool is_drained() const override { return prefix_.empty() && lower_.is_drained(); }
  bool has_pending_output() const override { return lower_.has_pending_output(); }
  tls::WaitFor read_waits_for() const override { return lower_.read_waits_for(); }
  tls::WaitFor write_waits_for() const override { return lower_.write_waits_for(); }
  void close_write() override { lower_.close_write(); }
  std::string error_text() const override { return lower_.error_text(); }

  Task<Status> wait_readable() override {
    if (!prefix_.empty()) co_return Status{};
    co_return co_await lower_.wait_readable();
  }
  Task<Status> wait_writable() override { return lower_.wait_writable(); }
  void watch_readable(Watcher* who) override {
    if (who && !prefix_.empty()) return who->on_wait_over({});
    lower_.watch_readable(who);
  }
  void watch_writable(Watcher* who) override { lower_.watch_writable(who); }
  void expect_silence() override { lower_.expect_silence(); }
  void set_deadline(MonoTime at) override { lower_.set_deadline(at); }
  void clear_deadline() override { lower_.clear_deadline(); }
  void close() override { lower_.close(); }
  void reset() override { lower_.reset(); }
  void cancel(Code why) override { lower_.cancel(why); }
  bool is_quiet(Look look) override { return prefix_.empty() && lower_.is_quiet(look); }
  bool has_partial_record() override { return lower_.has_partial_record(); }
  bool is_dead() override { return lower_.is_dead(); }
  bool has_ended() override { return lower_.has_ended(); }
  bool truncated() const override { return lower_.truncated(); }

 private:
  std::unique_ptr<Stream> owned_;
  Stream& lower_;
  std::string prefix_;
};

}  // namespace sluice::net
