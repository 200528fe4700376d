// The clients of `./dev bench gateway`: legacy sessions of MCP over plain HTTP, keep-alive.
//
//   sluice_load mcp --server HOST:PORT [--token FILE] --connections 8 --seconds 5 [--rate N]
//                   [--tool echo] [--arguments JSON]
//   sluice_load mcp … --lists N       tools/list so often on one connection: the first time, and the others
//   sluice_load mcp … --hold          each session with an open stream and a call in flight, until standard input ends
//
// With --rate calls are due at their time whatever became of those before: one that has to wait for a connection counts
// from then on (no coordinated omission). Without it each connection sends the next when the answer is there.
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <deque>
#include <fstream>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "driver.h"
#include "mcp_text.h"

namespace bench {
namespace {

constexpr std::string_view kHello =
    R"({"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},)"
    R"("clientInfo":{"name":"bench","version":"1"}}})";
constexpr std::string_view kReady = R"({"jsonrpc":"2.0","method":"notifications/initialized"})";
constexpr std::string_view kList = R"({"jsonrpc":"2.0","id":2,"method":"tools/list"})";

// One connection with at most one request on it.
class Wire {
 public:
  Wire(const Options& options, std::string token) : options_(options), token_(std::move(token)) {
    const sockaddr_in at = address_of(options.server);
    fd_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const int one = 1;
    ::setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (::connect(fd_, reinterpret_cast<const sockaddr*>(&at), sizeof at) != 0) {
      die("connect: " + std::string(std::strerror(errno)));
    }
  }
  ~Wire() { ::close(fd_); }
  Wire(const Wire&) = delete;
  Wire& operator=(const Wire&) = delete;

  int fd() const { return fd_; }
  std::string session;
  Clock::time_point began;
  bool busy = false;

  void send(std::string_view method, std::string_view body) {
    std::string text = std::string(method) + " /mcp HTTP/1.1\r\nHost: " + options_.server +
                       "\r\nContent-Type: application/json\r\nAccept: application/json, text/event-stream\r\n";
    if (!token_.empty()) text += "Authorization: Bearer " + token_ + "\r\n";
    if (!session.empty()) text += "MCP-Protocol-Version: 2025-11-25\r\nMcp-Session-Id: " + session + "\r\n";
    if (method == "POST") text += "Content-Length: " + std::to_string(body.size()) + "\r\n";
    text += "\r\n";
    text += body;
    in_.clear();
    for (std::size_t sent = 0; sent < text.size();) {
      const ssize_t n = ::send(fd_, text.data() + sent, text.size() - sent, MSG_NOSIGNAL);
      if (n < 0) die("send: " + std::string(std::strerror(errno)));
      sent += static_cast<std::size_t>(n);
    }
  }
  // What is there; false: the answer is not whole.
  bool read(std::vector<char>& buffer, int flags) {
    const ssize_t n = ::recv(fd_, buffer.data(), buffer.size(), flags);
    if (n < 0 && errno == EAGAIN) return false;
    if (n <= 0) die("the peer closed the connection after: " + in_.substr(0, 300));
    in_.append(buffer.data(), static_cast<std::size_t>(n));
    return is_whole();
  }
  const std::string& ask(std::string_view method, std::string_view body, std::vector<char>& buffer) {
    send(method, body);
    while (!read(buffer, 0)) {
    }
    return in_;
  }
  // The head alone: a stream follows.
  void open_stream(std::vector<char>& buffer) {
    send("GET", "");
    while (in_.find("\r\n\r\n") == std::string::npos) (void)read(buffer, 0);
    if (!in_.starts_with("HTTP/1.1 200")) die("no stream: " + in_.substr(0, 300));
  }
  void begin_session(std::vector<char>& buffer) {
    const std::string& answer = ask("POST", kHello, buffer);
    session = field(std::string_view(answer).substr(0, answer.find("\r\n\r\n") + 2), "mcp-session-id");
    if (session.empty()) die("no session: " + answer.substr(0, 300));
    (void)ask("POST", kReady, buffer);
  }
  bool is_good() const {
    return in_.find("\"result\"") != std::string::npos && in_.find("\"isError\":true") == std::string::npos;
  }
  const std::string& answer() const { return in_; }

 private:
  bool is_whole() const {
    const std::size_t end = in_.find("\r\n\r\n");
    if (end == std::string::npos) return false;
    const std::string_view head = std::string_view(in_).substr(0, end + 2);
    const std::string length(field(head, "content-length"));
    if (!length.empty()) return in_.size() >= end + 4 + static_cast<std::size_t>(std::atoll(length.c_str()));
    return std::string_view(in_).ends_with("\r\n0\r\n\r\n");  // chunked
  }

  const Options& options_;
  const std::string token_;
  int fd_ = -1;
  std::string in_;
};

std::string token_of(const Options& options) {
  if (options.token.empty()) return "";
  std::string token;
  std::getline(std::ifstream(options.token) >> std::ws, token);
  if (token.empty()) die("no token in " + options.token);
  return token;
}

std::string call_of(const Options& options) {
  return R"({"jsonrpc":"2.0","id":3,"method":"tools/call","params":{"name":")" + options.tool + R"(","arguments":)" +
         options.arguments + "}}";
}

class Load {
 public:
  explicit Load(const Options& options) : options_(options), buffer_(1 << 20), token_(token_of(options)) {}

  int run() {
    const int epoll = epoll_create1(EPOLL_CLOEXEC);
    for (int i = 0; i < options_.connections; ++i) {
      wires_.push_back(std::make_unique<Wire>(options_, token_));
      wires_.back()->begin_session(buffer_);
      (void)wires_.back()->ask("POST", kList, buffer_);
      (void)wires_.back()->ask("POST", call_of(options_), buffer_);
      epoll_event event{};
      event.events = EPOLLIN;
      event.data.ptr = wires_.back().get();
      ::epoll_ctl(epoll, EPOLL_CTL_ADD, wires_.back()->fd(), &event);
      idle_.push_back(wires_.back().get());
    }
    const Pace pace(options_);
    std::vector<epoll_event> events(256);
    const auto give_up = pace.end + std::chrono::seconds(30);
    while (pace.may_start(totals_) || idle_.size() < wires_.size()) {
      start_what_is_due(pace);
      const timespec wait = until_next(pace);
      const int n = ::epoll_pwait2(epoll, events.data(), static_cast<int>(events.size()), &wait, nullptr);
      for (int i = 0; i < n; ++i) take(*static_cast<Wire*>(events[static_cast<std::size_t>(i)].data.ptr));
      if (Clock::now() > give_up) die("no end after 30 s");
    }
    return totals_.print(std::chrono::duration<double>(Clock::now() - pace.begin).count());
  }

 private:
  void start_what_is_due(const Pace& pace) {
    const auto now = Clock::now();
    while (pace.may_start(totals_) && !pace.over_rate(totals_) && (options_.rate > 0 || due_.size() < idle_.size())) {
      ++totals_.started;
      due_.push_back(now);
    }
    while (!due_.empty() && !idle_.empty()) {
      Wire* const wire = idle_.front();
      idle_.pop_front();
      // Whoever did not wait counts from when it is sent.
      wire->began = due_.front() == now ? Clock::now() : due_.front();
      due_.pop_front();
      wire->send("POST", call_of(options_));
    }
  }
  timespec until_next(const Pace& pace) const {
    if (options_.rate <= 0 || !pace.may_start(totals_)) return {0, 10'000'000};
    const auto next =
        pace.begin +
        std::chrono::nanoseconds(static_cast<long long>(static_cast<double>(totals_.started) / options_.rate * 1e9));
    const auto left = std::chrono::duration_cast<std::chrono::nanoseconds>(next - Clock::now()).count();
    return {0, std::clamp<long>(left, 0, 10'000'000)};
  }
  void take(Wire& wire) {
    if (!wire.read(buffer_, MSG_DONTWAIT)) return;
    totals_.done(wire.began);
    if (!options_.deny && !wire.is_good()) totals_.failed("answer: " + wire.answer().substr(0, 300));
    idle_.push_back(&wire);
  }

  const Options& options_;
  std::vector<char> buffer_;
  const std::string token_;
  std::vector<std::unique_ptr<Wire>> wires_;
  std::deque<Wire*> idle_;
  std::deque<Clock::time_point> due_;
  Totals totals_;
};

int run_lists(const Options& options) {
  std::vector<char> buffer(4 << 20);
  Wire wire(options, token_of(options));
  wire.begin_session(buffer);
  std::vector<double> times;
  std::size_t size = 0;
  for (int i = 0; i < options.lists; ++i) {
    const auto began = Clock::now();
    size = wire.ask("POST", kList, buffer).size();
    times.push_back(std::chrono::duration<double, std::micro>(Clock::now() - began).count());
    if (!wire.is_good()) die("list: " + wire.answer().substr(0, 300));
  }
  const double first = times.front();
  std::sort(times.begin() + 1, times.end());
  std::printf("{\"first_us\":%.0f,\"p50_us\":%.0f,\"octets\":%zu}\n", first, times[times.size() / 2], size);
  return 0;
}

int run_hold(const Options& options) {
  std::vector<char> buffer(1 << 16);
  const std::string token = token_of(options);
  std::vector<std::unique_ptr<Wire>> wires;
  for (int i = 0; i < options.connections; ++i) {
    auto calls = std::make_unique<Wire>(options, token);
    calls->begin_session(buffer);
    auto stream = std::make_unique<Wire>(options, token);
    stream->session = calls->session;
    stream->open_stream(buffer);
    calls->send("POST", call_of(options));
    wires.push_back(std::move(calls));
    wires.push_back(std::move(stream));
  }
  std::printf("{\"sessions\":%d}\n", options.connections);
  std::fflush(stdout);
  char octet;
  while (::read(STDIN_FILENO, &octet, 1) > 0) {
  }
  return 0;
}

}  // namespace

int run_mcp(const Options& options) {
  if (options.hold) return run_hold(options);
  return options.lists > 0 ? run_lists(options) : Load(options).run();
}

}  // namespace bench
