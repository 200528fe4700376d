// The words for failed handshakes (RFC 8446 §6, RFC 5246 §7.2).
#include <fmt/format.h>
#include <openssl/err.h>
#include <openssl/sslerr.h>
#include <openssl/tls1.h>

#include "tls/session_core.h"

namespace sluice::tls {
namespace {

constexpr std::string_view kInstall = "install it, see http://sluice.setup/";

const char* find_alert_name(int description) {
  switch (description) {
    case 0:
      return "close_notify";
    case 10:
      return "unexpected_message";
    case 20:
      return "bad_record_mac";
    case 21:
      return "decryption_failed";
    case 22:
      return "record_overflow";
    case 30:
      return "decompression_failure";
    case 40:
      return "handshake_failure";
    case 41:
      return "no_certificate";
    case 42:
      return "bad_certificate";
    case 43:
      return "unsupported_certificate";
    case 44:
      return "certificate_revoked";
    case 45:
      return "certificate_expired";
    case 46:
      return "certificate_unknown";
    case 47:
      return "illegal_parameter";
    case 48:
      return "unknown_ca";
    case 49:
      return "access_denied";
    case 50:
      return "decode_error";
    case 51:
      return "decrypt_error";
    case 60:
      return "export_restriction";
    case 70:
      return "protocol_version";
    case 71:
      return "insufficient_security";
    case 80:
      return "internal_error";
    case 86:
      return "inappropriate_fallback";
    case 90:
      return "user_canceled";
    case 100:
      return "no_renegotiation";
    case 109:
      return "missing_extension";
    case 110:
      return "unsupported_extension";
    case 111:
      return "certificate_unobtainable";
    case 112:
      return "unrecognized_name";
    case 113:
      return "bad_certificate_status_response";
    case 114:
      return "bad_certificate_hash_value";
    case 115:
      return "unknown_psk_identity";
    case 116:
      return "certificate_required";
    case 120:
      return "no_application_protocol";
    default:
      return nullptr;
  }
}

std::string_view versions_from(int minimum) {
  switch (minimum) {
    case TLS1_VERSION:
      return "TLS 1.0 to 1.3";
    case TLS1_1_VERSION:
      return "TLS 1.1 to 1.3";
    case TLS1_3_VERSION:
      return "TLS 1.3";
    default:
      return "TLS 1.2 or 1.3";
  }
}

// What a client must speak is the user's choice.
std::string too_old(int minimum, std::string_view alert) {
  return fmt::format("the client does not speak {}{}{}", versions_from(minimum), alert,
                     minimum > TLS1_VERSION ? ": --min-client-tls lets older versions in" : "");
}

std::string client_alert_text(const FailureFacts& facts, const std::string& name) {
  switch (facts.alert) {
    case TLS1_AD_UNKNOWN_CA:
      return fmt::format("the client does not trust Sluice's CA (alert {}): {}", name, kInstall);
    case SSL3_AD_CERTIFICATE_UNKNOWN:
    case SSL3_AD_BAD_CERTIFICATE:
      return fmt::format(
          "the client refused Sluice's certificate (alert {}): it does not trust the CA ({}), or it accepts only the "
          "origin's own certificate (pinning)",
          name, kInstall);
    case SSL3_AD_CERTIFICATE_EXPIRED:
      return fmt::format("the client takes Sluice's certificate for expired (alert {}): compare both clocks", name);
    case TLS1_AD_PROTOCOL_VERSION:
      return too_old(facts.minimum, " (alert " + name + ")");
    case SSL3_AD_HANDSHAKE_FAILURE:
    case TLS1_AD_INSUFFICIENT_SECURITY:
      return fmt::format("the client accepts none of the cipher suites or parameters that Sluice chose (alert {})",
                         name);
    default:
      return fmt::format("the client ended the handshake with the alert {}", name);
  }
}

// What origins say to a missing client certificate: handshake_failure in TLS 1.2 (RFC 5246 §7.4.6),
// certificate_required in 1.3; some say bad_certificate or access_denied.
bool is_about_certificate(int alert) {
  switch (alert) {
    case TLS13_AD_CERTIFICATE_REQUIRED:
    case SSL3_AD_HANDSHAKE_FAILURE:
    case SSL3_AD_NO_CERTIFICATE:
    case SSL3_AD_BAD_CERTIFICATE:
    case SSL3_AD_UNSUPPORTED_CERTIFICATE:
    case SSL3_AD_CERTIFICATE_REVOKED:
    case SSL3_AD_CERTIFICATE_EXPIRED:
    case SSL3_AD_CERTIFICATE_UNKNOWN:
    case TLS1_AD_UNKNOWN_CA:
    case TLS1_AD_ACCESS_DENIED:
      return true;
    default:
      return false;
  }
}

std::string origin_alert_text(const FailureFacts& facts, const std::string& name) {
  if (facts.renegotiation) {
    return fmt::format("the origin wanted to renegotiate TLS, which is refused, and ended the connection (alert {})",
                       name);
  }
  if (facts.certificate_asked && is_about_certificate(facts.alert)) {
    return facts.certificate_given ? fmt::format("the origin refused the client certificate (alert {})", name)
                                   : fmt::format("the origin demands a client certificate (alert {})", name);
  }
  switch (facts.alert) {
    case TLS1_AD_PROTOCOL_VERSION:
      return fmt::format("the origin does not speak {} (alert {})", versions_from(facts.minimum), name);
    case SSL3_AD_HANDSHAKE_FAILURE:
    case TLS1_AD_INSUFFICIENT_SECURITY:
      return fmt::format("the origin accepts none of the cipher suites or parameters that were offered (alert {})",
                         name);
    case TLS1_AD_UNRECOGNIZED_NAME:
      return fmt::format("the origin does not serve this host name (alert {})", name);
    case TLS13_AD_CERTIFICATE_REQUIRED:
    case SSL3_AD_BAD_CERTIFICATE:
      return fmt::format("the origin demands a client certificate (alert {})", name);
    case TLS1_AD_NO_APPLICATION_PROTOCOL:
      return fmt::format("the origin speaks none of the application protocols that were offered (alert {})", name);
    default:
      return fmt::format("the origin ended the handshake with the alert {}", name);
  }
}

std::string local_text(const FailureFacts& facts) {
  const bool client = facts.peer == Side::kClient;
  const std::string_view who = client ? "the client" : "the origin";
  switch (facts.reason) {
    case SSL_R_NO_SHARED_CIPHER:
    case SSL_R_NO_SUITABLE_KEY_SHARE:
    case SSL_R_NO_SHARED_GROUPS:
    case SSL_R_NO_SUITABLE_SIGNATURE_ALGORITHM:
      return fmt::format("{} and Sluice have no cipher suite, group or signature algorithm in common", who);
    case SSL_R_UNSUPPORTED_PROTOCOL:
    case SSL_R_UNKNOWN_PROTOCOL:
    case SSL_R_VERSION_TOO_LOW:
      return client ? too_old(facts.minimum, "")
                    : fmt::format("{} does not speak {}", who, versions_from(facts.minimum));
    case SSL_R_WRONG_VERSION_NUMBER:
    case SSL_R_HTTP_REQUEST:
    case SSL_R_HTTPS_PROXY_REQUEST:
    case SSL_R_PACKET_LENGTH_TOO_LONG:
      return fmt::format("{} does not speak TLS on this connection", who);
    case SSL_R_DH_KEY_TOO_SMALL:
    case SSL_R_EE_KEY_TOO_SMALL:
    case SSL_R_CA_KEY_TOO_SMALL:
      return fmt::format("{} uses a key that is too small to be safe", who);
    case SSL_R_UNSAFE_LEGACY_RENEGOTIATION_DISABLED:
      return fmt::format("{} lacks secure renegotiation (RFC 5746)", who);
    default:
      break;
  }
  const char* words = facts.reason == 0 ? nullptr : ERR_reason_error_string(ERR_PACK(ERR_LIB_SSL, 0, facts.reason));
  return fmt::format("the TLS handshake with {} broke: {}", who, words == nullptr ? "protocol error" : words);
}

HandshakeFailure::Remedy remedy_of(const FailureFacts& facts) {
  using Remedy = HandshakeFailure::Remedy;
  if (facts.peer == Side::kClient) return Remedy::kNone;
  if (!facts.verdict.empty()) return facts.weak ? Remedy::kLegacy : Remedy::kNone;
  const Remedy older = facts.minimum > TLS1_VERSION ? Remedy::kOlderVersions : Remedy::kNone;
  if (facts.alert > 0 && facts.alert_from_peer) {
    if (facts.alert == TLS1_AD_PROTOCOL_VERSION) return older;
    const bool none_shared = facts.alert == SSL3_AD_HANDSHAKE_FAILURE || facts.alert == TLS1_AD_INSUFFICIENT_SECURITY;
    return none_shared && !facts.certificate_asked ? Remedy::kLegacy : Remedy::kNone;
  }
  switch (facts.reason) {
    case SSL_R_UNSUPPORTED_PROTOCOL:
    case SSL_R_UNKNOWN_PROTOCOL:
    case SSL_R_VERSION_TOO_LOW:
      return older;
    case SSL_R_DH_KEY_TOO_SMALL:
    case SSL_R_EE_KEY_TOO_SMALL:
    case SSL_R_CA_KEY_TOO_SMALL:
    case SSL_R_WRONG_SIGNATURE_TYPE:
    case SSL_R_UNSAFE_LEGACY_RENEGOTIATION_DISABLED:
      return Remedy::kLegacy;
    default:
      return Remedy::kNone;
  }
}

}  // namespace

std::string alert_name(int description) {
  const char* name = find_alert_name(description);
  return name == nullptr ? fmt::format("alert_{}", description) : name;
}

HandshakeFailure explain(const FailureFacts& facts) {
  HandshakeFailure failure;
  const bool client = facts.peer == Side::kClient;
  if (facts.alert >= 0) {
    failure.alert = alert_name(facts.alert);
    failure.alert_from_peer = facts.alert_from_peer;
  }
  failure.remedy = remedy_of(facts);
  failure.closed_after_certificate =
      facts.alert < 0 && facts.after_certificate && (facts.peer_closed || !facts.transport_error.empty());
  if (!facts.verdict.empty()) {
    failure.text = "the origin's certificate is not trusted: " + facts.verdict;
  } else if (facts.alert > 0 && facts.alert_from_peer) {
    failure.text = client ? client_alert_text(facts, failure.alert) : origin_alert_text(facts, failure.alert);
  } else if (failure.closed_after_certificate) {
    failure.text = fmt::format(
        "the client closed the connection right after Sluice's certificate: it does not trust the CA ({}), or it "
        "accepts only the origin's own certificate (pinning)",
        kInstall);
  } else if (facts.peer_closed || facts.alert == 0) {
    failure.text = client ? "the client closed the connection during the TLS handshake"
                          : "the origin closed the connection during the TLS handshake";
  } else if (!facts.transport_error.empty()) {
    failure.text = "the connection broke during the TLS handshake: " + facts.transport_error;
  } else {
    failure.text = local_text(facts);
  }
  return failure;
}

}  // namespace sluice::tls
