#include "app/control_client.h"

#include <fmt/format.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/connect.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <optional>

#include "base/text.h"
#include "base/url.h"
#include "http1/http1.h"

namespace sluice::app {
namespace {

namespace asio = boost::asio;
using Socket = asio::generic::stream_protocol::socket;
constexpr ByteCount kMaxAnswer = 64 * kMiB;

// Cuts a stream of server-sent events into the data of each (WHATWG HTML §9.2).
class EventReader {
 public:
  explicit EventReader(std::function<void(std::string)> on_event) : on_event_(std::move(on_event)) {}
  void feed(Bytes octets) {
    pending_.append(octets);
    std::size_t begin = 0;
    for (std::size_t end; (end = pending_.find('\n', begin)) != std::string::npos; begin = end + 1) {
      line(trim_end(std::string_view(pending_).substr(begin, end - begin)));
    }
    pending_.erase(0, begin);
  }

 private:
  static std::string_view trim_end(std::string_view line) {
    return line.ends_with('\r') ? line.substr(0, line.size() - 1) : line;
  }
  void line(std::string_view text) {
    if (text.empty()) {
      if (!data_.empty() && on_event_) on_event_(std::move(data_));
      data_.clear();
    } else if (text.starts_with("data:")) {
      text.remove_prefix(5);
      if (text.starts_with(' ')) text.remove_prefix(1);
      if (!data_.empty()) data_ += '\n';
      data_ += text;
    }
  }
  std::function<void(std::string)> on_event_;
  std::string pending_, data_;
};

asio::awaitable<Result<Socket>> connect(const ControlEndpoint& endpoint) {
  Socket socket(co_await asio::this_coro::executor);
  boost::system::error_code error;
  if (!endpoint.socket.empty()) {
    if (endpoint.socket.size() >= 100)
      co_return fail(Code::kInvalid, "the path " + endpoint.socket + " is too long for a Unix socket");
    auto [failed] = co_await socket.async_connect(asio::local::stream_protocol::endpoint(endpoint.socket),
                                                  asio::as_tuple(asio::use_awaitable));
    error = failed;
  } else {
    const auto address = asio::ip::make_address(endpoint.host == "localhost" ? "127.0.0.1" : endpoint.host, error);
    if (error) co_return fail(Code::kInvalid, "'" + endpoint.host + "' is not an IP address");
    auto [failed] = co_await socket.async_connect(asio::ip::tcp::endpoint(address, endpoint.port),
                                                  asio::as_tuple(asio::use_awaitable));
    error = failed;
  }
  if (error) {
    const std::string where =
        endpoint.socket.empty() ? authority_text(endpoint.host, endpoint.port, 0) : endpoint.socket;
    co_return fail(Code::kUnavailable, "no `sluice serve` answers at " + where + ": " + error.message());
  }
  co_return socket;
}

std::string write_request(const ControlEndpoint& endpoint, const ControlRequest& request) {
  http::RequestHead head;
  head.method = request.method;
  head.target = endpoint.path;
  head.fields.append("Host", endpoint.socket.empty() ? authority_text(endpoint.host, endpoint.port, 0) : "localhost");
  for (const auto& [name, value] : request.headers) head.fields.append(name, value);
  if (request.method == "POST") {
    head.fields.append("Content-Type", "application/json");
    head.fields.append("Content-Length", std::to_string(request.body.size()));
  }
  head.fields.append("Connection", "close");
  std::string out;
  http1::append_head(out, head);
  return out + request.body;
}

}  // namespace

Result<ControlEndpoint> parse_endpoint(const std::string& text) {
  SLUICE_TRY(const Url url, parse_url(text));
  if (url.scheme != "http") return fail(Code::kInvalid, "the control port speaks http, not " + url.scheme);
  return ControlEndpoint{"", url.host, url.port, url.target == "/" ? "/mcp" : url.target};
}

asio::awaitable<Result<ControlAnswer>> control_request(ControlEndpoint endpoint, ControlRequest request,
                                                       std::function<void(const http::ResponseHead&)> on_head,
                                                       std::function<void(std::string)> on_event) {
  auto socket = co_await connect(endpoint);
  if (!socket) co_return fail(socket.error());
  const std::string octets = write_request(endpoint, request);
  auto [failed, sent] = co_await asio::async_write(*socket, asio::buffer(octets), asio::as_tuple(asio::use_awaitable));
  if (failed) co_return fail(Code::kClosed, "the request could not be sent: " + failed.message());

  http1::ResponseReader reader(HttpLimits{});
  reader.begin(request.method);
  EventReader events(std::move(on_event));
  ControlAnswer answer;
  bool streaming = false;
  std::string space(64 * 1024, '\0');
  for (;;) {
    auto event = reader.next();
    if (!event) co_return fail(Error(event.error()).with_context("the answer"));
    if (auto* head = std::get_if<http::ResponseHead>(&*event)) {
      if (head->is_interim()) continue;
      const auto type = head->fields.find("content-type");
      streaming = type && type->starts_with("text/event-stream");
      if (on_head) on_head(*head);
      answer.head = std::move(*head);
    } else if (auto* piece = std::get_if<http::BodyPiece>(&*event)) {
      if (streaming)
        events.feed(piece->content);
      else
        answer.body += piece->content;
      if (answer.body.size() > kMaxAnswer) co_return fail(Code::kTooLarge, "the answer is larger than 64 MiB");
    } else if (std::holds_alternative<http::MessageEnd>(*event)) {
      co_return answer;
    } else if (std::holds_alternative<http::NeedMore>(*event)) {
      auto [error, count] = co_await socket->async_read_some(asio::buffer(space), asio::as_tuple(asio::use_awaitable));
      if (!error) {
        reader.feed(Bytes(space).substr(0, count));
        continue;
      }
      if (error != asio::error::eof || !reader.finish())
        co_return fail(Code::kClosed, "the connection ended before the answer");
      co_return answer;
    }
  }
}

Result<Json> call_method(const ControlEndpoint& endpoint, const std::string& method, const std::string& name,
                         Json params) {
  constexpr const char* kVersion = "2026-07-28";
  params["_meta"] =
      Json{{"io.modelcontextprotocol/protocolVersion", kVersion},
           {"io.modelcontextprotocol/clientInfo", Json{{"name", "sluice-cli"}, {"version", SLUICE_VERSION}}},
           {"io.modelcontextprotocol/clientCapabilities", Json::object()}};
  ControlRequest request;
  request.body = dump_json(Json{{"jsonrpc", "2.0"}, {"id", 1}, {"method", method}, {"params", std::move(params)}});
  request.headers = {
      {"Accept", "application/json, text/event-stream"}, {"MCP-Protocol-Version", kVersion}, {"Mcp-Method", method}};
  if (!name.empty()) request.headers.emplace_back("Mcp-Name", name);
  asio::io_context io;
  Result<ControlAnswer> answer = fail(Code::kInternal, "no answer");
  std::string last_event;
  asio::co_spawn(
      io,
      [&]() -> asio::awaitable<void> {
        answer = co_await control_request(endpoint, std::move(request), {},
                                          [&](std::string data) { last_event = std::move(data); });
      },
      asio::detached);
  io.run();
  if (!answer) return fail(answer.error());
  const std::string& text = last_event.empty() ? answer->body : last_event;
  auto json = parse_json(text, {.max_members = 1'000'000});
  if (!json)
    return fail(Code::kUnavailable,
                fmt::format("`sluice serve` answered {} {}", answer->head.status, answer->head.reason));
  return json;
}

}  // namespace sluice::app
