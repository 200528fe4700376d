// A blocking HTTP client over loopback for tests, and a control server on a thread of its own.
#pragma once

#include <arpa/inet.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/post.hpp>
#include <future>

#include "gateway/control_server.h"
#include "gateway/test_gate.h"
#include "http1/http1.h"

namespace sluice::gateway {

struct TestAnswer {
  int status = 0;  // 0: the server closed without one
  http::FieldList fields;
  std::string body;
  std::string field(std::string_view name) const { return fields.joined(name).value_or(""); }
  Json json() const { return parse_json(body).value_or(Json()); }
};

class TestClient {
 public:
  explicit TestClient(std::uint16_t port) : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(::connect(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  }
  explicit TestClient(const std::string& path) : fd_(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path.copy(address.sun_path, sizeof address.sun_path - 1);
    EXPECT_EQ(::connect(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  }
  ~TestClient() { close(); }
  TestClient(const TestClient&) = delete;

  void send(std::string_view octets) {
    while (!octets.empty()) {
      const ssize_t sent = ::send(fd_, octets.data(), octets.size(), MSG_NOSIGNAL);
      if (sent <= 0) return;
      octets.remove_prefix(static_cast<std::size_t>(sent));
    }
  }
  void close() {
    if (fd_ >= 0) ::close(fd_);
    fd_ = -1;
  }

  // The head of the next answer; the body too unless it is a stream of events.
  TestAnswer read(std::string_view method = "POST") {
    TestAnswer answer;
    reader_.begin(method);
    for (;;) {
      auto event = reader_.next();
      if (!event) return answer;
      if (auto* head = std::get_if<http::ResponseHead>(&*event)) {
        if (head->is_interim()) continue;
        answer.status = head->status;
        answer.fields = head->fields;
        if (answer.field("content-type") == "text/event-stream") return answer;
      } else if (const auto* piece = std::get_if<http::BodyPiece>(&*event)) {
        answer.body.append(piece->content);
      } else if (std::holds_alternative<http::MessageEnd>(*event)) {
        return answer;
      } else if (std::holds_alternative<http::NeedMore>(*event) && !receive()) {
        return answer;
      }
    }
  }
  // The next event's data; nullopt at the end of the stream.
  std::optional<Json> read_event() {
    for (;;) {
      const std::size_t end = events_.find("\n\n");
      if (end != std::string::npos) {
        const std::string event = events_.substr(0, end);
        events_.erase(0, end + 2);
        const std::size_t data = event.find("data: ");
        if (data == std::string::npos) continue;  // a comment
        return *parse_json(std::string_view(event).substr(data + 6));
      }
      auto event = reader_.next();
      if (!event) return std::nullopt;
      if (const auto* piece = std::get_if<http::BodyPiece>(&*event)) {
        events_.append(piece->content);
      } else if (std::holds_alternative<http::MessageEnd>(*event)) {
        return std::nullopt;
      } else if (std::holds_alternative<http::NeedMore>(*event) && !receive()) {
        return std::nullopt;
      }
    }
  }

 private:
  bool receive() {
    pollfd look{fd_, POLLIN, 0};
    if (::poll(&look, 1, 20'000) <= 0) return false;
    const ssize_t got = ::recv(fd_, buffer_.data(), buffer_.size(), 0);
    if (got <= 0) return false;
    reader_.feed(Bytes(buffer_.data(), static_cast<std::size_t>(got)));
    return true;
  }

  int fd_;
  std::string buffer_ = std::string(65'536, '\0');
  http1::ResponseReader reader_{HttpLimits{}};
  std::string events_;
};

class TestServer {
 public:
  explicit TestServer(ControlServer::Options options = {}, const std::string& socket_path = "") {
    if (options.token.empty()) options.token = "the-token";
    profile.server_info = {{"name", "sluice"}, {"version", "0"}};
    profile.grant = "default";
    McpHttpDeps deps{gate.clock, gate.entropy, profile, *gate.dispatcher,
                     [this](std::string_view session) { ended.emplace_back(session); }};
    auto made = socket_path.empty() ? ControlServer::create(gate.io, std::move(deps), std::move(options), {})
                                    : ControlServer::create_local(gate.io, std::move(deps), socket_path, {}, {});
    EXPECT_TRUE(made) << (made ? "" : made.error().message);
    server = *std::move(made);
    port = server->port();
    thread_ = std::thread([this] { gate.io.run(); });
  }
  ~TestServer() {
    on_control([this] {
      server.reset();
      gate.dispatcher.reset();
    });
    work_.reset();
    thread_.join();
  }
  // Runs on the control thread and waits.
  template <class Function>
  void on_control(Function function) {
    std::promise<void> done;
    boost::asio::post(gate.io, [&] {
      function();
      done.set_value();
    });
    done.get_future().wait();
  }

  TestGate gate;
  mcp::ServerProfile profile;
  std::vector<std::string> ended;
  std::unique_ptr<ControlServer> server;
  std::uint16_t port = 0;

 private:
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work_{gate.io.get_executor()};
  std::thread thread_;
};

struct TestPost {
  std::string body;
  std::string token = "the-token";
  std::string host = "localhost";
  std::string more;  // fields, each with its line end
  std::string path = "/mcp";
  std::string text() const {
    std::string out = "POST " + path + " HTTP/1.1\r\n";
    if (!host.empty()) out += "Host: " + host + "\r\n";
    if (!token.empty()) out += "Authorization: Bearer " + token + "\r\n";
    out += "Content-Type: application/json\r\nAccept: application/json, text/event-stream\r\n" + more;
    return out + "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
  }
};

inline std::string rpc(int id, std::string_view method, Json params = Json::object()) {
  return dump_json({{"jsonrpc", "2.0"}, {"id", id}, {"method", method}, {"params", std::move(params)}});
}
inline Json modern_params(Json params = Json::object()) {
  params["_meta"]["io.modelcontextprotocol/protocolVersion"] = "2026-07-28";
  params["_meta"]["io.modelcontextprotocol/clientCapabilities"] = Json::object();
  return params;
}
inline TestPost modern(int id, const std::string& method, Json params = Json::object(), const std::string& name = "") {
  TestPost post;
  post.body = rpc(id, method, modern_params(std::move(params)));
  post.more = "MCP-Protocol-Version: 2026-07-28\r\nMcp-Method: " + method + "\r\n";
  if (!name.empty()) post.more += "Mcp-Name: " + name + "\r\n";
  return post;
}
inline Json initialize_params() {
  return {{"protocolVersion", "2025-11-25"},
          {"capabilities", Json::object()},
          {"clientInfo", {{"name", "test"}, {"version", "1"}}}};
}
// Opens a legacy session; its id.
inline std::string open_session(TestClient& client) {
  client.send(TestPost{.body = rpc(0, "initialize", initialize_params())}.text());
  const TestAnswer answer = client.read();
  EXPECT_EQ(answer.status, 200) << answer.body;
  const std::string id = answer.field("mcp-session-id");
  client.send(TestPost{.body = R"({"jsonrpc":"2.0","method":"notifications/initialized"})",
                       .more = "Mcp-Session-Id: " + id + "\r\nMCP-Protocol-Version: 2025-11-25\r\n"}
                  .text());
  EXPECT_EQ(client.read().status, 202);
  return id;
}
inline TestPost legacy(const std::string& session, std::string body) {
  return {.body = std::move(body), .more = "Mcp-Session-Id: " + session + "\r\nMCP-Protocol-Version: 2025-11-25\r\n"};
}

}  // namespace sluice::gateway
