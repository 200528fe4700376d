// One POST for each call that begins to wait for a person, so that somebody hears of it (gate.md 5). It never holds a
// call up: what cannot be delivered after three tries is logged, and the call waits all the same. The answer to a POST
// decides nothing; that is the admin API's matter (admin_api.h).
// Body: approval_json() with secrets masked. `Sluice-Signature: t=<Unix seconds>,v1=<hex>`, where v1 is HMAC-SHA256 of
// "<t>.<body>" with the key: whoever receives compares it, and refuses an old t and an id that came before.
// Control thread only.
#pragma once

#include <boost/asio/io_context.hpp>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/secret.h"
#include "base/url.h"

namespace sluice::gateway {

class ApprovalWebhook {
 public:
  struct Options {
    std::string url;  // https, or http to this machine
    Secret key;
    std::vector<std::string> ca_files;                 // trusted besides the system's
    std::chrono::milliseconds pause{2'000};            // before the second try, and twice that before the third
    std::chrono::milliseconds patience{10'000};        // of one try
    std::function<void(std::string_view)> on_failure;  // a sentence without the body
  };
  static constexpr std::size_t kMostWaiting = 256;

  // kInvalid: the URL is none of those.
  static Result<std::unique_ptr<ApprovalWebhook>> create(boost::asio::io_context& io, const Clock& clock,
                                                         Options options);
  ~ApprovalWebhook();  // what was not delivered yet is not

  // Nothing is sent any more after `expires_ms`.
  void send(std::string body, std::int64_t expires_ms);

 private:
  struct State;
  explicit ApprovalWebhook(std::shared_ptr<State> state) : state_(std::move(state)) {}
  std::shared_ptr<State> state_;
};

// "t=1700000000,v1=…". Empty: there is no memory.
std::string webhook_signature(const Secret& key, std::int64_t unix_seconds, std::string_view body);

}  // namespace sluice::gateway
