// What the drivers of `./dev bench` share: options, one non-blocking way to a TLS server (straight, or by CONNECT
// through a proxy), and the line of JSON that they print. One thread, epoll and OpenSSL; TLS 1.3 only, no session
// resumption, certificates verified.
#pragma once

#include <netinet/in.h>
#include <openssl/ssl.h>

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

namespace bench {

using Clock = std::chrono::steady_clock;

struct Options {
  std::string server, proxy, name = "localhost", ca, path = "/";
  long long size = -1;  // of every answer's body, or of every message
  int connections = 1;
  int window = 1;  // messages under way on each connection
  double seconds = 1;
  double rate = 0;  // requests or messages a second, all connections together; 0: as fast as it goes
  long long max_requests = -1;
  bool fresh = false, hold = false;
  std::string certificate, key;  // of the echo server
  // Of MCP, over plain HTTP.
  std::string token, tool = "echo";                                        // a file; which one is called
  std::string arguments = R"({"text":"a few words that somebody says"})";  // JSON
  int tools = 2, lists = 0;
  bool deny = false;  // every call is refused, and that is no error
};
Options parse(int argc, char** argv);  // flags only; wrong ones end the program

[[noreturn]] void die(const std::string& why);
sockaddr_in address_of(const std::string& text);  // HOST:PORT; HOST is an IPv4 literal
SSL_CTX* client_context(const std::string& ca);

struct Totals {
  std::vector<std::uint32_t> latencies_us;  // of what is done
  long long errors = 0, octets = 0, started = 0;
  std::string first_error;

  void done(Clock::time_point started_at);
  void failed(std::string why);
  int print(double seconds);  // the exit code
};

// Time and rate of a run.
struct Pace {
  explicit Pace(const Options& options);
  bool may_start(const Totals& totals) const;
  bool over_rate(const Totals& totals) const;

  const double rate;
  const long long most;
  Clock::time_point begin, end;
};

enum class Progress { kGoOn, kBlocked, kFailed };

// One TLS connection. Each call of advance() does what can be done without waiting; epoll (edge-triggered) says when
// to go on.
class TlsClient {
 public:
  TlsClient(const Options& options, SSL_CTX* context);
  ~TlsClient() { close(); }
  TlsClient(const TlsClient&) = delete;
  TlsClient& operator=(const TlsClient&) = delete;

  void start(int epoll, void* tag);
  Progress advance();  // until is_open()
  bool is_open() const { return state_ == State::kOpen; }
  bool has_socket() const { return fd_ >= 0; }
  SSL* ssl() { return ssl_; }
  // Of a result of SSL_read() or SSL_write() that is no success.
  Progress blocked(int result, const char* what);
  Progress fail(std::string why);
  const std::string& why() const { return why_; }
  void close();

 private:
  enum class State { kConnecting, kSendConnect, kReadConnect, kHandshake, kOpen };
  Progress check_connected();
  Progress send_connect();
  Progress read_connect_answer();
  Progress handshake();

  const Options& options_;
  SSL_CTX* context_;
  const sockaddr_in target_;
  int fd_ = -1;
  SSL* ssl_ = nullptr;
  State state_ = State::kConnecting;
  std::string head_, why_;
};

// NAME:PORT, for CONNECT and Host.
std::string authority_of(const Options& options);

int run_websockets(const Options& options);
int run_echo(const Options& options);
int run_mcp(const Options& options);
int run_mcp_echo(const Options& options);

}  // namespace bench
