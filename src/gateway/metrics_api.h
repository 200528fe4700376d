// GET /metrics for Prometheus, on a loopback port of its own, without a credential: it names nothing and changes
// nothing. Pages of a browser and other hosts' names are refused. Control thread only.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "gateway/control_guard.h"
#include "gateway/http_server.h"

namespace sluice::gateway {

class MetricsApi final : public HttpHandler {
 public:
  explicit MetricsApi(std::function<std::string()> text) : text_(std::move(text)) {}

  std::optional<HttpAnswer> judge(const HttpRequest& request) override {
    if (auto refusal = guard_.judge(request.head, request.local_address)) return refusal;
    if (request.head.fields.count("origin") > 0) return text_answer(403, "Pages are not served here.");
    if (request.head.target != "/metrics") return text_answer(404, "There is nothing here. Metrics are at /metrics.");
    if (request.head.method == "GET") return std::nullopt;
    HttpAnswer answer = text_answer(405, "Metrics are read.");
    answer.fields.emplace_back("Allow", "GET");
    return answer;
  }
  void handle(HttpRequest, std::shared_ptr<HttpReply> reply) override {
    reply->respond({200, {{"Content-Type", "text/plain; version=0.0.4; charset=utf-8"}}, text_()});
  }
  HttpAnswer too_large(const http::RequestHead& /*head*/) override {
    return text_answer(413, "No body is needed here.");
  }

 private:
  ControlGuard guard_{{}};
  std::function<std::string()> text_;
};

}  // namespace sluice::gateway
