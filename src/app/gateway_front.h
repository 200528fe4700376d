// What clients come to, of one server's core or of several: --listen and standard input and output are the same for
// both (gateway_listen.cc, gateway_many.cc).
#pragma once

#include <boost/asio/io_context.hpp>
#include <functional>
#include <optional>
#include <string>

#include "app/config.h"
#include "app/home.h"
#include "base/clock.h"
#include "base/entropy.h"
#include "base/log.h"
#include "gateway/backend.h"
#include "gateway/identity.h"

namespace sluice::app {

// All outlive whoever has it.
struct GatewayFront {
  boost::asio::io_context& control;
  const Config& config;
  const Home& home;
  const Clock& clock;
  Entropy& entropy;
  Log& log;
  gateway::Identities& identities;
  McpLimits limits;
  std::string name;  // of the server or the endpoint, for the person
  gateway::BackendFactory factory;
  std::function<std::optional<WallTime>(const gateway::Caller&)> shut_out_until;
  std::function<void(const gateway::Caller&)> malformed;  // what it sent is no request
  std::size_t programs = 0;                               // that one set of clients has
  bool starts_programs = false;                           // also such as all share
};

}  // namespace sluice::app
