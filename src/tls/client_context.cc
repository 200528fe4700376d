// Towards origins: SNI, verification against the system's store and --upstream-ca, tickets, the raw ServerHello.
#include <openssl/err.h>
#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>

#include <array>
#include <mutex>

#include "base/text.h"
#include "base/url.h"
#include "tls/certificate_summary.h"
#include "tls/client_identity.h"
#include "tls/context.h"
#include "tls/more_trust.h"
#include "tls/session_core.h"

namespace sluice::tls {

// A ticket and what its first handshake found out about the origin: a resumed one shows no certificate again.
class Resumption {
 public:
  SslSessionPtr session;
  std::string server_name;
  long verify_error = X509_V_OK;
  CertificateChain chain;
  ClientIdentityPtr identity;  // whom the origin took us for, had it asked
  MoreTrustPtr trust;          // what it was verified by
};

namespace {

constexpr std::size_t kMaxServerName = 255;

class ClientContextImpl;

class ClientSessionImpl final : public SessionCore<ClientSession> {
 public:
  ClientSessionImpl(std::shared_ptr<const ClientContextImpl> context, SslPtr ssl, ByteTransport& transport,
                    const ClientOptions& options)
      : SessionCore(std::move(ssl), transport, Side::kOrigin),
        context_(std::move(context)),
        name_(options.server_name),
        verify_(options.verify),
        identity_(options.identity),
        trust_(options.trust) {}

  Status start(const ClientOptions& options);
  SessionInfo info() const override;
  ResumptionPtr resumption() const override;
  std::string take_server_hello() override { return std::move(server_hello_); }

  static ClientSessionImpl* of(const SSL* ssl) {
    return static_cast<ClientSessionImpl*>(static_cast<SessionCore<ClientSession>*>(SSL_get_app_data(ssl)));
  }
  static int on_verify(int ok, X509_STORE_CTX* store);
  static int on_ticket(SSL* ssl, SSL_SESSION* session);
  static int on_certificate_request(SSL* ssl, void*);
  static void on_message(int writing, int version, int type, const void* data, size_t size, SSL* ssl, void* argument);

 protected:
  void add_facts(FailureFacts& facts) const override;

 private:
  bool set_name(const std::string& name);
  bool set_alpn(const std::vector<std::string>& alpn);
  bool set_resumption(const ResumptionPtr& resume);
  bool was_resumed() const { return resumed_from_ && SSL_session_reused(ssl()) != 0; }
  const CertificateChain& chain() const;

  std::shared_ptr<const ClientContextImpl> context_;  // holds the key log
  std::string name_;
  Verify verify_;
  ClientIdentityPtr identity_;
  MoreTrustPtr trust_;
  bool certificate_asked_ = false;
  ResumptionPtr resumed_from_;
  SslSessionPtr ticket_;
  long verify_error_ = X509_V_OK;  // the first one
  bool verify_ran_ = false;
  X509StackPtr refused_chain_;                     // what was presented, where verification failed
  mutable std::optional<CertificateChain> chain_;  // once it was asked for
  std::string server_hello_;
};

class ClientContextImpl final : public ClientContext, public std::enable_shared_from_this<ClientContextImpl> {
 public:
  ClientContextImpl(std::unique_ptr<KeyLog> key_log, SslCtxPtr context, bool system_store)
      : key_log_(std::move(key_log)), context_(std::move(context)), system_store_(system_store) {}

  void prepare() override {
    std::call_once(prepared_, [this] {
      // A system without a store is no error: then only ca_files are trusted, and the verdicts say so.
      if (system_store_) (void)SSL_CTX_set_default_verify_paths(context_.get());
      ERR_clear_error();
    });
  }

  Result<MoreTrustPtr> trust_also(const PemText& pem) override {
    prepare();
    return MoreTrust::create(SSL_CTX_get_cert_store(context_.get()), system_store_, pem);
  }

  Result<std::unique_ptr<ClientSession>> connect(ByteTransport& transport, const ClientOptions& options) override {
    prepare();
    SslPtr ssl(SSL_new(context_.get()));
    if (!ssl) return fail(Code::kInternal, "preparing TLS towards the origin: " + take_openssl_error());
    auto session = std::make_unique<ClientSessionImpl>(shared_from_this(), std::move(ssl), transport, options);
    SLUICE_CHECK(session->start(options));
    return session;
  }

 private:
  std::unique_ptr<KeyLog> key_log_;
  SslCtxPtr context_;
  const bool system_store_;
  std::once_flag prepared_;
};

bool ClientSessionImpl::set_name(const std::string& name) {
  X509_VERIFY_PARAM* wanted = SSL_get0_param(ssl());
  if (is_ip_literal(name)) return X509_VERIFY_PARAM_set1_ip_asc(wanted, name.c_str()) == 1;
  X509_VERIFY_PARAM_set_hostflags(wanted, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
  return SSL_set_tlsext_host_name(ssl(), name.c_str()) == 1 &&
         X509_VERIFY_PARAM_set1_host(wanted, name.data(), name.size()) == 1;
}

bool ClientSessionImpl::set_alpn(const std::vector<std::string>& alpn) {
  std::string wire;
  for (const std::string& protocol : alpn) {
    if (protocol.empty() || protocol.size() > 255) return false;
    wire += static_cast<char>(protocol.size());
    wire += protocol;
  }
  // This call alone answers 0 for success.
  return wire.empty() || SSL_set_alpn_protos(ssl(), reinterpret_cast<const unsigned char*>(wire.data()),
                                             static_cast<unsigned>(wire.size())) == 0;
}

bool ClientSessionImpl::set_resumption(const ResumptionPtr& resume) {
  // A resumed handshake verifies nothing: another name, or a chain that was only recorded, must not slip in by ticket.
  if (!resume || resume->server_name != name_ || resume->identity != identity_ || resume->trust != trust_) return true;
  if (verify_ == Verify::kRequired && resume->verify_error != X509_V_OK) return true;
  if (SSL_SESSION_is_resumable(resume->session.get()) == 0) return true;
  const SslSessionPtr own(SSL_SESSION_dup(resume->session.get()));  // OpenSSL writes to a session in use
  if (!own || SSL_set_session(ssl(), own.get()) != 1) return false;
  resumed_from_ = resume;
  return true;
}

Status ClientSessionImpl::start(const ClientOptions& options) {
  ERR_clear_error();
  std::string name = name_;
  if (!name.empty() && name.back() == '.') name.pop_back();  // RFC 6066 §3: no trailing dot
  if (name.empty() || name.size() > kMaxServerName || name.find('\0') != std::string::npos) {
    return fail(Code::kInvalid, "TLS towards the origin needs a host name or an IP literal");
  }
  if (!attach() || !set_name(name) || !set_alpn(options.alpn) || !set_resumption(options.resume) ||
      !admit_origin(ssl(), options.minimum, options.legacy) || (trust_ && !trust_->use(ssl()))) {
    return fail(Code::kInternal, "preparing TLS towards the origin: " + take_openssl_error());
  }
  SSL_set_verify(ssl(), SSL_VERIFY_PEER, on_verify);
  SSL_set_msg_callback(ssl(), on_message);
  SSL_set_cert_cb(ssl(), on_certificate_request, nullptr);
  SSL_set_connect_state(ssl());
  return {};
}

int ClientSessionImpl::on_verify(int ok, X509_STORE_CTX* store) {
  auto* ssl = static_cast<SSL*>(X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx()));
  ClientSessionImpl* self = of(ssl);
  self->verify_ran_ = true;
  if (ok == 1) return 1;
  if (self->verify_error_ == X509_V_OK) {
    self->verify_error_ = X509_STORE_CTX_get_error(store);
    if (STACK_OF(X509)* presented = X509_STORE_CTX_get0_untrusted(store)) {
      self->refused_chain_.reset(X509_chain_up_ref(presented));
    }
  }
  return self->verify_ == Verify::kRecordOnly ? 1 : 0;
}

// RFC 8446 §4.3.2. It comes after the origin's own certificate was verified, so that nobody else learns who we are.
int ClientSessionImpl::on_certificate_request(SSL* ssl, void*) {
  ClientSessionImpl* self = of(ssl);
  self->certificate_asked_ = true;
  return self->identity_ && !self->identity_->use(ssl) ? 0 : 1;
}

int ClientSessionImpl::on_ticket(SSL* ssl, SSL_SESSION* session) {
  of(ssl)->ticket_.reset(session);
  return 1;  // the reference is ours now
}

void ClientSessionImpl::on_message(int writing, int, int type, const void* data, size_t size, SSL* ssl, void*) {
  constexpr std::string_view kRetryRandom(  // RFC 8446 §4.1.3: a HelloRetryRequest looks like a ServerHello
      "\xcf\x21\xad\x74\xe5\x9a\x61\x11\xbe\x1d\x8c\x02\x1e\x65\xb8\x91"
      "\xc2\xa2\x11\x16\x7a\xbb\x8c\x5e\x07\x9e\x09\xe2\xc8\xa8\x33\x9c",
      32);
  if (writing != 0 || type != SSL3_RT_HANDSHAKE || size < 38) return;
  const std::string_view message(static_cast<const char*>(data), size);
  if (message[0] != SSL3_MT_SERVER_HELLO || message.substr(6, 32) == kRetryRandom) return;
  of(ssl)->server_hello_.assign(message);
  SSL_set_msg_callback(ssl, nullptr);  // the only message of interest
}

const CertificateChain& ClientSessionImpl::chain() const {
  if (!chain_) {
    const STACK_OF(X509)* presented = refused_chain_ ? refused_chain_.get() : SSL_get_peer_cert_chain(ssl());
    chain_ = was_resumed() ? resumed_from_->chain : CertificateChain(summarise(presented));
  }
  return *chain_;
}

SessionInfo ClientSessionImpl::info() const {
  SessionInfo info = basic_info();
  info.certificate_asked = certificate_asked_;
  info.certificate_given = certificate_asked_ && identity_;
  const bool resumed = was_resumed();
  if (!resumed && !verify_ran_) return info;
  const long error = resumed ? resumed_from_->verify_error : verify_error_;
  info.chain = chain();
  info.verified = error == X509_V_OK;
  info.verdict = error == X509_V_OK ? "ok" : X509_verify_cert_error_string(error);
  return info;
}

void ClientSessionImpl::add_facts(FailureFacts& facts) const {
  facts.certificate_asked = certificate_asked_;
  facts.certificate_given = certificate_asked_ && identity_;
  if (verify_ != Verify::kRequired || verify_error_ == X509_V_OK) return;
  facts.verdict = X509_verify_cert_error_string(verify_error_);
  facts.weak = verify_error_ == X509_V_ERR_EE_KEY_TOO_SMALL || verify_error_ == X509_V_ERR_CA_KEY_TOO_SMALL ||
               verify_error_ == X509_V_ERR_CA_MD_TOO_WEAK;
}

ResumptionPtr ClientSessionImpl::resumption() const {
  if (!ticket_) return nullptr;
  auto made = std::make_shared<Resumption>();
  made->session.reset(SSL_SESSION_dup(ticket_.get()));
  if (!made->session) return nullptr;
  made->server_name = name_;
  made->identity = identity_;
  made->trust = trust_;
  made->verify_error = was_resumed() ? resumed_from_->verify_error : verify_error_;
  made->chain = chain();
  return made;
}

Status load_trust(SSL_CTX* context, const ClientContext::Trust& trust) {
  for (const std::string& file : trust.ca_files) {
    ERR_clear_error();
    if (SSL_CTX_load_verify_file(context, file.c_str()) != 1) {
      return fail(Code::kInvalid, file + ": no PEM certificates could be read: " + take_openssl_error());
    }
  }
  // What a person names with --upstream-ca is trusted as it stands, also an intermediate or the origin's own
  // certificate; the system's store holds roots only.
  X509_VERIFY_PARAM_set_flags(SSL_CTX_get0_param(context), X509_V_FLAG_PARTIAL_CHAIN | X509_V_FLAG_TRUSTED_FIRST);
  return {};
}

}  // namespace

Result<std::shared_ptr<ClientContext>> ClientContext::create(const Trust& trust, const std::string& key_log) {
  SLUICE_TRY(SslCtxPtr context, make_context(TLS_client_method()));
  SLUICE_CHECK(load_trust(context.get(), trust));
  SSL_CTX_set_session_cache_mode(context.get(), SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
  SSL_CTX_sess_set_new_cb(context.get(), ClientSessionImpl::on_ticket);
  std::unique_ptr<KeyLog> log;
  if (!key_log.empty()) {
    SLUICE_TRY(log, KeyLog::open(key_log));
    log->attach_to(context.get());
  }
  return std::make_shared<ClientContextImpl>(std::move(log), std::move(context), trust.system_store);
}

}  // namespace sluice::tls
