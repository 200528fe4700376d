#include "driver.h"

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string_view>

namespace bench {
namespace {

double percentile(const std::vector<std::uint32_t>& sorted, double share) {
  if (sorted.empty()) return 0;
  return sorted[static_cast<std::size_t>(share * static_cast<double>(sorted.size() - 1))];
}

}  // namespace

void die(const std::string& why) {
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

std::string authority_of(const Options& options) {
  return options.name + options.server.substr(options.server.rfind(':'));
}

SSL_CTX* client_context(const std::string& ca) {
  SSL_CTX* tls = SSL_CTX_new(TLS_client_method());
  SSL_CTX_set_min_proto_version(tls, TLS1_3_VERSION);
  SSL_CTX_set_session_cache_mode(tls, SSL_SESS_CACHE_OFF);
  SSL_CTX_set1_groups_list(tls, "X25519:P-256");
  SSL_CTX_set_verify(tls, SSL_VERIFY_PEER, nullptr);
  SSL_CTX_set_read_ahead(tls, 1);
  SSL_CTX_set_default_read_buffer_len(tls, 64 * 1024);
  if (SSL_CTX_load_verify_locations(tls, ca.c_str(), nullptr) != 1) die("cannot read " + ca);
  return tls;
}

// --- what is counted ---

void Totals::done(Clock::time_point started_at) {
  const auto taken = std::chrono::duration_cast<std::chrono::microseconds>(Clock::now() - started_at).count();
  latencies_us.push_back(static_cast<std::uint32_t>(std::min<long long>(taken, UINT32_MAX)));
}

void Totals::failed(std::string why) {
  ++errors;
  if (first_error.empty()) first_error = std::move(why);
  if (errors > 1000) die("more than 1,000 errors; the first: " + first_error);
}

int Totals::print(double seconds) {
  std::sort(latencies_us.begin(), latencies_us.end());
  for (char& c : first_error) {
    if (c == '"' || c == '\\' || static_cast<unsigned char>(c) < 32) c = ' ';
  }
  const auto count = latencies_us.size();
  std::printf(
      "{\"requests\":%zu,\"errors\":%lld,\"seconds\":%.4f,\"rps\":%.1f,\"p50_us\":%.0f,\"p99_us\":%.0f,"
      "\"octets\":%lld,\"first_error\":\"%s\"}\n",
      count, errors, seconds, static_cast<double>(count) / seconds, percentile(latencies_us, 0.5),
      percentile(latencies_us, 0.99), octets, first_error.c_str());
  std::fflush(stdout);
  return errors == 0 ? 0 : 1;
}

Pace::Pace(const Options& options)
    : rate(options.rate),
      most(options.max_requests),
      begin(Clock::now()),
      end(begin + std::chrono::microseconds(static_cast<long long>(options.seconds * 1e6))) {}

bool Pace::may_start(const Totals& totals) const { return Clock::now() < end && (most < 0 || totals.started < most); }

bool Pace::over_rate(const Totals& totals) const {
  if (rate <= 0) return false;
  const double elapsed = std::chrono::duration<double>(Clock::now() - begin).count();
  return static_cast<double>(totals.started) > rate * elapsed;
}

// --- a connection ---

TlsClient::TlsClient(const Options& options, SSL_CTX* context)
    : options_(options),
      context_(context),
      target_(address_of(options.proxy.empty() ? options.server : options.proxy)) {}

void TlsClient::close() {
  if (ssl_) SSL_free(ssl_);
  ssl_ = nullptr;
  if (fd_ >= 0) ::close(fd_);
  fd_ = -1;
}

void TlsClient::start(int epoll, void* tag) {
  close();
  fd_ = ::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd_ < 0) die("socket: " + std::string(std::strerror(errno)));
  const int one = 1;
  ::setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  state_ = State::kConnecting;
  if (::connect(fd_, reinterpret_cast<const sockaddr*>(&target_), sizeof target_) != 0 && errno != EINPROGRESS) {
    die("connect: " + std::string(std::strerror(errno)));
  }
  epoll_event event{};
  event.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET;
  event.data.ptr = tag;
  ::epoll_ctl(epoll, EPOLL_CTL_ADD, fd_, &event);
}

Progress TlsClient::fail(std::string why) {
  why_ = std::move(why);
  return Progress::kFailed;
}

Progress TlsClient::advance() {
  switch (state_) {
    case State::kConnecting:
      return check_connected();
    case State::kSendConnect:
      return send_connect();
    case State::kReadConnect:
      return read_connect_answer();
    case State::kHandshake:
      return handshake();
    case State::kOpen:
      return Progress::kGoOn;
  }
  return Progress::kFailed;
}

Progress TlsClient::check_connected() {
  int error = 0;
  socklen_t length = sizeof error;
  ::getsockopt(fd_, SOL_SOCKET, SO_ERROR, &error, &length);
  if (error != 0) return fail(std::string("connect: ") + std::strerror(error));
  sockaddr_in peer{};
  length = sizeof peer;
  if (::getpeername(fd_, reinterpret_cast<sockaddr*>(&peer), &length) != 0) return Progress::kBlocked;
  state_ = options_.proxy.empty() ? State::kHandshake : State::kSendConnect;
  return Progress::kGoOn;
}

Progress TlsClient::send_connect() {
  const std::string authority = authority_of(options_);
  const std::string text = "CONNECT " + authority + " HTTP/1.1\r\nHost: " + authority + "\r\n\r\n";
  const ssize_t n = ::send(fd_, text.data(), text.size(), MSG_NOSIGNAL);
  if (n < 0 && errno == EAGAIN) return Progress::kBlocked;
  if (n != static_cast<ssize_t>(text.size())) return fail("CONNECT could not be sent");
  head_.clear();
  state_ = State::kReadConnect;
  return Progress::kGoOn;
}

Progress TlsClient::read_connect_answer() {
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
  state_ = State::kHandshake;
  return Progress::kGoOn;
}

Progress TlsClient::blocked(int result, const char* what) {
  const int error = SSL_get_error(ssl_, result);
  if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE) return Progress::kBlocked;
  char text[256] = "closed";
  if (const unsigned long code = ERR_get_error(); code != 0) ERR_error_string_n(code, text, sizeof text);
  ERR_clear_error();
  return fail(std::string(what) + ": " + text);
}

Progress TlsClient::handshake() {
  if (ssl_ == nullptr) {
    ssl_ = SSL_new(context_);
    SSL_set_fd(ssl_, fd_);
    SSL_set_tlsext_host_name(ssl_, options_.name.c_str());
    SSL_set1_host(ssl_, options_.name.c_str());
    SSL_set_connect_state(ssl_);
  }
  const int result = SSL_do_handshake(ssl_);
  if (result != 1) return blocked(result, "handshake");
  state_ = State::kOpen;
  return Progress::kGoOn;
}

// --- the command line ---

Options parse(int argc, char** argv) {
  Options out;
  for (int i = 1; i < argc; ++i) {
    const std::string_view flag = argv[i];
    if (flag == "--fresh" || flag == "--hold" || flag == "--deny") {
      (flag == "--fresh" ? out.fresh : flag == "--hold" ? out.hold : out.deny) = true;
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
    else if (flag == "--certificate")
      out.certificate = value;
    else if (flag == "--key")
      out.key = value;
    else if (flag == "--token")
      out.token = value;
    else if (flag == "--tool")
      out.tool = value;
    else if (flag == "--arguments")
      out.arguments = value;
    else if (flag == "--tools")
      out.tools = std::atoi(value.c_str());
    else if (flag == "--lists")
      out.lists = std::atoi(value.c_str());
    else if (flag == "--size")
      out.size = std::atoll(value.c_str());
    else if (flag == "--connections")
      out.connections = std::atoi(value.c_str());
    else if (flag == "--window")
      out.window = std::atoi(value.c_str());
    else if (flag == "--seconds")
      out.seconds = std::atof(value.c_str());
    else if (flag == "--rate")
      out.rate = std::atof(value.c_str());
    else if (flag == "--max-requests")
      out.max_requests = std::atoll(value.c_str());
    else
      die("unknown flag " + std::string(flag));
  }
  return out;
}

}  // namespace bench
