// A switchboard in front of two servers, files and web, that only the test answers for.
#pragma once

#include <gtest/gtest.h>

#include <map>
#include <string>
#include <vector>

#include "base/clock.h"
#include "gateway/relay_rules.h"
#include "gateway/switchboard.h"

namespace sluice::gateway {

inline Json json(std::string_view text) { return parse_json(text).value(); }

inline const Json kTools = json(R"({"tools": {}})");
inline const Json kResources = json(R"({"tools": {}, "resources": {"subscribe": true}})");

// What stands before a server: keeps what it was told.
struct FakeLane final : LineSession {
  void take(std::string_view line) override { taken.push_back(parse_json(line).value()); }
  void too_long() override {}
  std::size_t calls() const override { return 0; }
  void close() override { closed = true; }
  bool has_task(std::string_view id) const override { return task == id; }
  // The newest request of this method.
  Json last(std::string_view method) const {
    for (auto one = taken.rbegin(); one != taken.rend(); ++one) {
      const Json* is = find_member(*one, "method");
      if (is && *is == method) return *one;
    }
    return nullptr;
  }
  std::vector<Json> taken;
  std::string task;  // the one that its client has there
  bool closed = false;
};

struct SeveralServers : testing::Test {
  SeveralServers() {
    Switchboard::Deps deps{clock, "1.0", {}, {}, {}};
    deps.to_client = [this](ToClient out) {
      about.push_back(out.about);
      if (!out.text.empty()) client.push_back(parse_json(out.text).value());
    };
    deps.notice = [this](std::string_view server, std::string_view text) {
      notices.push_back(std::string(server) + ": " + std::string(text));
    };
    deps.malformed = [this] { ++malformed; };
    deps.unknown = [this] { ++unknown; };
    deps.let_go = [this](Switchboard::Lane lane) { let_go.push_back(lane); };
    board = Switchboard::create(std::move(deps));
    for (const char* name : {"files", "web"}) {
      const Switchboard::Lane lane = board->add(name);
      board->connect(lane, lanes[lane]);
    }
  }
  void take(const Json& message) {
    Json whole = message;
    whole["jsonrpc"] = "2.0";
    board->take(dump_json(whole));
  }
  // `on`: the request of ours that it is about.
  void say(Switchboard::Lane lane, const Json& message, std::optional<mcp::RequestId> on = {}) {
    Json whole = message;
    whole["jsonrpc"] = "2.0";
    board->from_lane(lane, {dump_json(whole), on});
  }
  void reply(Switchboard::Lane lane, std::string_view method, const Json& result) {
    say(lane, {{"id", lanes[lane]->last(method)["id"]}, {"result", result}});
  }
  void fail_with(Switchboard::Lane lane, std::string_view method, int code) {
    say(lane, {{"id", lanes[lane]->last(method)["id"]}, {"error", {{"code", code}, {"message", "no"}}}});
  }
  static Json hello(const char* version, const Json& capabilities) {
    return {{"protocolVersion", version}, {"capabilities", capabilities}, {"serverInfo", Json::object()}};
  }
  void open(const Json& files = kTools, const Json& web = kTools) {
    take({{"id", 0}, {"method", "initialize"}, {"params", {{"protocolVersion", "2025-11-25"}}}});
    reply(0, "initialize", hello("2025-11-25", files));
    reply(1, "initialize", hello("2025-06-18", web));
    take({{"method", "notifications/initialized"}});
    initialized = client.empty() ? Json(nullptr) : client.back();
    client.clear();
  }
  void list_resources() {
    take({{"id", "r"}, {"method", "resources/list"}});
    reply(0, "resources/list", json(R"({"resources": [{"uri": "a:1", "name": "f"}, {"uri": "a:both", "name": "f"}]})"));
    reply(1, "resources/list", json(R"({"resources": [{"uri": "a:both", "name": "w"}, {"uri": "b:1", "name": "w"}]})"));
  }
  static Json connection(const Json& meta) { return connection_meta({{"_meta", meta}}); }
  const Json& answer() { return client.back(); }

  FakeClock clock;
  std::vector<std::shared_ptr<FakeLane>> lanes{std::make_shared<FakeLane>(), std::make_shared<FakeLane>()};
  std::vector<Json> client;
  std::vector<std::optional<mcp::RequestId>> about;  // of each, and of cancelled requests
  std::vector<std::string> notices;
  std::vector<Switchboard::Lane> let_go;
  Json initialized;
  int malformed = 0, unknown = 0;  // what was counted of the client's
  std::shared_ptr<Switchboard> board;
};

}  // namespace sluice::gateway
