// Towards clients: our leaf, the one ALPN protocol that was chosen, tickets bound to a scope.
#include <openssl/err.h>
#include <openssl/sha.h>

#include "tls/context.h"
#include "tls/session_core.h"

namespace sluice::tls {
namespace {

class ServerContextImpl;

class ServerSession final : public SessionCore<Session> {
 public:
  ServerSession(std::shared_ptr<const ServerContextImpl> context, SslPtr ssl, ByteTransport& transport,
                std::string_view alpn)
      : SessionCore(std::move(ssl), transport, Side::kClient), context_(std::move(context)), alpn_(alpn) {}

  SessionInfo info() const override { return basic_info(); }
  Status start(const Leaf& leaf, std::string_view resumption_scope);
  const std::string& alpn() const { return alpn_; }

 private:
  std::shared_ptr<const ServerContextImpl> context_;  // holds the key log
  std::string alpn_;
};

class ServerContextImpl final : public ServerContext, public std::enable_shared_from_this<ServerContextImpl> {
 public:
  // `old`: for clients that offer nothing above TLS 1.1; null: they are told that this is not enough.
  ServerContextImpl(std::unique_ptr<KeyLog> key_log, SslCtxPtr context, SslCtxPtr old)
      : key_log_(std::move(key_log)), context_(std::move(context)), old_(std::move(old)) {}

  Result<std::unique_ptr<Session>> accept(ByteTransport& transport, LeafPtr leaf, std::string_view alpn,
                                          std::string_view resumption_scope, std::uint16_t offered) override;

 private:
  std::unique_ptr<KeyLog> key_log_;
  SslCtxPtr context_, old_;
};

int choose_alpn(SSL* ssl, const unsigned char** out, unsigned char* out_size, const unsigned char* offered,
                unsigned offered_size, void*) {
  const auto& wanted = static_cast<ServerSession*>(static_cast<SessionCore<Session>*>(SSL_get_app_data(ssl)))->alpn();
  for (unsigned at = 0; !wanted.empty() && at < offered_size; at += 1u + offered[at]) {
    const unsigned size = offered[at];
    if (size > offered_size - at - 1) break;
    if (std::string_view(reinterpret_cast<const char*>(offered + at + 1), size) != wanted) continue;
    *out = offered + at + 1;
    *out_size = static_cast<unsigned char>(size);
    return SSL_TLSEXT_ERR_OK;
  }
  return SSL_TLSEXT_ERR_NOACK;
}

Status ServerSession::start(const Leaf& leaf, std::string_view resumption_scope) {
  ERR_clear_error();
  // A ticket carries this value; another value makes OpenSSL ignore the ticket. Hashed: 32 octets is its limit.
  unsigned char scope[SHA256_DIGEST_LENGTH];
  SHA256(reinterpret_cast<const unsigned char*>(resumption_scope.data()), resumption_scope.size(), scope);
  const bool ok = attach() && SSL_use_certificate(ssl(), leaf.certificate()) == 1 &&
                  SSL_use_PrivateKey(ssl(), leaf.key()) == 1 &&
                  // The CA too: Chromium's SPKI list and pinning by the CA's key look at what is presented.
                  (leaf.issuer() == nullptr || SSL_add1_chain_cert(ssl(), leaf.issuer()) == 1) &&
                  SSL_set_session_id_context(ssl(), scope, sizeof scope) == 1;
  if (!ok) return fail(Code::kInternal, "preparing TLS towards the client: " + take_openssl_error());
  SSL_set_accept_state(ssl());
  return {};
}

Result<std::unique_ptr<Session>> ServerContextImpl::accept(ByteTransport& transport, LeafPtr leaf,
                                                           std::string_view alpn, std::string_view resumption_scope,
                                                           std::uint16_t offered) {
  if (!leaf) return fail(Code::kInternal, "TLS towards the client needs a certificate");
  SslPtr ssl(SSL_new(old_ && offered < TLS1_2_VERSION ? old_.get() : context_.get()));
  if (!ssl) return fail(Code::kInternal, "preparing TLS towards the client: " + take_openssl_error());
  auto session = std::make_unique<ServerSession>(shared_from_this(), std::move(ssl), transport, alpn);
  SLUICE_CHECK(session->start(*leaf, resumption_scope));
  return session;
}

Result<SslCtxPtr> make_server_context(KeyLog* log) {
  SLUICE_TRY(SslCtxPtr context, make_context(TLS_server_method()));
  SSL_CTX_set_session_cache_mode(context.get(), SSL_SESS_CACHE_OFF);  // tickets only: nothing is kept here
  SSL_CTX_set_num_tickets(context.get(), 1);
  SSL_CTX_set_max_early_data(context.get(), 0);
  SSL_CTX_set_alpn_select_cb(context.get(), choose_alpn, nullptr);
  // Clients of TLS 1.2 without signature_algorithms mean SHA-1 (RFC 5246 §7.4.1.4.1), which higher levels refuse.
  SSL_CTX_set_security_level(context.get(), 0);
  if (log) log->attach_to(context.get());
  return context;
}

}  // namespace

Result<std::shared_ptr<ServerContext>> ServerContext::create(const std::string& key_log, Version minimum) {
  std::unique_ptr<KeyLog> log;
  if (!key_log.empty()) {
    SLUICE_TRY(log, KeyLog::open(key_log));
  }
  SLUICE_TRY(SslCtxPtr context, make_server_context(log.get()));
  SslCtxPtr old;
  if (minimum < Version::k1_2) {
    SLUICE_TRY(old, make_server_context(log.get()));
    SLUICE_CHECK(admit_old_versions(old.get(), static_cast<int>(minimum)));
  } else if (SSL_CTX_set_min_proto_version(context.get(), static_cast<int>(minimum)) != 1) {
    return fail(Code::kInternal, "setting up TLS towards clients: " + take_openssl_error());
  }
  return std::make_shared<ServerContextImpl>(std::move(log), std::move(context), std::move(old));
}

}  // namespace sluice::tls
