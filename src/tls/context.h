// Private to tls: the SSL_CTX settings that both sides share, and the key log.
#pragma once

#include <memory>
#include <mutex>
#include <string>

#include "base/file.h"
#include "base/result.h"
#include "tls/openssl.h"
#include "tls/session.h"

namespace sluice::tls {

// NSS key log (SSLKEYLOGFILE): one line for each secret, appended whole; 0600. Thread-safe.
class KeyLog {
 public:
  static Result<std::unique_ptr<KeyLog>> open(const std::string& path);
  void attach_to(SSL_CTX* context);

 private:
  explicit KeyLog(std::unique_ptr<File> file) : file_(std::move(file)) {}
  static void on_line(const SSL* ssl, const char* line);

  std::mutex mutex_;
  std::unique_ptr<File> file_;
};

// A context for `method` with what engine.md 3 asks of both sides; TLS 1.2 at least.
Result<SslCtxPtr> make_context(const SSL_METHOD* method);
// Opens a server's context for what came before TLS 1.2.
Status admit_old_versions(SSL_CTX* context, int minimum);
// What an origin must speak at least, and whether weak and old ways are taken (ClientOptions). False: no memory.
bool admit_origin(SSL* ssl, Version minimum, bool legacy);

}  // namespace sluice::tls
