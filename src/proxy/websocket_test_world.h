// For tests: an exchange that has been answered with 101 and switched to WebSocket, with a recording sink.
#pragma once

#include <gtest/gtest.h>

#include <optional>

#include "fakes/recording_sink.h"
#include "http1/http1.h"
#include "proxy/websocket_watcher.h"

namespace sluice::proxy {

using flow::Direction;
using websocket::append_close;
using websocket::append_frame;
using websocket::Opcode;

inline constexpr websocket::MaskKey kTestKey{'\x37', '\xfa', '\x21', '\x3d'};

// A client's frame, and a server's.
inline std::string masked(Opcode opcode, Bytes payload, bool fin = true, std::uint8_t reserved = 0) {
  std::string out;
  append_frame(out, opcode, payload, kTestKey, reserved, fin);
  return out;
}
inline std::string plain(Opcode opcode, Bytes payload, bool fin = true, std::uint8_t reserved = 0) {
  std::string out;
  append_frame(out, opcode, payload, std::nullopt, reserved, fin);
  return out;
}

class WebSocketWorld : public ::testing::Test {
 protected:
  void upgrade(const std::string& extensions = "") {
    http::RequestHead request = http::make_request("GET", "/chat");
    exchange_.emplace(sink_, clock_, settings_);
    exchange_->receive_request(std::move(request), {}, {}, nullptr, clock_.mono(), rules::RuleBook());
    http::ResponseHead answer = http::make_response(101, {{"Upgrade", "websocket"}, {"Connection", "Upgrade"}});
    if (!extensions.empty()) answer.fields.append("Sec-WebSocket-Extensions", extensions);
    exchange_->receive_response(std::move(answer), {}, nullptr, false);
    watcher_.emplace(*exchange_, clock_);
  }
  const fakes::RecordingSink::Record& record() {
    if (exchange_) exchange_->finish();
    return sink_.records.back();
  }
  // "kRequest 1 [text]" of each message, with what the body holds at its place.
  std::string messages() {
    std::string out;
    const auto& seen = record();
    for (const auto& message : seen.messages) {
      const bool of_client = message.seen.direction == Direction::kRequest;
      out += of_client ? "client " : "server ";
      out += std::to_string(message.seen.opcode);
      if (message.seen.compressed) out += " compressed";
      if (!message.seen.complete) out += " cut";
      const std::string& body = of_client ? seen.request_body : seen.response_body;
      const bool control = message.seen.opcode >= 8;
      out += " [" + (control ? message.control : body.substr(message.seen.offset, message.seen.length)) + "]\n";
    }
    return out;
  }

  FakeClock clock_;
  fakes::RecordingSink sink_;
  ExchangeSettings settings_;
  std::optional<Exchange> exchange_;
  std::optional<WebSocketWatcher> watcher_;
};

}  // namespace sluice::proxy
