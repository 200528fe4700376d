// The MCP server of `./dev bench gateway`, over plain HTTP: says at once what a call wants said, and does nothing else.
//
//   sluice_load mcp-echo --server HOST:PORT [--tools N]
//
// Legacy sessions that nobody checks. Tools: `echo`, `wait` (never answered), and as many others as --tools says, whose
// descriptions and schemas take 800 octets each. It reads requests as our own programs write them, and trusts them.
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "driver.h"
#include "guests.h"
#include "mcp_text.h"

namespace bench {
namespace {

constexpr std::size_t kToolSize = 800;

std::string tool(const std::string& name, std::size_t size) {
  std::string text =
      R"({"name":")" + name + R"(","inputSchema":{"type":"object","properties":{"text":{"type":"string"}}})";
  const std::string words = R"(,"description":")";
  if (size > text.size() + words.size() + 2)
    text += words + std::string(size - text.size() - words.size() - 2, 'x') + '"';
  return text + "}";
}

std::string all_tools(int count) {
  std::string text = R"({"tools":[)" + tool("echo", 0) + "," + tool("wait", 0);
  for (int i = 2; i < count; ++i) text += "," + tool("tool_" + std::to_string(i), kToolSize);
  return text + "]}";
}

std::string answer(std::string_view fields, std::string_view body) {
  return "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n" + std::string(fields) +
         "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + std::string(body);
}

class Guest {
 public:
  Guest(int fd, const std::string& tools) : fd_(fd), tools_(tools) {}
  ~Guest() { ::close(fd_); }
  Guest(const Guest&) = delete;
  Guest& operator=(const Guest&) = delete;

  // False: it is over.
  bool step(std::vector<char>& buffer) {
    for (;;) {
      if (!write()) return false;
      const ssize_t n = ::recv(fd_, buffer.data(), buffer.size(), 0);
      if (n < 0) return errno == EAGAIN || errno == EINTR;
      if (n == 0) return false;
      in_.append(buffer.data(), static_cast<std::size_t>(n));
      while (const std::size_t size = request_size(in_)) {
        take(std::string_view(in_).substr(0, size));
        in_.erase(0, size);
      }
    }
  }

 private:
  void take(std::string_view request) {
    if (request.starts_with("GET")) {
      out_ += "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n4\r\n: .\n\r\n";
      return;
    }
    const std::string_view body = request.substr(request.find("\r\n\r\n") + 4);
    const std::string_view id = member(body, "id"), method = member(body, "method");
    if (id.empty() || method.empty()) {
      out_ += "HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n";
      return;
    }
    std::string result = "{}";
    std::string_view fields;
    if (method == R"("initialize")") {
      result = R"({"protocolVersion":"2025-11-25","serverInfo":{"name":"echo","version":"1"},)"
               R"("capabilities":{"tools":{"listChanged":true}}})";
      fields = "Mcp-Session-Id: bench\r\n";
    } else if (method == R"("tools/list")") {
      result = tools_;
    } else if (body.find(R"("name":"wait")") != body.npos) {
      return;
    } else if (method == R"("tools/call")") {
      result = R"({"content":[{"type":"text","text":"echo"}]})";
    }
    out_ += answer(fields, R"({"jsonrpc":"2.0","id":)" + std::string(id) + R"(,"result":)" + result + "}");
  }
  bool write() {
    while (sent_ < out_.size()) {
      const ssize_t n = ::send(fd_, out_.data() + sent_, out_.size() - sent_, MSG_NOSIGNAL);
      if (n < 0) return errno == EAGAIN || errno == EINTR;
      sent_ += static_cast<std::size_t>(n);
    }
    out_.clear();
    sent_ = 0;
    return true;
  }

  const int fd_;
  const std::string& tools_;
  std::string in_, out_;
  std::size_t sent_ = 0;
};

}  // namespace

int run_mcp_echo(const Options& options) {
  const std::string tools = all_tools(options.tools);
  serve_guests<Guest>(options, 64 * 1024, [&](int fd) { return new Guest(fd, tools); });
}

}  // namespace bench
