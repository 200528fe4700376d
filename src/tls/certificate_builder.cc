#include "tls/certificate_builder.h"

#include <arpa/inet.h>
#include <openssl/asn1.h>
#include <openssl/bn.h>
#include <openssl/ec.h>
#include <openssl/objects.h>
#include <openssl/rsa.h>
#include <openssl/sha.h>
#include <openssl/x509v3.h>

#include <initializer_list>

#include "base/url.h"

namespace sluice::tls {
namespace {

using BnPtr = std::unique_ptr<BIGNUM, Freer<BN_free>>;
using BitStringPtr = std::unique_ptr<ASN1_BIT_STRING, Freer<ASN1_BIT_STRING_free>>;
using OctetStringPtr = std::unique_ptr<ASN1_OCTET_STRING, Freer<ASN1_OCTET_STRING_free>>;
using BasicConstraintsPtr = std::unique_ptr<BASIC_CONSTRAINTS, Freer<BASIC_CONSTRAINTS_free>>;
using AuthorityKeyIdPtr = std::unique_ptr<AUTHORITY_KEYID, Freer<AUTHORITY_KEYID_free>>;
using ExtendedKeyUsagePtr = std::unique_ptr<EXTENDED_KEY_USAGE, Freer<EXTENDED_KEY_USAGE_free>>;
using GeneralNamesPtr = std::unique_ptr<GENERAL_NAMES, Freer<GENERAL_NAMES_free>>;

// Bits of KeyUsage (RFC 5280 §4.2.1.3).
constexpr int kDigitalSignature = 0, kKeyEncipherment = 2, kKeyCertSign = 5, kCrlSign = 6;
constexpr std::size_t kMaxCommonName = 64;  // ub-common-name
constexpr int kKeyIdOctets = 20;            // RFC 7093 §2 (1): the leftmost 160 bits of SHA-256

enum class Critical { kNo, kYes };

const unsigned char* octets_of(Bytes octets) { return reinterpret_cast<const unsigned char*>(octets.data()); }

bool add(X509* certificate, int nid, void* value, Critical critical) {
  return value != nullptr &&
         X509_add1_ext_i2d(certificate, nid, value, critical == Critical::kYes ? 1 : 0, X509V3_ADD_DEFAULT) == 1;
}

bool add_key_usage(X509* certificate, std::initializer_list<int> bits) {
  const BitStringPtr usage(ASN1_BIT_STRING_new());
  if (!usage) return false;
  for (const int bit : bits) {
    if (ASN1_BIT_STRING_set_bit(usage.get(), bit, 1) != 1) return false;
  }
  return add(certificate, NID_key_usage, usage.get(), Critical::kYes);
}

bool add_subject_key_id(X509* certificate) {
  const std::string digest = sha256_of_spki(certificate);
  const OctetStringPtr id(ASN1_OCTET_STRING_new());
  return id && !digest.empty() && ASN1_OCTET_STRING_set(id.get(), octets_of(digest), kKeyIdOctets) == 1 &&
         add(certificate, NID_subject_key_identifier, id.get(), Critical::kNo);
}

bool add_authority_key_id(X509* certificate, X509* authority) {
  const ASN1_OCTET_STRING* of_authority = X509_get0_subject_key_id(authority);
  const AuthorityKeyIdPtr id(AUTHORITY_KEYID_new());
  if (!id || of_authority == nullptr) return false;
  id->keyid = ASN1_OCTET_STRING_dup(of_authority);
  return id->keyid != nullptr && add(certificate, NID_authority_key_identifier, id.get(), Critical::kNo);
}

bool add_server_auth(X509* certificate) {
  const ExtendedKeyUsagePtr usage(EXTENDED_KEY_USAGE_new());
  return usage && sk_ASN1_OBJECT_push(usage.get(), OBJ_nid2obj(NID_server_auth)) > 0 &&
         add(certificate, NID_ext_key_usage, usage.get(), Critical::kNo);
}

bool add_basic_constraints(X509* certificate, bool is_authority) {
  const BasicConstraintsPtr constraints(BASIC_CONSTRAINTS_new());
  if (!constraints) return false;
  constraints->ca = is_authority ? 0xff : 0;
  if (is_authority) {
    constraints->pathlen = ASN1_INTEGER_new();
    if (constraints->pathlen == nullptr || ASN1_INTEGER_set(constraints->pathlen, 0) != 1) return false;
  }
  return add(certificate, NID_basic_constraints, constraints.get(), Critical::kYes);
}

GENERAL_NAME* make_name(const std::string& host) {
  unsigned char address[16];
  int size = 0;
  if (is_ipv6_literal(host)) {
    size = inet_pton(AF_INET6, host.c_str(), address) == 1 ? 16 : 0;
  } else if (is_ip_literal(host)) {
    size = inet_pton(AF_INET, host.c_str(), address) == 1 ? 4 : 0;
  }
  ASN1_STRING* value = ASN1_STRING_type_new(size == 0 ? V_ASN1_IA5STRING : V_ASN1_OCTET_STRING);
  GENERAL_NAME* name = GENERAL_NAME_new();
  const int set = value == nullptr ? 0
                  : size == 0      ? ASN1_STRING_set(value, host.data(), static_cast<int>(host.size()))
                                   : ASN1_STRING_set(value, address, size);
  if (name == nullptr || set != 1) {
    ASN1_STRING_free(value);
    GENERAL_NAME_free(name);
    return nullptr;
  }
  GENERAL_NAME_set0_value(name, size == 0 ? GEN_DNS : GEN_IPADD, value);
  return name;
}

bool add_san(X509* certificate, const std::string& host, Critical critical) {
  const GeneralNamesPtr names(GENERAL_NAMES_new());
  GENERAL_NAME* name = names ? make_name(host) : nullptr;
  if (name == nullptr) return false;
  if (sk_GENERAL_NAME_push(names.get(), name) <= 0) {
    GENERAL_NAME_free(name);
    return false;
  }
  return add(certificate, NID_subject_alt_name, names.get(), critical);
}

bool set_common_name(X509_NAME* name, const std::string& text) {
  return X509_NAME_add_entry_by_NID(name, NID_commonName, MBSTRING_UTF8, octets_of(text), static_cast<int>(text.size()),
                                    -1, 0) == 1;
}

bool set_time(ASN1_TIME* time, WallTime at) {
  return ASN1_TIME_set(time, std::chrono::system_clock::to_time_t(
                                 std::chrono::time_point_cast<std::chrono::system_clock::duration>(at))) != nullptr;
}

bool set_serial(X509* certificate, Bytes serial) {
  std::string positive(serial);
  positive.at(0) = static_cast<char>((positive[0] & 0x7f) | 0x40);  // RFC 5280 §4.1.2.2: positive, and of one length
  const BnPtr number(BN_bin2bn(octets_of(positive), static_cast<int>(positive.size()), nullptr));
  return number && BN_to_ASN1_INTEGER(number.get(), X509_get_serialNumber(certificate)) != nullptr;
}

X509Ptr begin(EVP_PKEY* key, Validity validity, Bytes serial) {
  X509Ptr certificate(X509_new());
  const bool ok = certificate && X509_set_version(certificate.get(), X509_VERSION_3) == 1 &&
                  set_serial(certificate.get(), serial) && X509_set_pubkey(certificate.get(), key) == 1 &&
                  set_time(X509_getm_notBefore(certificate.get()), validity.from) &&
                  set_time(X509_getm_notAfter(certificate.get()), validity.to);
  return ok ? std::move(certificate) : nullptr;
}

}  // namespace

X509Ptr build_authority(EVP_PKEY* key, const std::string& common_name, Validity validity, Bytes serial) {
  X509Ptr made = begin(key, validity, serial);
  if (!made) return nullptr;
  X509* certificate = made.get();
  X509_NAME* subject = X509_get_subject_name(certificate);
  const bool ok = set_common_name(subject, common_name) && X509_set_issuer_name(certificate, subject) == 1 &&
                  add_basic_constraints(certificate, true) && add_key_usage(certificate, {kKeyCertSign, kCrlSign}) &&
                  add_subject_key_id(certificate) && X509_sign(certificate, key, EVP_sha256()) > 0;
  return ok ? std::move(made) : nullptr;
}

X509Ptr build_leaf(const LeafFacts& facts, EVP_PKEY* leaf_key, X509* authority, EVP_PKEY* authority_key) {
  X509Ptr made = begin(leaf_key, facts.validity, facts.serial);
  if (!made) return nullptr;
  X509* certificate = made.get();
  // A name that does not fit is left out; RFC 5280 §4.2.1.6: an empty subject makes the SAN critical.
  const bool named = facts.host.size() <= kMaxCommonName;
  const bool ok = (!named || set_common_name(X509_get_subject_name(certificate), facts.host)) &&
                  X509_set_issuer_name(certificate, X509_get_subject_name(authority)) == 1 &&
                  add_basic_constraints(certificate, false) &&
                  (facts.kind == KeyKind::kRsa2048 ? add_key_usage(certificate, {kDigitalSignature, kKeyEncipherment})
                                                   : add_key_usage(certificate, {kDigitalSignature})) &&
                  add_server_auth(certificate) &&
                  add_san(certificate, facts.host, named ? Critical::kNo : Critical::kYes) &&
                  add_subject_key_id(certificate) && add_authority_key_id(certificate, authority) &&
                  X509_sign(certificate, authority_key, EVP_sha256()) > 0;
  return ok ? std::move(made) : nullptr;
}

PkeyPtr generate_key(KeyKind kind) {
  return PkeyPtr(kind == KeyKind::kRsa2048 ? EVP_RSA_gen(2048) : EVP_EC_gen("P-256"));
}

std::string sha256_of_spki(const X509* certificate) {
  unsigned char* der = nullptr;
  const int size = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(certificate), &der);
  if (size <= 0) return {};
  std::string digest(SHA256_DIGEST_LENGTH, '\0');
  SHA256(der, static_cast<std::size_t>(size), reinterpret_cast<unsigned char*>(digest.data()));
  OPENSSL_free(der);
  return digest;
}

}  // namespace sluice::tls
