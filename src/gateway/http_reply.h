// The answer to one HTTP request, given by a handler and written by the connection: whole, or as a stream of events.
// Control thread only.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "net/signal.h"

namespace sluice::gateway {

struct HttpAnswer {
  int status = 200;
  std::vector<std::pair<std::string, std::string>> fields;
  std::string body;
};

class HttpReply {
 public:
  // Notices for a client that does not read are dropped beyond this; answers never.
  static constexpr ByteCount kMaxPending = 1 * kMiB;
  enum class Weight { kNotice, kAnswer };

  explicit HttpReply(std::shared_ptr<net::Deadlines> deadlines)
      : deadlines_(std::move(deadlines)), moved_(*deadlines_) {}

  void respond(HttpAnswer answer);  // once, and then nothing else
  void begin_events(std::vector<std::pair<std::string, std::string>> fields = {});
  // False lines inside are impossible: one line of JSON, or none to say the id alone. `id`: empty: none.
  void event(std::string_view message, Weight weight, std::string_view id = {});
  void end();  // of the events
  bool begun() const { return head_.has_value(); }
  bool ended() const { return ended_; }

  // The client went away before the end. Called at most once.
  void on_gone(std::function<void()> callback) { gone_callback_ = std::move(callback); }
  // Lives as long as the reply.
  void hold(std::shared_ptr<void> what) { held_ = std::move(what); }

  // --- for the connection ---
  // Until there is something to write or the time is up (net::Deadlines says how exactly). False: it is.
  net::Task<bool> wait(std::chrono::milliseconds at_most);
  // Until all of it is there, or flush().
  net::Task<void> gather();
  void flush();
  std::optional<HttpAnswer> take_head();  // of the events: without a body
  bool streaming() const { return streaming_; }
  std::string take_events();  // "" if there are none
  void gone();
  bool is_gone() const { return gone_; }

 private:
  const std::shared_ptr<net::Deadlines> deadlines_;
  net::Signal moved_;
  std::optional<HttpAnswer> head_;
  bool head_taken_ = false, streaming_ = false, ended_ = false, gone_ = false, flushed_ = false;
  std::string events_;
  std::function<void()> gone_callback_;
  std::shared_ptr<void> held_;
};

}  // namespace sluice::gateway
