// A bridge between eras between two lists of messages: private to its tests.
#pragma once

#include <gtest/gtest.h>

#include "gateway/era_bridge.h"

namespace sluice::gateway {

struct EraCase : testing::Test {
  EraCase() { make(false); }
  void make(bool many_clients) {
    EraLink::Wires wires{clock, entropy, "9", many_clients};
    wires.to_server = [this](std::string text) { server.push_back(*parse_json(text)); };
    wires.to_relay = [this](std::string_view text, mcp::SentKey on) {
      relay.push_back(*parse_json(text));
      ons.push_back(on.value);
    };
    wires.lost = [this](mcp::SentKey key, const mcp::RpcError& error, bool unsent) {
      losses.push_back({{"id", key.value}, {"message", error.message}, {"unsent", unsent}});
    };
    wires.hears = [this](bool hears) { heard.push_back(hears); };
    wires.notice = [this](std::string_view text) { notices.emplace_back(text); };
    bridge = EraBridge::create(std::move(wires));
  }

  static Json modern_meta(Json capabilities = Json::object()) {
    return {{"io.modelcontextprotocol/protocolVersion", "2026-07-28"},
            {"io.modelcontextprotocol/clientCapabilities", std::move(capabilities)}};
  }
  static Json can_all() {
    return {{"sampling", Json::object()},
            {"elicitation", {{"form", Json::object()}, {"url", Json::object()}}},
            {"roots", Json::object()}};
  }
  // From the relay, and from the server.
  void ask(int id, const char* method, Json params = Json::object()) {
    bridge->from_relay(dump_json({{"jsonrpc", "2.0"}, {"id", id}, {"method", method}, {"params", std::move(params)}}));
  }
  void ask_modern(int id, const char* method, Json params = Json::object(), Json capabilities = can_all()) {
    const Json meta = modern_meta(std::move(capabilities));
    for (const auto& [name, value] : meta.items()) params["_meta"][name] = value;
    ask(id, method, std::move(params));
  }
  void tell(const char* method, Json params = Json::object()) {
    bridge->from_relay(dump_json({{"jsonrpc", "2.0"}, {"method", method}, {"params", std::move(params)}}));
  }
  void answer_client(const Json& id, Json result) {
    bridge->from_relay(dump_json({{"jsonrpc", "2.0"}, {"id", id}, {"result", std::move(result)}}));
  }
  void say(Json message, std::uint64_t on = 0) {
    message["jsonrpc"] = "2.0";
    bridge->from_server(dump_json(message), mcp::SentKey{on});
  }
  // The server answers what it was sent last.
  void answer(Json result) { say({{"id", server.back()["id"]}, {"result", std::move(result)}}); }
  void refuse(int code, Json data = nullptr) {
    Json error{{"code", code}, {"message", "no"}};
    if (!data.is_null()) error["data"] = std::move(data);
    say({{"id", server.back()["id"]}, {"error", std::move(error)}});
  }
  Json sent(std::size_t from_end = 0) const { return server.at(server.size() - 1 - from_end); }
  std::string method(std::size_t from_end = 0) const { return sent(from_end).value("method", ""); }
  Json got(std::size_t from_end = 0) const { return relay.at(relay.size() - 1 - from_end); }
  void forget() {
    server.clear();
    relay.clear();
    ons.clear();
  }

  FakeClock clock;
  SeededEntropy entropy{7};
  std::vector<Json> server, relay, losses;
  std::vector<std::uint64_t> ons;
  std::vector<bool> heard;
  std::vector<std::string> notices;
  std::shared_ptr<EraBridge> bridge;
};

}  // namespace sluice::gateway
