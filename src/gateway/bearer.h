// A token that goes with each request to one server and changes while the gateway runs. Control thread.
#pragma once

#include <string>

#include "gateway/oauth_discovery.h"
#include "net/stream.h"

namespace sluice::gateway {

class Bearer {
 public:
  virtual ~Bearer() = default;
  // Empty: there is none, and requests go without. An error says what a person is to do.
  virtual net::Task<Result<std::string>> token() = 0;
  // After an answer 401 to a request with `refused`: whether there is another one by now.
  virtual net::Task<bool> renew(std::string refused) = 0;
  // The last one, whatever has become of it since.
  virtual std::string present() const = 0;
  // What a person is to do so that requests are taken again, such as "run `sluice gateway login …`".
  virtual std::string advice(const std::optional<BearerChallenge>& challenge) const = 0;
};

}  // namespace sluice::gateway
