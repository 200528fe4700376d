// The load driver of `./dev bench`. It keeps N connections busy, each sending the next GET when the answer is complete,
// for a number of seconds; either through a proxy (CONNECT, then TLS inside) or straight to a TLS server. It prints one
// line of JSON.
//
//   sluice_load --server HOST:PORT [--proxy HOST:PORT] --name NAME --ca FILE --path /1k --size 1024
//               --connections 32 --seconds 5 [--fresh] [--max-requests N] [--rate N]
//   sluice_load websocket …                                               websocket_load.cc
//   sluice_load echo --server HOST:PORT --certificate FILE --key FILE     websocket_echo.cc
//   sluice_load mcp …, sluice_load mcp-echo …                             mcp_load.cc, mcp_echo.cc
//
// HOST is an IPv4 literal; NAME goes into CONNECT, SNI, Host and verification. --fresh: a new connection per request,
// closed by the client after the answer (no `Connection: close`, which would forbid reuse further on as well).
// --rate: at most N requests a second, all connections together.
#include <sys/epoll.h>

#include <algorithm>
#include <cctype>
#include <csignal>
#include <cstdlib>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "driver.h"

namespace bench {
namespace {

class Driver;

// One connection's state machine. A step returns when the socket would block.
class Connection {
 public:
  Connection(Driver& driver, SSL_CTX* tls);
  void open();
  void step();
  void resume();  // the request that the rate held back

 private:
  enum class State { kOpening, kSend, kRead };

  Progress advance();
  Progress send_request();
  Progress read_answer();
  void start_request();
  bool read_head();
  void finish_request();
  void go_on();

  Driver& driver_;
  TlsClient tls_;
  State state_ = State::kOpening;
  std::string out_, head_;
  long long body_left_ = -1;  // -1: head not complete
  bool server_closes_ = false;
  bool parked_ = false;
  Clock::time_point started_;
};

class Driver {
 public:
  explicit Driver(const Options& options) : options_(options), pace_(options) {
    request_ = "GET " + options_.path + " HTTP/1.1\r\nHost: " + authority_of(options_) +
               "\r\nUser-Agent: sluice_load\r\nAccept: */*\r\n\r\n";
    epoll_ = epoll_create1(EPOLL_CLOEXEC);
    buffer_.resize(256 * 1024);
  }

  int run();

  const Options& options_;
  Pace pace_;
  std::string request_;
  std::vector<char> buffer_;
  int epoll_ = -1;
  int alive_ = 0;
  std::vector<Connection*> parked_;
  Totals totals;
};

Connection::Connection(Driver& driver, SSL_CTX* tls) : driver_(driver), tls_(driver.options_, tls) {}

void Connection::open() {
  tls_.close();
  if (!driver_.pace_.may_start(driver_.totals)) {
    --driver_.alive_;
    return;
  }
  start_request();
  state_ = State::kOpening;
  tls_.start(driver_.epoll_, this);
}

void Connection::start_request() {
  ++driver_.totals.started;
  started_ = Clock::now();
  out_ = driver_.request_;
  head_.clear();
  body_left_ = -1;
  server_closes_ = false;
}

void Connection::step() {
  while (tls_.has_socket() && !parked_) {
    const Progress progress = advance();
    if (progress == Progress::kBlocked) return;
    if (progress == Progress::kFailed) {
      driver_.totals.failed(tls_.why());
      open();
      return;
    }
  }
}

Progress Connection::advance() {
  if (state_ == State::kSend) return send_request();
  if (state_ == State::kRead) return read_answer();
  const Progress progress = tls_.advance();
  if (tls_.is_open()) state_ = State::kSend;
  return progress;
}

Progress Connection::send_request() {
  const int result = SSL_write(tls_.ssl(), out_.data(), static_cast<int>(out_.size()));
  if (result <= 0) return tls_.blocked(result, "send");
  state_ = State::kRead;
  return Progress::kGoOn;
}

bool Connection::read_head() {
  const auto end = head_.find("\r\n\r\n");
  if (end == std::string::npos) return true;
  if (head_.compare(0, 12, "HTTP/1.1 200") != 0) return false;
  std::string lower = head_.substr(0, end + 2);
  std::transform(lower.begin(), lower.end(), lower.begin(), [](unsigned char c) { return std::tolower(c); });
  const auto at = lower.find("\r\ncontent-length:");
  if (at == std::string::npos) return false;
  long long length = std::atoll(lower.c_str() + at + 17);
  if (length != driver_.options_.size) return false;
  server_closes_ = lower.find("\r\nconnection: close\r\n") != std::string::npos;
  body_left_ = length - static_cast<long long>(head_.size() - end - 4);
  return true;
}

Progress Connection::read_answer() {
  const int n = SSL_read(tls_.ssl(), driver_.buffer_.data(), static_cast<int>(driver_.buffer_.size()));
  if (n <= 0) return tls_.blocked(n, "read");
  driver_.totals.octets += n;
  if (body_left_ < 0) {
    head_.append(driver_.buffer_.data(), static_cast<std::size_t>(n));
    if (!read_head()) return tls_.fail("answer: " + head_.substr(0, std::min<std::size_t>(head_.size(), 200)));
  } else {
    body_left_ -= n;
  }
  if (body_left_ == 0 && !head_.empty()) {
    finish_request();
  } else if (body_left_ < 0 && head_.find("\r\n\r\n") != std::string::npos) {
    return tls_.fail("answer longer than announced");
  }
  return Progress::kGoOn;
}

void Connection::finish_request() {
  driver_.totals.done(started_);
  if (driver_.options_.fresh || server_closes_) {
    SSL_shutdown(tls_.ssl());
    open();
    return;
  }
  state_ = State::kSend;
  if (driver_.pace_.over_rate(driver_.totals)) {
    parked_ = true;
    driver_.parked_.push_back(this);
    return;
  }
  go_on();
}

void Connection::go_on() {
  if (driver_.pace_.may_start(driver_.totals)) {
    start_request();
    return;
  }
  SSL_shutdown(tls_.ssl());
  tls_.close();
  --driver_.alive_;
}

void Connection::resume() {
  parked_ = false;
  go_on();
  step();
}

int Driver::run() {
  SSL_CTX* tls = client_context(options_.ca);
  const auto give_up = pace_.end + std::chrono::seconds(30);
  std::vector<std::unique_ptr<Connection>> connections;
  alive_ = options_.connections;
  for (int i = 0; i < options_.connections; ++i) {
    connections.push_back(std::make_unique<Connection>(*this, tls));
    connections.back()->open();
  }
  std::vector<epoll_event> events(256);
  while (alive_ > 0) {
    const int n = ::epoll_wait(epoll_, events.data(), static_cast<int>(events.size()), parked_.empty() ? 1000 : 1);
    for (int i = 0; i < n; ++i) static_cast<Connection*>(events[static_cast<std::size_t>(i)].data.ptr)->step();
    if (!parked_.empty() && !pace_.over_rate(totals)) {
      Connection* first = parked_.front();
      parked_.erase(parked_.begin());
      first->resume();
    }
    if (Clock::now() > give_up) die("no end after 30 s; the first error: " + totals.first_error);
  }
  const int code = totals.print(std::chrono::duration<double>(Clock::now() - pace_.begin).count());
  connections.clear();
  SSL_CTX_free(tls);
  return code;
}

}  // namespace
}  // namespace bench

int main(int argc, char** argv) {
  std::signal(SIGPIPE, SIG_IGN);  // a guest that went away is no reason for an origin to end
  const std::string_view command = argc > 1 ? argv[1] : "";
  const bool mcp = command == "mcp" || command == "mcp-echo";
  const bool named = mcp || command == "websocket" || command == "echo";
  const bench::Options options = bench::parse(argc - (named ? 1 : 0), argv + (named ? 1 : 0));
  if (options.server.empty()) bench::die("--server is needed");
  if (command == "echo") return bench::run_echo(options);
  if (mcp) return command == "mcp" ? bench::run_mcp(options) : bench::run_mcp_echo(options);
  if (options.ca.empty() || options.size < 0) bench::die("--ca and --size are needed");
  return command == "websocket" ? bench::run_websockets(options) : bench::Driver(options).run();
}
