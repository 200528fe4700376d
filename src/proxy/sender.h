// Requests of Sluice's own (replays, fuzzing) through the same machine as clients': ExchangeServer, with a client side
// in memory. They are guarded, timed and recorded like any other exchange, as of a client of source `internal`.
// engine.md 7.
#pragma once

#include <chrono>
#include <functional>
#include <optional>
#include <stop_token>
#include <string>

#include "base/ids.h"
#include "flow/exchange.h"
#include "http/message.h"

namespace sluice::proxy {

class Worker;

struct SendRequest {
  // As it goes out: target in origin-form, Host and framing fields as they are wanted. Version kHttp2: offered to the
  // origin as HTTP/2, and sent so if it takes that.
  http::RequestHead head;
  std::string content;  // of the body; framed as the head says
  std::string scheme;   // "http", "https"
  std::string host;     // what is dialled and, in TLS, verified
  std::uint16_t port = 0;
  std::string grant;                          // whose call sends it: may it reach there (net::Egress)?
  bool direct = true;                         // past rules and upstream proxies; else as a client's
  bool own_origin = false;                    // it carries secrets of that origin: to none else, and not in the clear
                                              // through a proxy; FailureKind::kSecretOrigin
  ByteCount keep = 0;                         // of the answer's content, at most so much is handed back
  std::chrono::milliseconds timeout{30'000};  // for everything, to the answer's last octet
  std::stop_token stop;
};

struct SendResult {
  ExchangeSeq seq;                         // 0: no record of it was begun
  std::optional<http::ResponseHead> head;  // the answer's; null where there is a failure before it
  std::string content;                     // the first SendRequest::keep octets, as they came
  ByteCount size = 0;                      // of the whole content
  bool complete = false;                   // the answer came to its end
  std::optional<flow::Failure> failure;
  std::chrono::microseconds duration{0};  // to the answer's end
};

// Called once, from a worker's thread; must be quick and must not throw.
using SendDone = std::function<void(SendResult)>;

// Takes the request over and serves it on this worker's loop.
void start_sending(Worker& worker, SendRequest request, SendDone done);

}  // namespace sluice::proxy
