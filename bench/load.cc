// The load driver of `./dev bench`: one thread, epoll and OpenSSL. It keeps N connections busy, each sending the next
// GET when the answer is complete, for a number of seconds; either through a proxy (CONNECT, then TLS inside) or
// straight to a TLS server. TLS 1.3 only, no session resumption, certificates verified. It prints one line of JSON.
//
//   sluice_load --server HOST:PORT [--proxy HOST:PORT] --name NAME --ca FILE --path /1k --size 1024
//               --connections 32 --seconds 5 [--fresh] [--max-requests N] [--rate N]
//
// HOST is an IPv4 literal; NAME goes into CONNECT, SNI, Host and verification. --fresh: a new connection per request,
// closed by the client after the answer (no `Connection: close`, which would forbid reuse further on as well).
// --rate: at most N requests a second, all connections together.
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace {

using Clock = std::chrono::steady_clock;

struct Options {
  std::string server, proxy, name = "localhost", ca, path = "/";
  long long size = -1;  // of every answer's body; another length is an error
  int connections = 1;
  double seconds = 1;
  double rate = 0;  // 0: as fast as it goes
  long long max_requests = -1;
  bool fresh = false;
};

[[noreturn]] void die(const std::string& why) {
  std::fprintf(stderr, "sluice_load: %s\n", why.c_str());
  std::exit(2);
}

sockaddr_in address_of(const std::string& text) {
  const auto colon = text.rfind(':');
  if (colon == std::string::npos) die("HOST:PORT expected, not " + text);
  sockaddr_in out{};
  out.sin_family = AF_INET;
  out.sin_port = htons(static_cast<std::uint16_t>(std::atoi(text.c_str() + colon + 1)));
  if (inet_pton(AF_INET, text.substr(0, colon).c_str(), &out.sin_addr) != 1) die("not an IPv4 literal: " + text);
  return out;
}

struct Totals {
  std::vector<std::uint32_t> latencies_us;
  long long errors = 0, octets = 0, started = 0;
  std::string first_error;
};

class Driver;

// One connection's state machine. A step returns when the socket would block.
class Connection {
 public:
  Connection(Driver& driver, SSL_CTX* tls) : driver_(driver), tls_(tls) {}
  ~Connection() { close_socket(); }
  void open();
  void step();
  void resume();  // the request that the rate held back

 private:
  enum class State { kConnecting, kSendConnect, kReadConnect, kHandshake, kSend, kRead };
  enum class Progress { kGoOn, kBlocked, kFailed };

  Progress advance();
  Progress check_connected();
  Progress send_plain();
  Progress read_connect_answer();
  Progress handshake();
  Progress send_request();
  Progress read_answer();
  Progress tls_blocked(int result, const char* what);
  Progress fail(std::string why);
  void start_request();
  bool read_head();
  void finish_request();
  void go_on();
  void close_socket();

  Driver& driver_;
  SSL_CTX* tls_;
  int fd_ = -1;
  SSL* ssl_ = nullptr;
  State state_ = State::kConnecting;
  std::string out_, head_;
  std::size_t sent_ = 0;
  long long body_left_ = -1;  // -1: head not complete
  bool server_closes_ = false;
  bool parked_ = false;
  Clock::time_point started_;
};

class Driver {
 public:
  explicit Driver(Options options) : options_(std::move(options)) {
    target_ = address_of(options_.proxy.empty() ? options_.server : options_.proxy);
    authority_ = options_.name + options_.server.substr(options_.server.rfind(':'));
    request_ = "GET " + options_.path + " HTTP/1.1\r\nHost: " + authority_ +
               "\r\nUser-Agent: sluice_load\r\nAccept: */*\r\n\r\n";
    connect_ = "CONNECT " + authority_ + " HTTP/1.1\r\nHost: " + authority_ + "\r\n\r\n";
    epoll_ = epoll_create1(EPOLL_CLOEXEC);
    buffer_.resize(256 * 1024);
  }

  int run();
  bool over_rate() const {
    if (options_.rate <= 0) return false;
    const double elapsed = std::chrono::duration<double>(Clock::now() - begin_).count();
    return static_cast<double>(totals.started) > options_.rate * elapsed;
  }
  bool may_start() {
    if (Clock::now() >= end_) return false;
    return options_.max_requests < 0 || totals.started < options_.max_requests;
  }

  Options options_;
  sockaddr_in target_{};
  std::string authority_, request_, connect_;
  std::vector<char> buffer_;
  int epoll_ = -1;
  int alive_ = 0;
  Clock::time_point begin_, end_;
  std::vector<Connection*> parked_;
  Totals totals;
};

void Connection::close_socket() {
  if (ssl_) SSL_free(ssl_);
  ssl_ = nullptr;
  if (fd_ >= 0) ::close(fd_);
  fd_ = -1;
}

void Connection::open() {
  close_socket();
  if (!driver_.may_start()) {
    --driver_.alive_;
    return;
  }
  fd_ = ::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd_ < 0) die("socket: " + std::string(std::strerror(errno)));
  const int one = 1;
  ::setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  start_request();
  state_ = State::kConnecting;
  if (::connect(fd_, reinterpret_cast<const sockaddr*>(&driver_.target_), sizeof driver_.target_) != 0 &&
      errno != EINPROGRESS) {
    die("connect: " + std::string(std::strerror(errno)));
  }
  epoll_event event{};
  event.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET;
  event.data.ptr = this;
  ::epoll_ctl(driver_.epoll_, EPOLL_CTL_ADD, fd_, &event);
}

void Connection::start_request() {
  ++driver_.totals.started;
  started_ = Clock::now();
  out_ = driver_.request_;
  sent_ = 0;
  head_.clear();
  body_left_ = -1;
  server_closes_ = false;
}

void Connection::step() {
  while (fd_ >= 0 && !parked_) {
    const Progress progress = advance();
    if (progress == Progress::kBlocked) return;
    if (progress == Progress::kFailed) {
      open();
      return;
    }
  }
}

Connection::Progress Connection::fail(std::string why) {
  ++driver_.totals.errors;
  if (driver_.totals.first_error.empty()) driver_.totals.first_error = std::move(why);
  if (driver_.totals.errors > 1000) die("more than 1,000 errors; the first: " + driver_.totals.first_error);
  return Progress::kFailed;
}

Connection::Progress Connection::advance() {
  switch (state_) {
    case State::kConnecting:
      return check_connected();
    case State::kSendConnect:
      return send_plain();
    case State::kReadConnect:
      return read_connect_answer();
    case State::kHandshake:
      return handshake();
    case State::kSend:
      return send_request();
    case State::kRead:
      return read_answer();
  }
  return Progress::kFailed;
}

Connection::Progress Connection::check_connected() {
  int error = 0;
  socklen_t length = sizeof error;
  ::getsockopt(fd_, SOL_SOCKET, SO_ERROR, &error, &length);
  if (error != 0) return fail(std::string("connect: ") + std::strerror(error));
  sockaddr_in peer{};
  length = sizeof peer;
  if (::getpeername(fd_, reinterpret_cast<sockaddr*>(&peer), &length) != 0) return Progress::kBlocked;
  if (driver_.options_.proxy.empty()) {
    state_ = State::kHandshake;
  } else {
    state_ = State::kSendConnect;
  }
  return Progress::kGoOn;
}

Connection::Progress Connection::send_plain() {
  const std::string& text = driver_.connect_;
  const ssize_t n = ::send(fd_, text.data(), text.size(), MSG_NOSIGNAL);
  if (n < 0 && errno == EAGAIN) return Progress::kBlocked;
  if (n != static_cast<ssize_t>(text.size())) return fail("CONNECT could not be sent");
  head_.clear();
  state_ = State::kReadConnect;
  return Progress::kGoOn;
}

Connection::Progress Connection::read_connect_answer() {
  // TLS servers do not speak first, so nothing of the tunnel can follow the head here.
  char buffer[4096];
  const ssize_t n = ::recv(fd_, buffer, sizeof buffer, 0);
  if (n < 0 && errno == EAGAIN) return Progress::kBlocked;
  if (n <= 0) return fail("closed during CONNECT");
  head_.append(buffer, static_cast<std::size_t>(n));
  if (head_.find("\r\n\r\n") == std::string::npos) return Progress::kGoOn;
  if (head_.compare(0, 9, "HTTP/1.1 ") != 0 || head_.compare(9, 3, "200") != 0) {
    return fail("CONNECT answered: " + head_.substr(0, head_.find('\r')));
  }
  head_.clear();
  state_ = State::kHandshake;
  return Progress::kGoOn;
}

Connection::Progress Connection::tls_blocked(int result, const char* what) {
  const int error = SSL_get_error(ssl_, result);
  if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE) return Progress::kBlocked;
  char text[256] = "closed";
  if (const unsigned long code = ERR_get_error(); code != 0) ERR_error_string_n(code, text, sizeof text);
  ERR_clear_error();
  return fail(std::string(what) + ": " + text);
}

Connection::Progress Connection::handshake() {
  if (ssl_ == nullptr) {
    ssl_ = SSL_new(tls_);
    SSL_set_fd(ssl_, fd_);
    SSL_set_tlsext_host_name(ssl_, driver_.options_.name.c_str());
    SSL_set1_host(ssl_, driver_.options_.name.c_str());
    SSL_set_connect_state(ssl_);
  }
  const int result = SSL_do_handshake(ssl_);
  if (result != 1) return tls_blocked(result, "handshake");
  state_ = State::kSend;
  return Progress::kGoOn;
}

Connection::Progress Connection::send_request() {
  const int result = SSL_write(ssl_, out_.data(), static_cast<int>(out_.size()));
  if (result <= 0) return tls_blocked(result, "send");
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

Connection::Progress Connection::read_answer() {
  const int n = SSL_read(ssl_, driver_.buffer_.data(), static_cast<int>(driver_.buffer_.size()));
  if (n <= 0) return tls_blocked(n, "read");
  driver_.totals.octets += n;
  if (body_left_ < 0) {
    head_.append(driver_.buffer_.data(), static_cast<std::size_t>(n));
    if (!read_head()) return fail("answer: " + head_.substr(0, std::min<std::size_t>(head_.size(), 200)));
  } else {
    body_left_ -= n;
  }
  if (body_left_ == 0 && !head_.empty()) {
    finish_request();
  } else if (body_left_ < 0 && head_.find("\r\n\r\n") != std::string::npos) {
    return fail("answer longer than announced");
  }
  return Progress::kGoOn;
}

void Connection::finish_request() {
  const auto taken = std::chrono::duration_cast<std::chrono::microseconds>(Clock::now() - started_).count();
  driver_.totals.latencies_us.push_back(static_cast<std::uint32_t>(std::min<long long>(taken, UINT32_MAX)));
  if (driver_.options_.fresh || server_closes_) {
    SSL_shutdown(ssl_);
    open();
    return;
  }
  state_ = State::kSend;
  if (driver_.over_rate()) {
    parked_ = true;
    driver_.parked_.push_back(this);
    return;
  }
  go_on();
}

void Connection::go_on() {
  if (driver_.may_start()) {
    start_request();
    return;
  }
  SSL_shutdown(ssl_);
  close_socket();
  --driver_.alive_;
}

void Connection::resume() {
  parked_ = false;
  go_on();
  step();
}

double percentile(const std::vector<std::uint32_t>& sorted, double share) {
  if (sorted.empty()) return 0;
  const auto at = static_cast<std::size_t>(share * static_cast<double>(sorted.size() - 1));
  return sorted[at];
}

int Driver::run() {
  SSL_CTX* tls = SSL_CTX_new(TLS_client_method());
  SSL_CTX_set_min_proto_version(tls, TLS1_3_VERSION);
  SSL_CTX_set_session_cache_mode(tls, SSL_SESS_CACHE_OFF);
  SSL_CTX_set1_groups_list(tls, "X25519:P-256");
  SSL_CTX_set_verify(tls, SSL_VERIFY_PEER, nullptr);
  SSL_CTX_set_read_ahead(tls, 1);
  SSL_CTX_set_default_read_buffer_len(tls, 64 * 1024);
  if (SSL_CTX_load_verify_locations(tls, options_.ca.c_str(), nullptr) != 1) die("cannot read " + options_.ca);

  begin_ = Clock::now();
  end_ = begin_ + std::chrono::microseconds(static_cast<long long>(options_.seconds * 1e6));
  const auto give_up = end_ + std::chrono::seconds(30);
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
    if (!parked_.empty() && !over_rate()) {
      Connection* first = parked_.front();
      parked_.erase(parked_.begin());
      first->resume();
    }
    if (Clock::now() > give_up) die("no end after 30 s; the first error: " + totals.first_error);
  }
  const double seconds = std::chrono::duration<double>(Clock::now() - begin_).count();
  std::sort(totals.latencies_us.begin(), totals.latencies_us.end());
  for (char& c : totals.first_error) {
    if (c == '"' || c == '\\' || static_cast<unsigned char>(c) < 32) c = ' ';
  }
  const auto done = totals.latencies_us.size();
  std::printf(
      "{\"requests\":%zu,\"errors\":%lld,\"seconds\":%.4f,\"rps\":%.1f,\"p50_us\":%.0f,\"p99_us\":%.0f,"
      "\"octets\":%lld,\"first_error\":\"%s\"}\n",
      done, totals.errors, seconds, static_cast<double>(done) / seconds, percentile(totals.latencies_us, 0.5),
      percentile(totals.latencies_us, 0.99), totals.octets, totals.first_error.c_str());
  connections.clear();
  SSL_CTX_free(tls);
  return totals.errors == 0 ? 0 : 1;
}

Options parse(int argc, char** argv) {
  Options out;
  for (int i = 1; i < argc; ++i) {
    const std::string_view flag = argv[i];
    if (flag == "--fresh") {
      out.fresh = true;
      continue;
    }
    if (i + 1 == argc) die("a value is missing after " + std::string(flag));
    const std::string value = argv[++i];
    if (flag == "--server")
      out.server = value;
    else if (flag == "--proxy")
      out.proxy = value;
    else if (flag == "--name")
      out.name = value;
    else if (flag == "--ca")
      out.ca = value;
    else if (flag == "--path")
      out.path = value;
    else if (flag == "--size")
      out.size = std::atoll(value.c_str());
    else if (flag == "--connections")
      out.connections = std::atoi(value.c_str());
    else if (flag == "--seconds")
      out.seconds = std::atof(value.c_str());
    else if (flag == "--rate")
      out.rate = std::atof(value.c_str());
    else if (flag == "--max-requests")
      out.max_requests = std::atoll(value.c_str());
    else
      die("unknown flag " + std::string(flag));
  }
  if (out.server.empty() || out.ca.empty() || out.size < 0) die("--server, --ca and --size are needed");
  return out;
}

}  // namespace

int main(int argc, char** argv) { return Driver(parse(argc, argv)).run(); }
