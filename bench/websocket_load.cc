// The WebSocket driver: messages of one size go out masked, `--window` of them under way on each connection, and what
// comes back is compared octet by octet. Latency is that of the echo.
//
//   sluice_load websocket --server HOST:PORT [--proxy HOST:PORT] --name NAME --ca FILE --size 64 --connections 16
//                         --window 4 --seconds 5 [--rate N] [--max-requests N] [--hold]
//
// --hold: one message on each connection, then a line of JSON; the connections idle until standard input ends, and one
// that ends before that is an error.
#include <sys/epoll.h>
#include <unistd.h>

#include <algorithm>
#include <deque>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "driver.h"
#include "websocket_frames.h"

namespace bench {
namespace {

constexpr int kOpeningAtOnce = 64;  // with --hold: a handshake takes its time, and listeners' queues are short

class Sockets;

class Socket {
 public:
  Socket(Sockets& driver, SSL_CTX* tls);
  void open();
  void step();
  void start_messages();  // as the window and the pace allow
  void say_close();
  bool has_room() const;
  bool is_over = false;

 private:
  enum class State { kOpening, kAsk, kAnswer, kOpen };
  Progress advance();
  Progress ask();
  Progress read_answer();
  Progress write();
  Progress read();
  Progress take_frames();
  void add_message();
  void over();

  Sockets& driver_;
  TlsClient tls_;
  State state_ = State::kOpening;
  std::string out_, in_;
  std::size_t sent_ = 0;
  std::deque<Clock::time_point> under_way_;
  bool closing_ = false, write_blocked_ = false;
};

class Sockets {
 public:
  explicit Sockets(const Options& options) : options_(options), pace_(options) {
    request_ = "GET " + options.path + " HTTP/1.1\r\nHost: " + authority_of(options) +
               "\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
               "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    for (long long i = 0; i < options.size; ++i) payload_.push_back(static_cast<char>(i * 7 + i / 251));
    epoll_ = epoll_create1(EPOLL_CLOEXEC);
    buffer_.resize(256 * 1024);
  }
  int run();

  const Options& options_;
  Pace pace_;
  std::string request_, payload_;
  std::vector<char> buffer_;
  std::minstd_rand masks_{20'250'101};
  int epoll_ = -1;
  int open_ = 0, over_ = 0, idle_ = 0;  // idle_: have had their echo, with --hold
  Totals totals;

 private:
  void turn(int patience_ms);
  void wait_for_end_of_input();
  std::vector<std::unique_ptr<Socket>> sockets_;
  std::vector<epoll_event> events_ = std::vector<epoll_event>(256);
};

Socket::Socket(Sockets& driver, SSL_CTX* tls) : driver_(driver), tls_(driver.options_, tls) {}

void Socket::open() { tls_.start(driver_.epoll_, this); }

void Socket::over() {
  tls_.close();
  if (is_over) return;
  is_over = true;
  ++driver_.over_;
}

void Socket::step() {
  while (tls_.has_socket()) {
    const Progress progress = advance();
    if (progress == Progress::kBlocked) return;
    if (progress == Progress::kFailed) {
      driver_.totals.failed(tls_.why());
      return over();
    }
  }
}

Progress Socket::advance() {
  switch (state_) {
    case State::kOpening: {
      const Progress progress = tls_.advance();
      if (tls_.is_open()) state_ = State::kAsk;
      return progress;
    }
    case State::kAsk:
      return ask();
    case State::kAnswer:
      return read_answer();
    case State::kOpen:
      break;
  }
  write_blocked_ = false;  // epoll says both at once
  if (const Progress written = write(); written == Progress::kFailed) return written;
  return read();
}

Progress Socket::ask() {
  const std::string& request = driver_.request_;
  const int result = SSL_write(tls_.ssl(), request.data(), static_cast<int>(request.size()));
  if (result <= 0) return tls_.blocked(result, "send");
  state_ = State::kAnswer;
  return Progress::kGoOn;
}

Progress Socket::read_answer() {
  const int n = SSL_read(tls_.ssl(), driver_.buffer_.data(), static_cast<int>(driver_.buffer_.size()));
  if (n <= 0) return tls_.blocked(n, "answer");
  in_.append(driver_.buffer_.data(), static_cast<std::size_t>(n));
  const auto end = in_.find("\r\n\r\n");
  if (end == std::string::npos) return Progress::kGoOn;
  if (in_.compare(0, 12, "HTTP/1.1 101") != 0) return tls_.fail("answer: " + in_.substr(0, in_.find('\r')));
  in_.erase(0, end + 4);
  state_ = State::kOpen;
  ++driver_.open_;
  start_messages();
  return tls_.has_socket() ? Progress::kGoOn : Progress::kBlocked;
}

bool Socket::has_room() const {
  return state_ == State::kOpen && !closing_ && !is_over &&
         under_way_.size() < static_cast<std::size_t>(driver_.options_.window);
}

void Socket::add_message() {
  ++driver_.totals.started;
  under_way_.push_back(Clock::now());
  const std::uint32_t random = static_cast<std::uint32_t>(driver_.masks_()) | 1;
  const auto* mask = reinterpret_cast<const std::uint8_t*>(&random);
  add_frame_head(out_, kBinary, driver_.payload_.size(), mask);
  const std::size_t at = out_.size();
  out_ += driver_.payload_;
  apply_mask(out_.data() + at, driver_.payload_.size(), mask, 0);
}

void Socket::start_messages() {
  if (state_ != State::kOpen || is_over) return;
  if (driver_.options_.hold) {
    add_message();  // the only one
  } else {
    while (has_room() && driver_.pace_.may_start(driver_.totals) && !driver_.pace_.over_rate(driver_.totals))
      add_message();
    if (under_way_.empty() && !closing_ && !driver_.pace_.may_start(driver_.totals)) return say_close();
  }
  if (write() == Progress::kFailed) {
    driver_.totals.failed(tls_.why());
    over();
  }
}

void Socket::say_close() {
  if (state_ != State::kOpen || closing_ || is_over) return;
  closing_ = true;
  const std::uint8_t mask[4] = {};
  add_frame_head(out_, kClose, 2, mask);
  out_ += "\x03\xe8";  // 1000
  if (write() == Progress::kFailed) over();
}

Progress Socket::write() {
  while (!write_blocked_ && sent_ < out_.size()) {
    const int n = SSL_write(tls_.ssl(), out_.data() + sent_, static_cast<int>(out_.size() - sent_));
    if (n <= 0) {
      const Progress progress = tls_.blocked(n, "send");
      write_blocked_ = progress == Progress::kBlocked;
      return progress;
    }
    sent_ += static_cast<std::size_t>(n);
  }
  if (sent_ == out_.size()) {
    out_.clear();
    sent_ = 0;
  }
  return Progress::kGoOn;
}

Progress Socket::read() {
  const int n = SSL_read(tls_.ssl(), driver_.buffer_.data(), static_cast<int>(driver_.buffer_.size()));
  if (n <= 0) return tls_.blocked(n, "read");
  driver_.totals.octets += n;
  in_.append(driver_.buffer_.data(), static_cast<std::size_t>(n));
  return take_frames();
}

Progress Socket::take_frames() {
  std::size_t at = 0;
  while (!is_over) {
    const FrameHead head = read_frame_head(in_.data() + at, in_.size() - at);
    if (head.size == 0 || in_.size() - at - head.size < head.length) break;
    if (head.opcode == kClose && closing_) {
      SSL_shutdown(tls_.ssl());
      over();
      return Progress::kBlocked;
    }
    if (head.opcode != kBinary || under_way_.empty()) return tls_.fail("a frame that nobody waits for");
    if (in_.compare(at + head.size, head.length, driver_.payload_) != 0) return tls_.fail("not what was sent");
    at += head.size + head.length;
    driver_.totals.done(under_way_.front());
    under_way_.pop_front();
    if (driver_.options_.hold) ++driver_.idle_;
  }
  in_.erase(0, at);
  if (at > 0 && !driver_.options_.hold && driver_.options_.rate <= 0) start_messages();
  return tls_.has_socket() ? Progress::kGoOn : Progress::kBlocked;
}

void Sockets::turn(int patience_ms) {
  const int n = ::epoll_wait(epoll_, events_.data(), static_cast<int>(events_.size()), patience_ms);
  for (int i = 0; i < n; ++i) static_cast<Socket*>(events_[static_cast<std::size_t>(i)].data.ptr)->step();
}

void Sockets::wait_for_end_of_input() {
  epoll_event event{};
  event.events = EPOLLIN;
  const int inputs = epoll_create1(EPOLL_CLOEXEC);
  event.data.fd = STDIN_FILENO;
  if (::epoll_ctl(inputs, EPOLL_CTL_ADD, STDIN_FILENO, &event) != 0) die("--hold: standard input must be a pipe");
  const long long before = over_;
  for (epoll_event got{};; turn(10)) {
    char octet;
    if (::epoll_wait(inputs, &got, 1, 0) == 1 && ::read(STDIN_FILENO, &octet, 1) <= 0) break;
  }
  if (over_ > before) totals.failed(std::to_string(over_ - before) + " connections ended while they idled");
  ::close(inputs);
}

int Sockets::run() {
  SSL_CTX* tls = client_context(options_.ca);
  SSL_CTX_set_mode(tls, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                            (options_.hold ? SSL_MODE_RELEASE_BUFFERS : 0));
  const int wanted = options_.connections;
  const int at_once = options_.hold ? kOpeningAtOnce : wanted;
  const auto give_up = pace_.end + std::chrono::seconds(60);
  const auto all_over = [&] { return over_ == wanted || (options_.hold && idle_ + over_ == wanted); };
  std::size_t first = 0;
  while (!all_over()) {
    while (static_cast<int>(sockets_.size()) < wanted &&
           static_cast<int>(sockets_.size()) - (options_.hold ? idle_ : open_) - over_ < at_once) {
      sockets_.push_back(std::make_unique<Socket>(*this, tls));
      sockets_.back()->open();
    }
    turn(options_.rate > 0 ? 1 : 100);
    const bool at_end = Clock::now() >= pace_.end;
    if ((options_.rate > 0 || at_end) && !options_.hold) {
      ++first;  // who goes first takes what the rate allows
      for (std::size_t i = 0; i < sockets_.size(); ++i) {
        Socket& socket = *sockets_[(first + i) % sockets_.size()];
        if (at_end || socket.has_room()) socket.start_messages();
      }
    }
    if (Clock::now() > give_up) die("no end after 60 s; the first error: " + totals.first_error);
  }
  const auto print = [&] { return totals.print(std::chrono::duration<double>(Clock::now() - pace_.begin).count()); };
  int code = print();
  if (options_.hold) {
    wait_for_end_of_input();
    for (const auto& socket : sockets_) socket->say_close();
    const auto patience = Clock::now() + std::chrono::seconds(20);
    while (over_ < wanted && Clock::now() < patience) turn(10);
    code = print();
  }
  sockets_.clear();
  SSL_CTX_free(tls);
  return code;
}

}  // namespace

int run_websockets(const Options& options) { return Sockets(options).run(); }

}  // namespace bench
