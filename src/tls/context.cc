#include "tls/context.h"

#include <array>

#include "tls/session.h"

namespace sluice::tls {
namespace {

// Four full records with their overhead: one transport read of a bulk transfer (measured: 64 KB pays).
constexpr std::size_t kReadBuffer = 4 * (16 * 1024 + 256);

constexpr const char* kGroups = "X25519:P-256:P-384";
// TLS 1.2: forward secrecy and AEAD first, then what older peers still need. No RC4, 3DES, PSK, anonymous or export.
constexpr const char* kTls12Ciphers =
    "ECDHE+AESGCM:ECDHE+CHACHA20:DHE+AESGCM:DHE+CHACHA20:ECDHE+AES:DHE+AES:kRSA+AESGCM:kRSA+AES:"
    "!aNULL:!eNULL:!MD5:!PSK:!SRP:!DSS:!AESCCM:!CAMELLIA:!ARIA";
// Clients of before 2008 have CBC and SHA-1 only; at security level 0, since their signatures are MD5 with SHA-1.
constexpr const char* kOldCiphers =
    "ECDHE+AES:DHE+AES:kRSA+AES:DHE+CAMELLIA:kRSA+CAMELLIA:3DES:!aNULL:!eNULL:!MD5:!PSK:!SRP:!DSS:!RC4:@SECLEVEL=0";
// Towards old origins: ours first, then theirs.
constexpr const char* kLegacyCiphers =
    "ECDHE+AESGCM:ECDHE+CHACHA20:DHE+AESGCM:DHE+CHACHA20:ECDHE+AES:DHE+AES:kRSA+AES:DHE+CAMELLIA:kRSA+CAMELLIA:3DES:"
    "!aNULL:!eNULL:!MD5:!PSK:!SRP:!DSS:!RC4:!AESCCM:!ARIA:@SECLEVEL=0";
constexpr const char* kTls13Ciphers = "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256";

}  // namespace

Result<std::unique_ptr<KeyLog>> KeyLog::open(const std::string& path) {
  SystemFileSystem files;
  auto file = files.open(path, OpenMode::kAppend);
  if (!file) return fail(std::move(file).error().with_context("opening the TLS key log"));
  return std::unique_ptr<KeyLog>(new KeyLog(*std::move(file)));
}

void KeyLog::attach_to(SSL_CTX* context) {
  SSL_CTX_set_app_data(context, this);
  SSL_CTX_set_keylog_callback(context, on_line);
}

void KeyLog::on_line(const SSL* ssl, const char* line) {
  auto* self = static_cast<KeyLog*>(SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl)));
  const std::array<Bytes, 2> pieces{Bytes(line), Bytes("\n")};
  const std::lock_guard lock(self->mutex_);
  (void)self->file_->append(pieces);  // a full disk must not end a handshake
}

Result<SslCtxPtr> make_context(const SSL_METHOD* method) {
  use_openssl_without_config();
  SslCtxPtr context(SSL_CTX_new(method));
  if (!context) return fail(Code::kInternal, "making a TLS context: " + take_openssl_error());
  SSL_CTX* raw = context.get();
  // Auto-retry: a ticket between two records must not look like the end of what is at hand.
  SSL_CTX_set_mode(raw, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_NO_AUTO_CHAIN |
                            SSL_MODE_AUTO_RETRY);
  // An end without close_notify is told apart by the BIO; it must not kill our direction with an alert.
  SSL_CTX_set_options(raw, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_IGNORE_UNEXPECTED_EOF);
  SSL_CTX_set_read_ahead(raw, 1);
  SSL_CTX_set_default_read_buffer_len(raw, kReadBuffer);
  const bool ok = SSL_CTX_set_min_proto_version(raw, TLS1_2_VERSION) == 1 &&
                  SSL_CTX_set1_groups_list(raw, kGroups) == 1 && SSL_CTX_set_cipher_list(raw, kTls12Ciphers) == 1 &&
                  SSL_CTX_set_ciphersuites(raw, kTls13Ciphers) == 1;
  if (!ok) return fail(Code::kInternal, "setting up a TLS context: " + take_openssl_error());
  return context;
}

Status admit_old_versions(SSL_CTX* context, int minimum) {
  // No maximum: TLS_FALLBACK_SCSV (RFC 7507) must go on catching clients that were made to try an old version.
  const bool ok = SSL_CTX_set_min_proto_version(context, minimum) == 1 &&
                  SSL_CTX_set_cipher_list(context, kOldCiphers) == 1 && SSL_CTX_set_dh_auto(context, 1) == 1;
  if (!ok) return fail(Code::kInternal, "setting up TLS for old clients: " + take_openssl_error());
  return {};
}

bool admit_origin(SSL* ssl, Version minimum, bool legacy) {
  if (minimum != Version::k1_2 && SSL_set_min_proto_version(ssl, static_cast<int>(minimum)) != 1) return false;
  if (legacy) {
    SSL_clear_options(ssl, SSL_OP_NO_RENEGOTIATION);
    SSL_set_options(ssl, SSL_OP_LEGACY_SERVER_CONNECT | SSL_OP_ALLOW_UNSAFE_LEGACY_RENEGOTIATION);
  }
  // Signatures of TLS 1.0 and 1.1 are MD5 with SHA-1, which higher levels refuse.
  return (!legacy && minimum >= Version::k1_2) || SSL_set_cipher_list(ssl, kLegacyCiphers) == 1;
}

}  // namespace sluice::tls
