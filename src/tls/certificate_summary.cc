#include "tls/certificate_summary.h"

#include <arpa/inet.h>
#include <openssl/bn.h>
#include <openssl/x509v3.h>

#include <ctime>

#include "base/text.h"

namespace sluice::tls {
namespace {

using BnPtr = std::unique_ptr<BIGNUM, Freer<BN_free>>;

std::string serial_of(const X509* certificate) {
  const BnPtr number(ASN1_INTEGER_to_BN(X509_get0_serialNumber(certificate), nullptr));
  if (!number) return {};
  std::string octets(static_cast<std::size_t>(BN_num_bytes(number.get())), '\0');
  BN_bn2bin(number.get(), reinterpret_cast<unsigned char*>(octets.data()));
  return hex_encode(octets);
}

std::int64_t ms_of(const ASN1_TIME* time) {
  std::tm parts{};
  if (ASN1_TIME_to_tm(time, &parts) != 1) return 0;
  return static_cast<std::int64_t>(timegm(&parts)) * 1000;
}

std::string address_of(const ASN1_OCTET_STRING* octets) {
  char text[INET6_ADDRSTRLEN] = {};
  const int size = ASN1_STRING_length(octets);
  const int family = size == 4 ? AF_INET : size == 16 ? AF_INET6 : AF_UNSPEC;
  if (family == AF_UNSPEC || inet_ntop(family, ASN1_STRING_get0_data(octets), text, sizeof text) == nullptr) return {};
  return text;
}

std::vector<std::string> sans_of(const X509* certificate) {
  std::vector<std::string> sans;
  auto* names = static_cast<GENERAL_NAMES*>(X509_get_ext_d2i(certificate, NID_subject_alt_name, nullptr, nullptr));
  for (int i = 0; i < sk_GENERAL_NAME_num(names); ++i) {
    const GENERAL_NAME* name = sk_GENERAL_NAME_value(names, i);
    if (name->type == GEN_DNS) {
      const auto* text = reinterpret_cast<const char*>(ASN1_STRING_get0_data(name->d.dNSName));
      sans.push_back("DNS:" + std::string(text, static_cast<std::size_t>(ASN1_STRING_length(name->d.dNSName))));
    } else if (name->type == GEN_IPADD) {
      if (std::string address = address_of(name->d.iPAddress); !address.empty()) sans.push_back("IP:" + address);
    }
  }
  GENERAL_NAMES_free(names);
  return sans;
}

}  // namespace

std::string one_line(const X509_NAME* name) {
  const BioPtr out(BIO_new(BIO_s_mem()));
  if (!out || X509_NAME_print_ex(out.get(), name, 0, XN_FLAG_RFC2253 & ~ASN1_STRFLGS_ESC_MSB) < 0) return {};
  char* text = nullptr;
  const long size = BIO_get_mem_data(out.get(), &text);
  return {text, static_cast<std::size_t>(size)};
}

CertificateSummary summarise(X509* certificate) {
  CertificateSummary summary;
  summary.subject = one_line(X509_get_subject_name(certificate));
  summary.issuer = one_line(X509_get_issuer_name(certificate));
  summary.serial_hex = serial_of(certificate);
  summary.not_before_ms = ms_of(X509_get0_notBefore(certificate));
  summary.not_after_ms = ms_of(X509_get0_notAfter(certificate));
  summary.sans = sans_of(certificate);
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned size = 0;
  if (X509_digest(certificate, EVP_sha256(), digest, &size) == 1) {
    summary.sha256 = hex_encode({reinterpret_cast<const char*>(digest), size});
  }
  return summary;
}

std::vector<CertificateSummary> summarise(const STACK_OF(X509) * chain) {
  std::vector<CertificateSummary> all;
  for (int i = 0; i < sk_X509_num(chain); ++i) all.push_back(summarise(sk_X509_value(chain, i)));
  return all;
}

}  // namespace sluice::tls
