// A relay between two lists of lines, for tests.
#pragma once

#include <unistd.h>

#include <filesystem>

#include "gateway/gate_db.h"
#include "gateway/relay.h"
#include "gateway/test_gate.h"

namespace sluice::gateway {

struct Relayed : testing::Test {
  Relayed() {
    std::string name = (std::filesystem::temp_directory_path() / "sluice-relay.XXXXXX").string();
    directory = ::mkdtemp(name.data());
    db.emplace(directory / "state.db");
    pins.emplace(*db);
    Relay::Deps deps{*gate.dispatcher, gate.policy, *pins, gate.clock, gate.presenter, gate.entropy, {"files", "cmd"}};
    deps.to_client = [this](ToClient out) {
      if (out.text.empty()) return;
      client.push_back(std::move(out.text));
      if (out.about) about.push_back(*out.about);
    };
    deps.to_server = [this](std::string text) { server.push_back(std::move(text)); };
    deps.notice = [this](std::string_view text) { notices.emplace_back(text); };
    relay = Relay::create(std::move(deps));
  }
  ~Relayed() override {
    relay->close();
    gate.dispatcher.reset();
    pins.reset();
    db.reset();
    std::filesystem::remove_all(directory);
  }
  // The server answers the list with one tool, `t`.
  void list() {
    relay->take(R"({"jsonrpc":"2.0","id":"l","method":"tools/list"})");
    relay->from_server(R"({"jsonrpc":"2.0","id":1,"result":{"tools":[{"name":"t","inputSchema":{}},{"name":"u"}]}})");
    client.clear();
    about.clear();
    server.clear();
  }
  bool wait_for_client(std::size_t count) {
    return gate.run_until([&] { return client.size() >= count; });
  }

  std::filesystem::path directory;
  TestGate gate;
  std::optional<GateDb> db;
  std::optional<PinStore> pins;
  std::vector<std::string> client, server, notices;
  std::vector<mcp::RequestId> about;  // of what the client was sent, where it was said
  std::shared_ptr<Relay> relay;
};

}  // namespace sluice::gateway
