// Private to tls: certificates as records show them.
#pragma once

#include <vector>

#include "tls/openssl.h"
#include "tls/session.h"

namespace sluice::tls {

CertificateSummary summarise(X509* certificate);
std::vector<CertificateSummary> summarise(const STACK_OF(X509) * chain);  // null: empty
// RFC 2253, UTF-8 kept.
std::string one_line(const X509_NAME* name);

}  // namespace sluice::tls
