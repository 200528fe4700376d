// The WebSocket origin of `./dev bench`: says every message again, over TLS, until it is killed.
//
//   sluice_load echo --server HOST:PORT --certificate FILE --key FILE
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string>
#include <vector>

#include "driver.h"
#include "guests.h"
#include "websocket_frames.h"

namespace bench {
namespace {

constexpr std::size_t kOutMark = 1 << 20;  // beyond it nothing more is read
constexpr std::size_t kKeptMemory = 4096;  // of a connection that idles

// RFC 6455 §4.2.2.
std::string accept_of(const std::string& key) {
  const std::string text = key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
  unsigned char digest[EVP_MAX_MD_SIZE], encoded[64];
  unsigned size = 0;
  EVP_Digest(text.data(), text.size(), digest, &size, EVP_sha1(), nullptr);
  const int length = EVP_EncodeBlock(encoded, digest, static_cast<int>(size));
  return std::string(reinterpret_cast<char*>(encoded), static_cast<std::size_t>(length));
}

std::string key_of(const std::string& head) {
  std::string lower = head;
  std::transform(lower.begin(), lower.end(), lower.begin(), [](unsigned char c) { return std::tolower(c); });
  const std::string name = "\r\nsec-websocket-key:";
  auto at = lower.find(name);
  if (at == std::string::npos) return "";
  at = head.find_first_not_of(' ', at + name.size());
  return head.substr(at, head.find('\r', at) - at);
}

class Guest {
 public:
  Guest(int fd, SSL_CTX* tls) : fd_(fd), ssl_(SSL_new(tls)) {
    SSL_set_fd(ssl_, fd);
    SSL_set_accept_state(ssl_);
  }
  ~Guest() {
    SSL_free(ssl_);
    ::close(fd_);
  }
  Guest(const Guest&) = delete;
  Guest& operator=(const Guest&) = delete;

  // False: it is over.
  bool step(std::vector<char>& buffer) {
    for (;;) {
      if (!write()) return false;
      if (over_ && out_.empty()) return false;
      if (over_ || out_.size() - sent_ > kOutMark) return true;
      const int n = SSL_read(ssl_, buffer.data(), static_cast<int>(buffer.size()));
      if (n <= 0) return would_block(n) && (spare(), true);
      in_.append(buffer.data(), static_cast<std::size_t>(n));
      if (!(asked_ ? take_frames() : take_request())) return false;
    }
  }

 private:
  bool would_block(int result) {
    const int error = SSL_get_error(ssl_, result);
    ERR_clear_error();
    return error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE;
  }
  void spare() {  // 10,000 of them idle
    if (in_.empty() && in_.capacity() > kKeptMemory) in_.shrink_to_fit();
    if (out_.empty() && out_.capacity() > kKeptMemory) out_.shrink_to_fit();
  }
  bool take_request() {
    const auto end = in_.find("\r\n\r\n");
    if (end == std::string::npos) return in_.size() < 16384;
    const std::string key = key_of(in_.substr(0, end + 2));
    if (key.empty()) return false;
    in_.erase(0, end + 4);
    out_ +=
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Accept: " +
        accept_of(key) + "\r\n\r\n";
    asked_ = true;
    return take_frames();
  }
  bool take_frames() {
    std::size_t at = 0;
    for (;;) {
      const FrameHead head = read_frame_head(in_.data() + at, in_.size() - at);
      if (head.size == 0 || in_.size() - at - head.size < head.length) break;
      if (!head.masked) return false;
      add_frame_head(out_, head.opcode, head.length, nullptr);
      const std::size_t payload = out_.size();
      out_.append(in_, at + head.size, head.length);
      apply_mask(out_.data() + payload, head.length, head.mask, 0);
      at += head.size + head.length;
      if (head.opcode == kClose) over_ = true;
    }
    in_.erase(0, at);
    return true;
  }
  bool write() {
    while (sent_ < out_.size()) {
      const int n = SSL_write(ssl_, out_.data() + sent_, static_cast<int>(out_.size() - sent_));
      if (n <= 0) return would_block(n);
      sent_ += static_cast<std::size_t>(n);
    }
    out_.clear();
    sent_ = 0;
    if (over_) SSL_shutdown(ssl_);
    return true;
  }

  int fd_;
  SSL* ssl_;
  std::string in_, out_;
  std::size_t sent_ = 0;
  bool asked_ = false, over_ = false;
};

}  // namespace

int run_echo(const Options& options) {
  SSL_CTX* tls = SSL_CTX_new(TLS_server_method());
  SSL_CTX_set_min_proto_version(tls, TLS1_3_VERSION);
  SSL_CTX_set_session_cache_mode(tls, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_read_ahead(tls, 1);
  SSL_CTX_set_default_read_buffer_len(tls, 64 * 1024);
  SSL_CTX_set_mode(tls, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_RELEASE_BUFFERS);
  if (SSL_CTX_use_certificate_chain_file(tls, options.certificate.c_str()) != 1) die("cannot read --certificate");
  if (SSL_CTX_use_PrivateKey_file(tls, options.key.c_str(), SSL_FILETYPE_PEM) != 1) die("cannot read --key");
  serve_guests<Guest>(options, 256 * 1024, [&](int fd) { return new Guest(fd, tls); });
}

}  // namespace bench
