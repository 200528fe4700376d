// TLS over a ByteTransport: OpenSSL driven through an own BIO, without sockets or memory BIOs. The BIO receives
// straight into OpenSSL's record buffer (read_ahead) and remembers a short read, so that there is no read that only
// says "would block" (measured: 1.3 to 2 µs of 17 per request). SSL_MODE_RELEASE_BUFFERS, one ticket, X25519 first,
// no early data, openssl.cnf not read (engine.md 3).
//
// A Session is itself a ByteTransport. Call handshake() until it says kDone; on kWouldBlock wait for what
// handshake_waits_for() names at the bottom transport. The bottom transport must outlive the session.
// One write() takes up to 128 KiB and makes one transport write of it; what the transport does not take stays pending
// (transport.h). read() fills `out` with all records at hand. After kError on write(), what came before can still be
// read. Towards TLS 1.3 clients the ticket leaves with the first write() or flush(), which saves a transport write.
// Contexts are thread-safe and shared; a Session belongs to one thread.
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/result.h"
#include "tls/authority.h"
#include "tls/transport.h"

namespace sluice::tls {

// OpenSSL reads the system's openssl.cnf unless the first use in the process forbids it. Everything here calls this
// first; a program that uses OpenSSL elsewhere (digests) calls it at the top of main().
void use_openssl_without_config();

constexpr ByteCount kMostPem = 256 * kKiB;  // of a file with certificates or a key

enum class HandshakeStep { kDone, kWouldBlock, kFailed };

struct CertificateSummary {
  std::string subject, issuer;  // RFC 2253 style one-liners
  std::string serial_hex;
  std::int64_t not_before_ms = 0, not_after_ms = 0;
  std::vector<std::string> sans;  // "DNS:…", "IP:…"
  std::string sha256;             // lower-case hex of the DER
  bool operator==(const CertificateSummary&) const = default;
};

// Of what a peer presented, the leaf first. Copies share them: thousands of connections may lead to one origin.
class CertificateChain {
 public:
  CertificateChain() = default;
  CertificateChain(std::vector<CertificateSummary> all)
      : all_(std::make_shared<const std::vector<CertificateSummary>>(std::move(all))) {}
  bool empty() const { return size() == 0; }
  std::size_t size() const { return all_ ? all_->size() : 0; }
  const CertificateSummary* begin() const { return all_ ? all_->data() : nullptr; }
  const CertificateSummary* end() const { return begin() + size(); }
  const CertificateSummary& operator[](std::size_t at) const { return (*all_)[at]; }  // at < size()
  bool operator==(const CertificateChain& other) const {
    return all_ == other.all_ || std::equal(begin(), end(), other.begin(), other.end());
  }

 private:
  std::shared_ptr<const std::vector<CertificateSummary>> all_;
};

// What a finished (or failed) handshake was.
struct SessionInfo {
  std::string protocol;  // "TLSv1.3"
  std::string cipher;    // IANA name
  std::string alpn;      // chosen; empty if none
  bool resumed = false;
  // client side of Sluice towards an origin only:
  CertificateChain chain;
  bool verified = false;
  std::string verdict;  // "ok", or the verifier's words: "self-signed certificate", "hostname mismatch", …
  bool is_untrusted() const { return !verified && !verdict.empty() && verdict != "ok"; }
  bool certificate_asked = false;  // the origin asked for a client certificate
  bool certificate_given = false;  // ... and there was one (ClientOptions::identity)
};

// Why a handshake failed, in words for a person, and by which side.
struct HandshakeFailure {
  std::string alert;  // "certificate_unknown", "unknown_ca", …; empty if no alert
  bool alert_from_peer = false;
  bool closed_after_certificate = false;  // the client left, without an alert, when it had seen our certificate
  // What of ClientOptions may help against an origin's failure.
  enum class Remedy { kNone, kOlderVersions, kLegacy };
  Remedy remedy = Remedy::kNone;
  std::string text;  // "the client does not trust Sluice's CA (alert unknown_ca): install it, see http://sluice.setup/"
};

class Session : public ByteTransport {
 public:
  virtual HandshakeStep handshake() = 0;
  virtual WaitFor handshake_waits_for() const = 0;
  // After the handshake: there is a record of which the rest has not come, or one that nobody has read yet.
  virtual bool has_partial_record() const = 0;
  virtual SessionInfo info() const = 0;
  // Filled when handshake() said kFailed; also when the peer's alert ended an established session: in TLS 1.3 a refused
  // certificate may be heard of only then.
  virtual const HandshakeFailure& failure() const = 0;
};

enum class Version : std::uint16_t { k1_0 = 0x0301, k1_1 = 0x0302, k1_2 = 0x0303, k1_3 = 0x0304 };

// --- towards clients ---
class ServerContext {
 public:
  // `key_log` (may be empty): append NSS key log lines to this file (SSLKEYLOGFILE). `minimum`: what a client must
  // speak at least. Below TLS 1.2, clients that offer nothing better get a context of their own with the suites of
  // their time; nothing changes for the others.
  static Result<std::shared_ptr<ServerContext>> create(const std::string& key_log, Version minimum = Version::k1_2);
  virtual ~ServerContext() = default;
  // `alpn` is the one protocol to choose, or empty for none. The leaf was chosen by our own reading of the hello.
  // `resumption_scope` binds tickets: a ticket made under another scope is ignored (SNI and CA: engine.md 3).
  // `offered`: the best version of the client's hello (highest_version(), hello.h).
  virtual Result<std::unique_ptr<Session>> accept(ByteTransport& transport, LeafPtr leaf, std::string_view alpn,
                                                  std::string_view resumption_scope, std::uint16_t offered) = 0;
  Result<std::unique_ptr<Session>> accept(ByteTransport& transport, LeafPtr leaf, std::string_view alpn,
                                          std::string_view resumption_scope) {
    return accept(transport, std::move(leaf), alpn, resumption_scope, static_cast<std::uint16_t>(Version::k1_3));
  }
};

// --- towards origins ---
// A session to resume; opaque, shared, immutable.
class Resumption;
using ResumptionPtr = std::shared_ptr<const Resumption>;

// A certificate, its chain and its key, for origins that ask who we are. Opaque, shared, immutable.
class ClientIdentity;
using ClientIdentityPtr = std::shared_ptr<const ClientIdentity>;
// PEM files: the certificate, then what leads to its CA; the key without a passphrase (both may be one file). kIo: a
// file cannot be read; kInvalid: no certificate, no key, or they do not belong together. Errors name files, never
// content.
Result<ClientIdentityPtr> load_client_identity(const std::string& certificate_file, const std::string& key_file);
// The same from memory.
struct PemText {
  std::string name;  // of the file, for errors
  Bytes content;
};
Result<ClientIdentityPtr> read_client_identity(const PemText& certificate, const PemText& key);
// Lower-case hex of the certificate's SHA-256: tells identities apart.
const std::string& fingerprint_of(const ClientIdentity& identity);

// CAs that some origins may be verified by, beside what the context trusts (ClientContext::trust_also). Opaque, shared,
// immutable.
class MoreTrust;
using MoreTrustPtr = std::shared_ptr<const MoreTrust>;
// Lower-case hex of a SHA-256 over the CAs: tells trusts apart.
const std::string& fingerprint_of(const MoreTrust& trust);

enum class Verify { kRequired, kRecordOnly };

struct ClientOptions {
  std::string server_name;  // SNI and the name to verify; an IP literal is verified as such, no SNI sent
  Verify verify = Verify::kRequired;
  std::vector<std::string> alpn;  // offered in this order; empty: no ALPN extension
  ResumptionPtr resume;           // may be null; ignored if it was made for another name, identity or trust
  ClientIdentityPtr identity;     // given if the origin asks; may be null
  MoreTrustPtr trust;             // of this context; may be null
  // What the origin must speak at least. Below TLS 1.2 the suites of that time are offered too, at security level 0.
  Version minimum = Version::k1_2;
  // For old servers: without secure renegotiation (RFC 5746), or with keys, signatures and suites that are too weak
  // (security level 0). Renegotiation is allowed.
  bool legacy = false;
};

class ClientSession : public Session {
 public:
  // The newest ticket the origin gave; null if none (yet: in TLS 1.3 they arrive with the first reads).
  virtual ResumptionPtr resumption() const = 0;
  // The raw ServerHello, for JA3S, which is not kept any longer; empty if none was seen.
  virtual std::string take_server_hello() = 0;
};

class ClientContext {
 public:
  struct Trust {
    bool system_store = true;
    std::vector<std::string> ca_files;  // --upstream-ca; PEM, several certificates each
  };
  static Result<std::shared_ptr<ClientContext>> create(const Trust& trust, const std::string& key_log);
  virtual ~ClientContext() = default;
  // Loads the system's store (some 25 ms), once; connect() does it where nobody did before. Any thread.
  virtual void prepare() = 0;
  // What this context trusts, and the certificates of a PEM file too: as they stand, also an intermediate or an
  // origin's own. kInvalid: there are none, or one is damaged. Any thread.
  virtual Result<MoreTrustPtr> trust_also(const PemText& pem) = 0;
  virtual Result<std::unique_ptr<ClientSession>> connect(ByteTransport& transport, const ClientOptions& options) = 0;
};

}  // namespace sluice::tls
