// A proxy::Engine without sockets, for tests of what steers it.
#pragma once

#include <mutex>

#include "proxy/engine.h"
#include "proxy/exchange.h"

namespace sluice::tools {

class FakeEngine final : public proxy::Engine {
 public:
  Status start(const std::vector<proxy::ListenAddress>& addresses) override {
    std::lock_guard lock(mutex_);
    if (status_.running) return fail(Code::kConflict, "Proxy is already running. Stop it first.");
    if (taken != 0 && addresses.front().port == taken) return fail(Code::kUnavailable, "the address is already in use");
    status_.running = true;
    status_.listeners = addresses;
    for (proxy::ListenAddress& address : status_.listeners) {
      if (address.port == 0) address.port = next_port_++;
    }
    status_.last_port = status_.listeners.front().port;
    ++starts;
    return {};
  }
  Status stop(std::chrono::milliseconds) override {
    std::lock_guard lock(mutex_);
    if (!status_.running) return fail(Code::kConflict, "Proxy is not running.");
    status_.running = false;
    status_.listeners.clear();
    status_.transparent.running = false;
    status_.transparent.listeners.clear();
    return {};
  }
  Status start_transparent(const std::vector<proxy::ListenAddress>& addresses) override {
    std::lock_guard lock(mutex_);
    auto& transparent = status_.transparent;
    if (transparent.running) return fail(Code::kConflict, "Transparent proxy is already running. Stop it first.");
    for (const proxy::ListenAddress& address : addresses) {
      const bool ipv6 = address.host.find(':') != std::string::npos;
      if ((taken != 0 && address.port == taken) || (ipv6 && !has_ipv6)) {
        return fail(Code::kUnavailable, "the address cannot be had");
      }
    }
    transparent = {true, addresses, addresses.front().port, 0};
    for (proxy::ListenAddress& address : transparent.listeners) {
      if (address.port == 0) address.port = next_port_;
    }
    transparent.last_port = transparent.listeners.front().port;
    ++next_port_;
    return {};
  }
  Status stop_transparent(std::chrono::milliseconds) override {
    std::lock_guard lock(mutex_);
    if (!status_.transparent.running) return fail(Code::kConflict, "Transparent proxy is not running.");
    status_.transparent.running = false;
    status_.transparent.listeners.clear();
    return {};
  }
  proxy::EngineStatus status() const override {
    std::lock_guard lock(mutex_);
    return status_;
  }
  std::vector<proxy::LearnedPassthrough> learned_passthrough() const override { return learned; }
  std::size_t forget_passthrough(std::string_view host) override {
    return std::erase_if(learned, [&](const auto& one) { return one.host == host; });
  }
  void add_own_listener(const proxy::ListenAddress&) override {}
  proxy::HostOptionsStore& host_options() override { return hosts_; }

  std::uint16_t taken = 0;  // a port that cannot be had
  int starts = 0;
  std::vector<proxy::LearnedPassthrough> learned;
  bool has_ipv6 = true;

 private:
  class NoFiles final : public proxy::MockFiles {
   public:
    Result<std::string> read(const std::string&) const override {
      return fail(Code::kRefused, "no folder may be read");
    }
  };

  mutable std::mutex mutex_;
  proxy::EngineStatus status_;
  std::uint16_t next_port_ = 40'000;
  const NoFiles files_;
  proxy::HostOptionsStore hosts_{*tls::ClientContext::create({false, {}}, ""), files_};
};

}  // namespace sluice::tools
