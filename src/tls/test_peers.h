// For tests: two byte transports in memory, joined, that slice, stall and cut on demand; and a bare OpenSSL peer that
// does what Sluice's own sessions never do (TLS 1.2 only, other trust, ends without close_notify).
#pragma once

#include <algorithm>
#include <memory>
#include <string>

#include "tls/openssl.h"
#include "tls/transport.h"

namespace sluice::tls {

struct PipeOptions {
  std::size_t read_slice = 1 << 20;  // octets of one read or write at most
  std::size_t write_slice = 1 << 20;
  std::size_t capacity = 1 << 20;  // octets on the way before write() would block
  bool stutter = false;            // every other call would block
};

class Pipe {
 public:
  explicit Pipe(PipeOptions options = {}) : a_(*this, 0, 1, options), b_(*this, 1, 0, options) {}

  class End final : public ByteTransport {
   public:
    End(Pipe& pipe, int in, int out, PipeOptions options) : pipe_(pipe), in_(in), out_(out), options_(options) {}

    IoResult read(MutableBytes out) override {
      if ((++reads & 1) != 0 && options_.stutter) return {IoStatus::kWouldBlock, 0};
      if (broken) return {IoStatus::kError, 0};
      std::string& from = pipe_.way_[in_];
      if (from.empty()) return {pipe_.ended_[in_] ? IoStatus::kEof : IoStatus::kWouldBlock, 0};
      const std::size_t count = std::min({out.size(), from.size(), options_.read_slice});
      std::copy_n(from.begin(), count, out.begin());
      from.erase(0, count);
      return {IoStatus::kOk, count};
    }
    IoResult write(Bytes octets) override {
      if ((++writes & 1) != 0 && options_.stutter) return {IoStatus::kWouldBlock, 0};
      if (broken || pipe_.ended_[out_]) return {IoStatus::kError, 0};
      std::string& to = pipe_.way_[out_];
      const std::size_t room = options_.capacity - std::min(options_.capacity, to.size());
      const std::size_t count = std::min({octets.size(), options_.write_slice, room});
      if (count == 0) return {IoStatus::kWouldBlock, 0};
      to.append(octets.substr(0, count));
      return {IoStatus::kOk, count};
    }
    void close_write() override { pipe_.ended_[out_] = true; }
    std::string error_text() const override { return "connection reset"; }
    std::string& incoming() { return pipe_.way_[in_]; }

    int reads = 0, writes = 0;
    bool broken = false;

   private:
    Pipe& pipe_;
    int in_, out_;
    PipeOptions options_;
  };

  End& a() { return a_; }
  End& b() { return b_; }

 private:
  friend class End;
  std::string way_[2];
  bool ended_[2] = {false, false};
  End a_, b_;
};

// A bare SSL over two memory BIOs; pump() carries octets between them and its end of the pipe.
class RawPeer {
 public:
  RawPeer(ByteTransport& transport, const SSL_METHOD* method) : transport_(transport), context_(SSL_CTX_new(method)) {
    SSL_CTX_set_options(context_.get(), SSL_OP_IGNORE_UNEXPECTED_EOF);
  }
  SSL_CTX* context() { return context_.get(); }
  SSL* ssl() {
    if (!ssl_) {
      ssl_.reset(SSL_new(context_.get()));
      SSL_set_bio(ssl_.get(), BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
    }
    return ssl_.get();
  }
  void pump() {
    char space[4096];
    for (IoResult got; (got = transport_.read(space)).status == IoStatus::kOk;) {
      BIO_write(SSL_get_rbio(ssl()), space, static_cast<int>(got.count));
    }
    send();
  }
  void send() {
    char space[4096];
    for (int got; (got = BIO_read(SSL_get_wbio(ssl()), space, sizeof space)) > 0;) {
      for (Bytes left(space, static_cast<std::size_t>(got)); !left.empty();)
        left.remove_prefix(transport_.write(left).count);
    }
  }

 private:
  ByteTransport& transport_;
  SslCtxPtr context_;
  SslPtr ssl_;
};

}  // namespace sluice::tls
