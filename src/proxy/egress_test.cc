// What grants cause is asked about where it is dialled (gate.md 3): their own requests, their rules, their upstream
// proxies, over real sockets.
#include <future>
#include <map>
#include <set>

#include "net/dial.h"
#include "proxy/test_world.h"
#include "proxy/upstream_table.h"

namespace sluice::proxy {
namespace {

// Grants may reach the ports that are given, of whatever name: all origins here are on one address.
class Ports final : public net::Egress {
 public:
  void allow(const std::string& grant, std::set<std::uint16_t> ports) {
    std::lock_guard lock(mutex_);
    allowed_[grant] = std::move(ports);
    ++revision_;
  }
  Status may_look_up(std::string_view grant, std::string_view, std::uint16_t port) override {
    return judge(grant, port);
  }
  Status may_name(std::string_view grant, std::string_view, std::uint16_t port) override { return judge(grant, port); }
  Status may_reach(std::string_view grant, std::string_view name, const net::asio::ip::address& address,
                   std::uint16_t port) override {
    {
      std::lock_guard lock(mutex_);
      judged_.push_back(std::string(name) + " at " + address.to_string());
    }
    return judge(grant, port);
  }
  std::uint64_t revision(std::string_view) override {
    std::lock_guard lock(mutex_);
    return revision_;
  }
  std::vector<std::string> judged() {
    std::lock_guard lock(mutex_);
    return judged_;
  }

 private:
  Status judge(std::string_view grant, std::uint16_t port) {
    std::lock_guard lock(mutex_);
    const auto found = allowed_.find(grant);
    if (found != allowed_.end() && found->second.contains(port)) return {};
    return fail(Code::kRefused, "egress: " + std::string(grant) + " may not");
  }
  std::mutex mutex_;
  std::map<std::string, std::set<std::uint16_t>, std::less<>> allowed_;
  std::vector<std::string> judged_;
  std::uint64_t revision_ = 1;
};

const ScriptedOrigin::Script kFine{"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"};

class EgressOfGrants : public EngineTest {
 protected:
  void wire(EngineDeps& deps) override {
    deps.egress = &egress_;
    deps.upstreams = &upstreams_;
  }
  SendResult send_as(const std::string& grant, std::uint16_t port, bool direct = true) {
    SendRequest request;
    request.head = http::make_request("GET", "/", {{"Host", "named.example"}});
    request.scheme = "http";
    request.host = "127.0.0.1";
    request.port = port;
    request.direct = direct;
    request.grant = grant;
    request.keep = 100;
    request.timeout = std::chrono::seconds(10);
    auto promise = std::make_shared<std::promise<SendResult>>();
    auto result = promise->get_future();
    engine_->send(std::move(request), [promise](SendResult sent) { promise->set_value(std::move(sent)); });
    return result.get();
  }
  static std::string code(const SendResult& sent) { return sent.failure ? sent.failure->code : "sent"; }
  std::string forward(const ScriptedOrigin& to, const std::string& grant) {
    rules::RuleSpec spec;
    spec.matcher.hostname = "from.test";
    spec.handler.type = rules::HandlerType::kForward;
    spec.handler.forward_to = to.authority();
    spec.grant = grant;
    return (*rules_.add(spec))->id();
  }
  static std::string request_to(const std::string& host) {
    return "GET http://" + host + "/ HTTP/1.1\r\nHost: " + host + "\r\n\r\n";
  }

  Ports egress_;
  UpstreamStore upstreams_;
};

TEST_F(EgressOfGrants, ARequestGoesOnlyWhereItsGrantMayReach) {
  ScriptedOrigin allowed({kFine}), other({kFine});
  egress_.allow("bot", {allowed.port()});
  EXPECT_EQ(code(send_as("bot", allowed.port())), "sent");
  const SendResult refused = send_as("bot", other.port());
  EXPECT_EQ(code(refused), "egress");
  EXPECT_EQ(refused.failure->message, "egress: bot may not");
  EXPECT_FALSE(refused.head);
  EXPECT_EQ(other.accepted(), 0);
  EXPECT_EQ(code(send_as("stranger", allowed.port())), "egress");
  const auto& all = records();
  ASSERT_EQ(all.size(), 3u);
  EXPECT_EQ(all[1].error, "egress");
}

TEST_F(EgressOfGrants, PlainTrafficIsNoGrants) {
  ScriptedOrigin origin({kFine});
  EXPECT_NE(ask(request_to(origin.authority()), "ok").find("200 OK"), std::string::npos);
  EXPECT_TRUE(egress_.judged().empty());
}

// Rebinding: what is dialled is the address that was judged, and the name is looked up once.
TEST_F(EgressOfGrants, TheAddressThatWasJudgedIsTheOneThatIsDialled) {
  ScriptedOrigin origin({kFine});
  egress_.allow("bot", {origin.port()});
  forward(origin, "bot");
  EXPECT_NE(ask(request_to("from.test"), "ok").find("200 OK"), std::string::npos);
  EXPECT_EQ(egress_.judged(), std::vector<std::string>{"127.0.0.1 at 127.0.0.1"});
  const auto& all = records();
  ASSERT_EQ(all.size(), 1u);
  EXPECT_EQ(all[0].upstream->address, "127.0.0.1");
}

TEST_F(EgressOfGrants, AForwardRuleReachesWhatItsMakersMayNowNotWhatTheyMightThen) {
  ScriptedOrigin origin({kFine, kFine, kFine, kFine});
  egress_.allow("bot", {origin.port()});
  const std::string rule = forward(origin, "bot");
  // One connection of a client, one kept connection to the origin.
  const int fd = connect();
  send(fd, request_to("from.test"));
  EXPECT_NE(receive(fd, "ok").find("200 OK"), std::string::npos);
  egress_.allow("bot", {});
  send(fd, request_to("from.test"));
  const std::string page = receive(fd, "may not");
  EXPECT_NE(page.find("403 Forbidden"), std::string::npos) << page;
  EXPECT_NE(page.find("Sluice-Error: egress"), std::string::npos) << page;
  ::close(fd);
  EXPECT_EQ(origin.accepted(), 1);
  EXPECT_NE(ask(request_to("from.test"), "may not").find("egress: bot may not"), std::string::npos)
      << "nor on another connection";
  // Whoever makes it do something else answers for it as well.
  egress_.allow("bot", {origin.port()});
  ASSERT_TRUE(rules_.update(rule, {.description = "mine", .grant = "reader"}));
  EXPECT_NE(ask(request_to("from.test"), "ok").find("200 OK"), std::string::npos);
  ASSERT_TRUE(rules_.update(rule, {.enabled = true, .grant = "other"}));
  EXPECT_NE(ask(request_to("from.test"), "may not").find("egress: other may not"), std::string::npos);
  egress_.allow("other", {origin.port()});
  EXPECT_NE(ask(request_to("from.test"), "ok").find("200 OK"), std::string::npos);
}

TEST_F(EgressOfGrants, ARuleThatRewritesTheUrlIsAskedAboutOnlyWhereItLeadsElsewhere) {
  ScriptedOrigin origin({kFine, kFine}), elsewhere({kFine});
  rules::RuleSpec spec;
  spec.handler.type = rules::HandlerType::kRewrite;
  spec.handler.url_pattern = "/go/(\\d+)";
  spec.handler.replacement = "/gone/$1";
  spec.grant = "bot";
  ASSERT_TRUE(rules_.add(spec));
  const std::string authority = origin.authority();
  EXPECT_NE(ask("GET http://" + authority + "/go/1 HTTP/1.1\r\nHost: " + authority + "\r\n\r\n", "ok").find("200 OK"),
            std::string::npos);
  ASSERT_TRUE(rules_.remove("rule_1"));
  spec.handler.url_pattern = "^http://[^/]*/go";
  spec.handler.replacement = "http://" + elsewhere.authority() + "/go";
  ASSERT_TRUE(rules_.add(spec));
  EXPECT_NE(ask("GET http://" + authority + "/go HTTP/1.1\r\nHost: " + authority + "\r\n\r\n", "may not").find("403"),
            std::string::npos);
  EXPECT_EQ(elsewhere.accepted(), 0);
}

TEST_F(EgressOfGrants, ARequestThroughRulesNeedsBothItsSenderAndTheRulesMaker) {
  ScriptedOrigin origin({kFine});
  rules::RuleSpec spec;
  spec.matcher.hostname = "127.0.0.1";
  spec.handler.type = rules::HandlerType::kForward;
  spec.handler.forward_to = origin.authority();
  spec.grant = "maker";
  ASSERT_TRUE(rules_.add(spec));
  egress_.allow("maker", {origin.port()});
  EXPECT_EQ(send_as("sender", 9, false).failure->message, "egress: sender may not");
  egress_.allow("maker", {});
  egress_.allow("sender", {origin.port()});
  EXPECT_EQ(send_as("sender", 9, false).failure->message, "egress: maker may not");
  egress_.allow("maker", {origin.port()});
  EXPECT_EQ(code(send_as("sender", 9, false)), "sent");
}

TEST_F(EgressOfGrants, AHeldRequestSentElsewhereIsCausedByWhoeverSentItThere) {
  ScriptedOrigin elsewhere({kFine});
  rules::RuleSpec spec;
  spec.handler.type = rules::HandlerType::kHold;
  spec.grant = "holder";
  ASSERT_TRUE(rules_.add(spec));
  const int fd = connect();
  send(fd, request_to("held.test"));
  const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(10);
  while (engine_->held().empty() && std::chrono::steady_clock::now() < until) std::this_thread::yield();
  ASSERT_EQ(engine_->held().size(), 1u);
  HoldEdits edits;
  edits.url = "http://" + elsewhere.authority() + "/";
  edits.grant = "editor";
  ASSERT_TRUE(engine_->resume(engine_->held()[0].seq, HoldAction::kContinue, edits));
  EXPECT_NE(receive(fd, "may not").find("egress: editor may not"), std::string::npos);
  ::close(fd);
  EXPECT_EQ(elsewhere.accepted(), 0);
}

TEST_F(EgressOfGrants, AnUpstreamProxyIsDialledForWhoeverSetIt) {
  ScriptedOrigin proxy({kFine, kFine, kFine});
  ASSERT_TRUE(upstreams_.set_global({.url = "http://" + proxy.authority(), .no_proxy = {}, .grant = "bot"}));
  EXPECT_NE(ask(request_to("named.test"), "may not").find("Sluice-Error: egress"), std::string::npos);
  EXPECT_EQ(proxy.accepted(), 0);
  egress_.allow("bot", {proxy.port()});
  EXPECT_NE(ask(request_to("named.test"), "ok").find("200 OK"), std::string::npos)
      << "where a client goes through it is the client's own choice";
  // What is kept open to it is not used once it may not be reached any more.
  egress_.allow("bot", {});
  EXPECT_NE(ask(request_to("named.test"), "may not").find("Sluice-Error: egress"), std::string::npos);
  EXPECT_EQ(proxy.accepted(), 1);
}

TEST_F(EgressOfGrants, ThroughAProxyTheDestinationIsJudgedByItsName) {
  ScriptedOrigin proxy({kFine});
  ASSERT_TRUE(upstreams_.set_global({.url = "http://" + proxy.authority(), .no_proxy = {}}));
  egress_.allow("bot", {80});
  EXPECT_EQ(code(send_as("bot", 81, false)), "egress");
  EXPECT_EQ(proxy.accepted(), 0);
  EXPECT_EQ(code(send_as("bot", 80, false)), "sent") << "the proxy of whoever runs Sluice is nobody's dial";
}

TEST_F(EgressOfGrants, AScriptAndEveryProxyThatItNamesAreDialledForWhoeverSetIt) {
  ScriptedOrigin proxy({kFine, kFine});
  const std::string text = "function FindProxyForURL(u, h) { return 'PROXY " + proxy.authority() + "'; }";
  ScriptedOrigin server(
      {{"HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(text.size()) + "\r\n\r\n" + text, Then::kClose}});
  ASSERT_TRUE(
      upstreams_.set_global({.url = "pac+http://" + server.authority() + "/a.pac", .no_proxy = {}, .grant = "bot"}));
  EXPECT_NE(ask(request_to("named.test"), "may not").find("egress: bot may not"), std::string::npos);
  EXPECT_EQ(server.accepted(), 0);
  egress_.allow("bot", {server.port()});
  std::this_thread::sleep_for(std::chrono::milliseconds(2'100));  // PacLimits::refetch
  EXPECT_NE(ask(request_to("named.test"), "may not").find("Sluice-Error: egress"), std::string::npos)
      << "the script may be fetched, the proxy that it names may not be reached";
  EXPECT_EQ(server.accepted(), 1);
  EXPECT_EQ(proxy.accepted(), 0);
  egress_.allow("bot", {server.port(), proxy.port()});
  EXPECT_NE(ask(request_to("named.test"), "ok").find("200 OK"), std::string::npos);
}

TEST_F(EgressOfGrants, ARedirectOfAScriptsServerIsADialOfItsOwn) {
  ScriptedOrigin inside({kFine});
  ScriptedOrigin server(
      {{"HTTP/1.1 302 Found\r\nLocation: http://" + inside.authority() + "/b.pac\r\nContent-Length: 0\r\n\r\n",
        Then::kClose}});
  egress_.allow("bot", {server.port()});
  ASSERT_TRUE(
      upstreams_.set_global({.url = "pac+http://" + server.authority() + "/a.pac", .no_proxy = {}, .grant = "bot"}));
  EXPECT_NE(ask(request_to("named.test"), "may not").find("egress: bot may not"), std::string::npos);
  EXPECT_EQ(server.accepted(), 1);
  EXPECT_EQ(inside.accepted(), 0);
}

}  // namespace
}  // namespace sluice::proxy
