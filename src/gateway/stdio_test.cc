#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "gateway/stdio_transport.h"
#include "gateway/test_client.h"

namespace sluice::gateway {
namespace {

// The transport on two pipes; the test holds the other ends.
struct Stdio {
  TestGate gate;
  mcp::ServerProfile profile;
  int to[2]{-1, -1}, from[2]{-1, -1};
  bool ended = false;
  std::unique_ptr<StdioTransport> transport;
  std::string received;

  explicit Stdio(McpLimits limits = {}) {
    EXPECT_EQ(::pipe2(to, O_CLOEXEC), 0);
    EXPECT_EQ(::pipe2(from, O_CLOEXEC | O_NONBLOCK), 0);
    profile.server_info = {{"name", "sluice"}, {"version", "0"}};
    StdioTransport::Options options;
    options.input = to[0];
    options.output = from[1];
    options.limits = limits;
    transport =
        *StdioTransport::create(gate.io.get_executor(), profile, *gate.dispatcher, options, [this] { ended = true; });
    ::close(to[0]);
    ::close(from[1]);
  }
  ~Stdio() {
    transport.reset();
    gate.dispatcher.reset();
    end_input();
    ::close(from[0]);
    gate.io.restart();
    gate.io.poll();
  }
  void end_input() {
    if (to[1] >= 0) ::close(to[1]);
    to[1] = -1;
  }
  void write(std::string_view text) {
    ASSERT_EQ(::write(to[1], text.data(), text.size()), static_cast<ssize_t>(text.size()));
  }
  std::vector<Json> lines() {
    char buffer[65'536];
    for (ssize_t got; (got = ::read(from[0], buffer, sizeof buffer)) > 0;)
      received.append(buffer, static_cast<std::size_t>(got));
    std::vector<Json> out;
    for (const std::string_view line : split(received, '\n')) {
      if (!line.empty() && received.ends_with('\n')) out.push_back(*parse_json(line));
    }
    return out;
  }
  bool wait_for(std::size_t count) {
    return gate.run_until([&] { return lines().size() >= count; });
  }
};

std::string line(const std::string& text) { return text + "\n"; }

TEST(Stdio, SpeaksBothErasOnOneConnection) {
  Stdio stdio;
  stdio.write(line(rpc(1, "tools/call", modern_params({{"name", "echo"}, {"arguments", {{"text", "m"}}}}))));
  stdio.write(line(rpc(2, "initialize", initialize_params())));
  stdio.write("{\"jsonrpc\":\"2.0\",\"method\":\"notifications/initialized\"}\n");
  stdio.write(line(rpc(3, "tools/call", {{"name", "echo"}, {"arguments", {{"text", "l"}}}})));
  ASSERT_TRUE(stdio.wait_for(3));
  EXPECT_EQ(stdio.lines().size(), 3u);
}

TEST(Stdio, AMessageMayComeInAnyPieces) {
  Stdio stdio;
  const std::string text = line(rpc(1, "tools/list", modern_params()));
  for (const char c : text) {
    stdio.write(std::string_view(&c, 1));
    stdio.gate.io.restart();
    stdio.gate.io.poll();
  }
  EXPECT_TRUE(stdio.wait_for(1));
}

TEST(Stdio, NonsenseIsAnsweredAndSurvived) {
  Stdio stdio;
  stdio.write("nonsense\n\n[]\n\xff\xfe\n" + line(rpc(4, "server/discover", modern_params())));
  ASSERT_TRUE(stdio.wait_for(4));
  EXPECT_EQ(stdio.lines()[0]["error"]["code"], -32700);
  EXPECT_EQ(stdio.lines()[3]["id"], 4);
}

TEST(Stdio, WhatIsNoRequestOrNamesNothingIsCountedInTheAudit) {
  McpLimits limits;
  limits.max_message = 1000;
  Stdio stdio(limits);
  stdio.write("nonsense\n[]\n" + std::string(5'000, 'x') + "\n" + line(R"({"jsonrpc":"2.0","method":"tools/call"})") +
              line(rpc(1, "tools/call", modern_params({{"name", 7}}))) +
              line(rpc(2, "tools/call", modern_params({{"name", "nothing"}, {"arguments", Json::object()}}))) +
              line(rpc(3, "odd/method", modern_params())));
  ASSERT_TRUE(stdio.wait_for(6));
  EXPECT_EQ(stdio.gate.counted("(malformed)"), 5u);
  EXPECT_EQ(stdio.gate.counted("(unknown)"), 2u);
}

TEST(Stdio, ATooLongLineIsSkippedWhole) {
  McpLimits limits;
  limits.max_message = 1000;
  Stdio stdio(limits);
  stdio.write(std::string(5'000, 'x') + "\n" + line(rpc(1, "server/discover", modern_params())));
  ASSERT_TRUE(stdio.wait_for(2));
  EXPECT_EQ(stdio.lines()[0]["error"]["code"], -32600);
  EXPECT_EQ(stdio.lines()[1]["id"], 1);
}

TEST(Stdio, TheEndOfInputLetsAnswersOutAndEnds) {
  Stdio stdio;
  stdio.write(line(rpc(1, "tools/call", modern_params({{"name", "slow_echo"}, {"arguments", Json::object()}}))));
  stdio.write(rpc(2, "server/discover", modern_params()));  // without its line end
  stdio.end_input();
  EXPECT_TRUE(stdio.gate.run_until([&] { return stdio.ended; }));
  EXPECT_EQ(stdio.lines().size(), 2u);
}

TEST(Stdio, AListenDoesNotKeepItOpen) {
  Stdio stdio;
  stdio.write(
      line(rpc(1, "subscriptions/listen",
               modern_params({{"notifications", {{"resourceSubscriptions", Json::array({"proxy://status"})}}}}))));
  ASSERT_TRUE(stdio.wait_for(1));
  stdio.end_input();
  EXPECT_TRUE(stdio.gate.run_until([&] { return stdio.ended; }));
}

TEST(Stdio, CancellingStopsTheWorkAndAnswersNothing) {
  Stdio stdio;
  stdio.write(line(rpc(9, "tools/call", modern_params({{"name", "waiting"}, {"arguments", Json::object()}}))));
  EXPECT_TRUE(stdio.gate.run_until([&] { return traces().runs == 1; }));
  stdio.write(R"({"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":9}})"
              "\n");
  EXPECT_TRUE(stdio.gate.run_until([&] { return traces().stopped.load(); }));
  stdio.write(line(rpc(10, "server/discover", modern_params())));
  ASSERT_TRUE(stdio.wait_for(1));
  EXPECT_EQ(stdio.lines()[0]["id"], 10);
}

// Asks for more with each line that it takes, as a server does that has just written what waited.
struct EagerSession final : LineSession {
  StdioTransport* transport = nullptr;
  std::vector<std::string> taken;
  void take(std::string_view line) override {
    taken.emplace_back(line);
    transport->hold_reading(false);
  }
  void too_long() override {}
  std::size_t calls() const override { return 0; }
  void close() override {}
};

TEST(Stdio, EachLineIsTakenOnceByWhoeverAsksForMoreMeanwhile) {
  int input[2];
  ASSERT_EQ(::pipe2(input, O_CLOEXEC), 0);
  ASSERT_GE(::fcntl(input[1], F_SETPIPE_SZ, 1 << 20), 1 << 18);
  std::vector<std::string> sent;
  std::string text;
  for (int number = 0; text.size() < (1u << 18); ++number) {
    sent.push_back(std::to_string(number) + std::string(static_cast<std::size_t>(number % 700), '.'));
    text += line(sent.back());
  }
  text.resize(1 << 18);
  sent.pop_back();
  ASSERT_EQ(::write(input[1], text.data(), text.size()), static_cast<ssize_t>(text.size()));
  boost::asio::io_context io;
  const auto session = std::make_shared<EagerSession>();
  StdioTransport::Ends ends;
  ends.input = input[0];
  ends.output = input[1];
  const auto transport = *StdioTransport::create(io.get_executor(), ends, session, [] {});
  session->transport = transport.get();
  while (session->taken.size() < sent.size() && io.run_one_for(std::chrono::seconds(5)) > 0) {
  }
  EXPECT_EQ(session->taken, sent);
  transport->stop();
  for (const int end : input) ::close(end);
}

}  // namespace
}  // namespace sluice::gateway
