// Flows without a ring, for tests of inference.
#pragma once

#include <deque>
#include <map>
#include <string>

#include "analysis/flow_view.h"

namespace sluice::analysis {

struct FlowSpec {
  std::string method = "GET", host = "api.example.com", target = "/", request_fields, request_body;
  int status = 200;
  std::string response_fields, response_body;
  flow::Protocol protocol = flow::Protocol::kHttp1;
};

inline constexpr const char* kJsonFields = "Content-Type: application/json\r\n";
inline constexpr const char* kFormFields = "Content-Type: application/x-www-form-urlencoded\r\n";

class Flows {
 public:
  flow::Exchange& add(const FlowSpec& spec) {
    flow::Exchange& exchange = exchanges_.emplace_back();
    exchange.id = "flow-" + std::to_string(exchanges_.size());
    exchange.state = flow::State::kDone;
    exchange.protocol = spec.protocol;
    exchange.method = spec.method;
    exchange.scheme = "https";
    exchange.host = spec.host;
    exchange.port = 443;
    exchange.target = spec.target;
    exchange.status = spec.status;
    exchange.request.head =
        spec.method + " " + spec.target + " HTTP/1.1\r\nHost: " + spec.host + "\r\n" + spec.request_fields + "\r\n";
    if (spec.status != 0)
      exchange.response.head = "HTTP/1.1 " + std::to_string(spec.status) + " X\r\n" + spec.response_fields + "\r\n";
    exchange.request.body.size = exchange.request.body.stored = spec.request_body.size();
    exchange.response.body.size = exchange.response.body.stored = spec.response_body.size();
    bodies_[exchange.id] = {spec.request_body, spec.response_body};
    return exchange;
  }
  // In the order in which they were added.
  template <class Visit>
  void each(const Visit& visit) {
    for (const flow::Exchange& exchange : exchanges_) visit(FlowView(exchange, reader_));
  }

 private:
  std::deque<flow::Exchange> exchanges_;
  std::map<std::string, std::pair<std::string, std::string>> bodies_;
  BodyReader reader_ = [this](const flow::Exchange& exchange, flow::Direction direction) {
    const auto& [request, response] = bodies_[exchange.id];
    return direction == flow::Direction::kRequest ? request : response;
  };
};

}  // namespace sluice::analysis
