#include "app/attach.h"

#include <fmt/format.h>
#include <unistd.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace sluice::app {
namespace {

namespace asio = boost::asio;
constexpr ByteCount kMaxLine = 4 * kMiB;

class Bridge {
 public:
  Bridge(asio::io_context& io, ControlEndpoint endpoint, std::string token)
      : io_(io),
        endpoint_(std::move(endpoint)),
        token_(std::move(token)),
        input_(io, ::dup(STDIN_FILENO)),
        ordered_(io) {}

  asio::awaitable<void> run() {
    std::string pending, space(64 * 1024, '\0');
    for (;;) {
      auto [error, count] = co_await input_.async_read_some(asio::buffer(space), asio::as_tuple(asio::use_awaitable));
      if (error) break;
      pending.append(space, 0, count);
      std::size_t begin = 0;
      for (std::size_t end; (end = pending.find('\n', begin)) != std::string::npos; begin = end + 1) {
        std::string line = pending.substr(begin, end - begin);
        if (line.find_first_not_of(" \t\r") == std::string::npos) continue;
        const auto message = parse_json(line);
        const Json* method = message ? find_member(*message, "method") : nullptr;
        // `initialize` makes the session that the rest belongs to: wait for its answer.
        const bool first = method && *method == "initialize";
        if (first)
          co_await forward(std::move(line), message ? *message : Json());
        else
          asio::co_spawn(io_, forward(std::move(line), message ? *message : Json()), asio::detached);
      }
      pending.erase(0, begin);
      if (pending.size() > kMaxLine) break;
    }
    ended_ = true;
    while (in_flight_ > 0) {
      ordered_.expires_after(std::chrono::seconds(30));
      co_await ordered_.async_wait(asio::as_tuple(asio::use_awaitable));
    }
    if (!session_.empty()) {
      (void)co_await control_request(endpoint_, {"DELETE", headers(), ""}, {}, {});
    }
    io_.stop();
  }

  bool failed() const { return failed_; }

 private:
  std::vector<std::pair<std::string, std::string>> headers() const {
    std::vector<std::pair<std::string, std::string>> headers{{"Accept", "application/json, text/event-stream"}};
    if (!token_.empty()) headers.emplace_back("Authorization", "Bearer " + token_);
    if (!session_.empty()) headers.emplace_back("Mcp-Session-Id", session_);
    return headers;
  }

  // What the HTTP side of a modern message carries beside the body.
  void add_modern_headers(const Json& message, std::vector<std::pair<std::string, std::string>>& headers) const {
    const Json* params = find_member(message, "params");
    const Json* meta = params ? find_member(*params, "_meta") : nullptr;
    const Json* version = meta ? find_member(*meta, "io.modelcontextprotocol/protocolVersion") : nullptr;
    const Json* method = find_member(message, "method");
    if (!version || !version->is_string() || !method || !method->is_string()) {
      if (!version_.empty()) headers.emplace_back("MCP-Protocol-Version", version_);
      return;
    }
    headers.emplace_back("MCP-Protocol-Version", version->get<std::string>());
    headers.emplace_back("Mcp-Method", method->get<std::string>());
    for (const char* key : {"name", "uri"}) {
      const Json* name = find_member(*params, key);
      if (name && name->is_string()) headers.emplace_back("Mcp-Name", name->get<std::string>());
    }
  }

  asio::awaitable<void> forward(std::string line, Json message) {
    ++in_flight_;
    ControlRequest request{"POST", headers(), std::move(line)};
    add_modern_headers(message, request.headers);
    bool answered = false;
    auto answer = co_await control_request(
        endpoint_, std::move(request),
        [this](const http::ResponseHead& head) {
          if (const auto id = head.fields.find("mcp-session-id"); id && session_.empty()) session_ = *id;
        },
        [&](std::string data) {
          answered = true;
          print(std::move(data));
        });
    const Json* id = find_member(message, "id");
    if (!answer) {
      failed_ = true;
      fmt::print(stderr, "sluice: {}\n", answer.error().message);
      if (id)
        print(dump_json(Json{
            {"jsonrpc", "2.0"}, {"id", *id}, {"error", Json{{"code", -32603}, {"message", answer.error().message}}}}));
    } else if (!answer->body.empty() && parse_json(answer->body)) {
      if (const auto body = parse_json(answer->body)) print(dump_json(*body));
      note_version(answer->body);
    } else if (id && !answered) {
      print(dump_json(Json{{"jsonrpc", "2.0"},
                           {"id", *id},
                           {"error", Json{{"code", -32603},
                                          {"message", fmt::format("`sluice serve` answered {} {}", answer->head.status,
                                                                  answer->head.reason)}}}}));
    }
    const Json* method = find_member(message, "method");
    if (method && *method == "notifications/initialized") asio::co_spawn(io_, listen(), asio::detached);
    --in_flight_;
    ordered_.cancel();
  }

  // Later requests of a 2025 session name the version that was agreed on.
  void note_version(const std::string& body) {
    const auto json = parse_json(body);
    const Json* result = json ? find_member(*json, "result") : nullptr;
    const Json* version = result ? find_member(*result, "protocolVersion") : nullptr;
    if (version && version->is_string()) version_ = version->get<std::string>();
  }

  // The session's own stream: notices that belong to no request.
  asio::awaitable<void> listen() {
    ControlRequest request{"GET", headers(), ""};
    if (!version_.empty()) request.headers.emplace_back("MCP-Protocol-Version", version_);
    (void)co_await control_request(endpoint_, std::move(request), {},
                                   [this](std::string data) { print(std::move(data)); });
  }

  void print(std::string message) {
    note_version(message);
    message += '\n';
    for (std::size_t done = 0; done < message.size();) {
      const ssize_t wrote = ::write(STDOUT_FILENO, message.data() + done, message.size() - done);
      if (wrote <= 0) {
        io_.stop();
        return;
      }
      done += static_cast<std::size_t>(wrote);
    }
  }

  asio::io_context& io_;
  ControlEndpoint endpoint_;
  std::string token_, session_, version_;
  asio::posix::stream_descriptor input_;
  asio::steady_timer ordered_;
  std::size_t in_flight_ = 0;
  bool ended_ = false, failed_ = false;
};

}  // namespace

int run_attach(const ControlEndpoint& endpoint, const std::string& token) {
  asio::io_context io;
  Bridge bridge(io, endpoint, token);
  asio::co_spawn(io, bridge.run(), asio::detached);
  io.run();
  return bridge.failed() ? 1 : 0;
}

}  // namespace sluice::app
