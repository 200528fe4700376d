// HTTP/2 through the whole engine over real sockets, without TLS: prior knowledge in a tunnel, and upgrades to h2c.
#include "http2/handmade.h"
#include "http2/pair.h"
#include "proxy/test_world.h"

namespace sluice::proxy {
namespace {

namespace made = http2::handmade;

// One end of a connection: a session on a socket.
class Peer : public http2::End {
 public:
  Peer(int fd, http2::Role role, const http2::Options& options = {}) : http2::End(role, options), fd_(fd) {}
  ~Peer() { ::close(fd_); }
  Peer(const Peer&) = delete;
  Peer& operator=(const Peer&) = delete;

  void send(const std::string& octets) {
    EXPECT_EQ(::send(fd_, octets.data(), octets.size(), MSG_NOSIGNAL), static_cast<ssize_t>(octets.size()));
  }
  std::string output() {
    std::string octets;
    for (Bytes out = session.output(); !out.empty(); out = session.output()) octets += out;
    return octets;
  }
  void say() { send(output()); }
  // Says what is to be said and reads until `what` has come, or nothing for so long; all that has come.
  std::string talk(std::string_view what, int milliseconds = 10'000) {
    say();
    pollfd look{fd_, POLLIN, 0};
    while (text().find(what) == std::string::npos && ::poll(&look, 1, milliseconds) == 1) {
      char space[65536];
      const ssize_t got = ::recv(fd_, space, sizeof space, 0);
      if (got <= 0) break;
      transcript.feed(Bytes(space, static_cast<std::size_t>(got)));
      say();
    }
    return text();
  }
  // Says nothing, and reads until nothing has come for so long.
  std::string hear(int milliseconds) {
    pollfd look{fd_, POLLIN, 0};
    char space[65536];
    while (::poll(&look, 1, milliseconds) == 1) {
      const ssize_t got = ::recv(fd_, space, sizeof space, 0);
      if (got <= 0) break;
      transcript.feed(Bytes(space, static_cast<std::size_t>(got)));
    }
    return text();
  }
  http2::StreamId ask(const std::string& method, const std::string& target, const std::string& host,
                      http2::Body body = http2::Body::kNone) {
    http::RequestHead head;
    head.version = http::Version::kHttp2;
    head.method = method;
    head.target = target;
    head.fields.append("host", host);
    if (body == http2::Body::kPulled) head.fields.append("content-type", "application/grpc");
    http2::Session::RequestOptions options;
    options.scheme = "http";
    const auto id = session.submit_request(head, options, body);
    EXPECT_TRUE(id);
    return id.value_or(0);
  }

 private:
  const int fd_;
};

const http2::handmade::Fields kOk = {{":status", "200"}};

class EngineHttp2Test : public EngineTest {
 protected:
  void configure(EngineOptions& options) override {
    options.limits.timeouts.idle = std::chrono::milliseconds(300);  // the first byte of an answer has more
  }
  // The client's end of a tunnel in which HTTP/2 is spoken, and the origin's once something was asked.
  void meet() { client_.emplace(open_tunnel(server_.authority()), http2::Role::kClient); }
  void accept() {
    client_->say();
    origin_.emplace(server_.accept(), http2::Role::kServer);
  }
  void TearDown() override {
    client_.reset();
    origin_.reset();
    EngineTest::TearDown();
  }
  Listening server_;
  std::optional<Peer> client_, origin_;
};

bool has(const std::string& text, std::string_view what) { return text.find(what) != std::string::npos; }

TEST_F(EngineHttp2Test, AResetThatComesWithAnAnswerReachesAClientThatStillSends) {
  meet();
  client_->source.content[1] = {"some", false, {}};
  client_->ask("POST", "/", server_.authority(), http2::Body::kPulled);
  accept();
  EXPECT_TRUE(has(origin_->talk("head 1"), "head 1 POST /"));
  // RFC 9113 §8.1: the whole answer, and that the rest of the request is not wanted.
  origin_->send(made::headers(1, kOk) + made::data(1, "enough", made::kEndStream) + made::rst_stream(1, 0));
  EXPECT_TRUE(has(client_->talk("reset 1"), "data 1 [enough]\nend 1\nreset 1 0 by the peer\n")) << client_->text();
  client_.reset();
  EXPECT_EQ(records().at(0).state, flow::State::kDone);
}

TEST_F(EngineHttp2Test, ARuleForBodiesHoldsUpNoCallThatWaitsForItsAnswer) {
  rules::RuleSpec spec;
  spec.matcher.hostname = "127.0.0.1";
  spec.handler.transform_request.emplace().match_replace_body = {{"one", "three"}};
  spec.handler.transform_response.emplace().match_replace_body = {{"two", "three"}};
  ASSERT_TRUE(rules_.add(spec));
  meet();
  client_->source.content[1] = {"one", false, {}};
  client_->ask("POST", "/", server_.authority(), http2::Body::kPulled);
  accept();
  EXPECT_TRUE(has(origin_->talk("data 1"), "data 1 [one]"));
  origin_->send(made::headers(1, {{":status", "200"}, {"content-type", "application/grpc"}}) + made::data(1, "two"));
  EXPECT_TRUE(has(client_->talk("data 1"), "data 1 [two]")) << client_->text();
  client_.reset();
  EXPECT_NE(records().at(0).anomalies & http::bit(http::Anomaly::kRuleBodyLimit), 0u);
}

TEST_F(EngineHttp2Test, ARuleAnswersACallThatWaitsForItsAnswer) {
  rules::RuleSpec spec;
  spec.matcher.hostname = "127.0.0.1";
  spec.handler.type = rules::HandlerType::kMock;
  ASSERT_TRUE(rules_.add(spec));
  meet();
  client_->source.content[1] = {"one", false, {}};
  client_->ask("POST", "/", server_.authority(), http2::Body::kPulled);
  EXPECT_TRUE(has(client_->talk("reset 1"), "head 1 200")) << client_->text();
  EXPECT_TRUE(has(client_->text(), "reset 1 0 by the peer")) << client_->text();
  client_.reset();
  const auto& record = records().at(0);
  EXPECT_EQ(record.state, flow::State::kDone);
  EXPECT_EQ(record.request_body, "one");
}

TEST_F(EngineHttp2Test, AClientIsOfferedWhatTheOriginOffers) {
  meet();
  accept();  // before anything was asked
  origin_->talk("settings 0\n");
  client_->talk("settings 0\n");
  EXPECT_TRUE(client_->session.peer_takes_extended_connect());
  client_->ask("GET", "/", server_.authority());
  client_->say();
  EXPECT_TRUE(has(origin_->talk("head 1"), "head 1 GET /"));  // on that connection
}

TEST_F(EngineHttp2Test, AnOriginMayThinkForLongerThanTheIdleTime) {
  meet();
  client_->ask("GET", "/", server_.authority());
  accept();
  EXPECT_TRUE(has(origin_->talk("head 1"), "head 1 GET /"));
  EXPECT_FALSE(has(client_->talk("head 1", 900), "head 1")) << client_->text();
  origin_->send(made::headers(1, kOk, made::kEndStream));
  EXPECT_TRUE(has(client_->talk("head 1"), "head 1 200 ended\n")) << client_->text();
}

constexpr std::string_view kSettings = "AAMAAABkAAQAAP__";

std::string upgrade_request(const std::string& target, const std::string& host) {
  return "GET " + target + " HTTP/1.1\r\nHost: " + host +
         "\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: " + std::string(kSettings) +
         "\r\n\r\n";
}

TEST_F(EngineHttp2Test, OneStreamGoesBeforeTheOriginHasSaidHowManyItTakes) {
  rules::RuleSpec spec;
  spec.matcher.hostname = "127.0.0.1";
  spec.matcher.url_pattern = "never";
  spec.handler.type = rules::HandlerType::kMock;  // it may answer, so nothing is dialled before there is a request
  ASSERT_TRUE(rules_.add(spec));
  meet();
  for (int i = 0; i < 3; ++i) client_->ask("GET", "/", server_.authority());
  client_->say();
  http2::Options two;
  two.max_streams = 2;
  origin_.emplace(server_.accept(), http2::Role::kServer, two);
  const std::string first = origin_->hear(300);
  EXPECT_TRUE(has(first, "head 1 ")) << first;
  EXPECT_FALSE(has(first, "head 3 ")) << first;
  EXPECT_TRUE(has(origin_->talk("head 3 "), "head 3 "));
  Peer another(server_.accept(), http2::Role::kServer, two);  // for the third
  EXPECT_TRUE(has(another.talk("head 1 "), "head 1 "));
  EXPECT_FALSE(has(origin_->text(), "head 5 ")) << origin_->text();
}

TEST_F(EngineHttp2Test, AStopEndsWhatRuns) {
  meet();
  client_->ask("GET", "/", server_.authority());
  client_->source.content[3] = {"some", false, {}};
  client_->ask("POST", "/", server_.authority(), http2::Body::kPulled);
  client_->ask("GET", "/", server_.authority());
  accept();
  origin_->talk("data 3");
  origin_->send(made::headers(5, kOk) + made::data(5, "some"));
  client_->talk("data 5");
  ASSERT_TRUE(engine_->stop(std::chrono::milliseconds(0)));
  ASSERT_EQ(records().size(), 3u);
  for (const auto& record : sink_.records) EXPECT_EQ(record.error, "shutting_down") << record.method;
}

class UpgradeTest : public EngineHttp2Test {
 protected:
  // The request goes out; everything that the origin has to say to it, the 101 with it, comes at once.
  void upgrade(int fd, const std::string& target) {
    send(fd, upgrade_request(target, server_.authority()));
    const int there = server_.accept();
    EXPECT_TRUE(has(receive(there, "\r\n\r\n"), "Upgrade: h2c"));
    origin_.emplace(there, http2::Role::kServer);
    EXPECT_TRUE(origin_->session.upgraded(kSettings, "GET"));
    origin_->send("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n" +
                  origin_->output() + made::headers(1, kOk) + made::data(1, "first", made::kEndStream));
    const std::string begun = receive(fd, "\r\n\r\n");
    EXPECT_TRUE(begun.starts_with("HTTP/1.1 101 "));
    client_.emplace(fd, http2::Role::kClient);
    EXPECT_TRUE(client_->session.upgraded(kSettings, "GET"));
    client_->transcript.feed(Bytes(begun).substr(begun.find("\r\n\r\n") + 4));
    EXPECT_TRUE(has(client_->talk("end 1"), "head 1 200\ndata 1 [first]\nend 1\n")) << client_->text();
  }
};

TEST_F(UpgradeTest, AnAnswerThatComesWithThe101IsPassedOn) {
  upgrade(open_tunnel(server_.authority()), "/");
  client_.reset();
  const auto& record = records().at(0);
  EXPECT_EQ(record.state, flow::State::kDone);
  EXPECT_EQ(record.status, 200);
  EXPECT_EQ(record.response_body, "first");
}

TEST_F(UpgradeTest, AStopEndsWhatRunsBehindIt) {
  upgrade(open_tunnel(server_.authority()), "/");
  client_->ask("GET", "/", server_.authority());
  client_->say();
  origin_->talk("head 3");
  ASSERT_TRUE(engine_->stop(std::chrono::milliseconds(0)));
  ASSERT_EQ(records().size(), 2u);
  EXPECT_EQ(sink_.records[0].state, flow::State::kDone);
  EXPECT_EQ(sink_.records[1].error, "shutting_down");
}

TEST_F(UpgradeTest, RequestsBehindAnUpgradeAtTheProxysOwnPortGoWhereTheySay) {
  ScriptedOrigin other({{"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nother"}});
  upgrade(connect(), "http://" + server_.authority() + "/");
  client_->ask("GET", "/path", server_.authority());
  client_->ask("GET", "http://" + server_.authority() + "/url", server_.authority());  // as curl 7 does
  client_->say();
  EXPECT_TRUE(has(origin_->talk("head 5"), "head 3 GET /path")) << origin_->text();
  EXPECT_TRUE(has(origin_->text(), "head 5 GET /url")) << origin_->text();
  origin_->send(made::headers(3, kOk, made::kEndStream) + made::headers(5, kOk, made::kEndStream));
  client_->ask("GET", "http://" + other.authority() + "/elsewhere", other.authority());
  EXPECT_TRUE(has(client_->talk("end 7"), "data 7 [other]\nend 7\n")) << client_->text();
  EXPECT_TRUE(other.received().starts_with("GET /elsewhere HTTP/1.1\r\n")) << other.received();
  client_.reset();
  EXPECT_EQ(records().size(), 4u);
}

}  // namespace
}  // namespace sluice::proxy
