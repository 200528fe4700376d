// Private to tls: the CA in memory, as authority.cc makes it and authority_store.cc keeps it on disk.
#pragma once

#include <memory>
#include <mutex>
#include <string>

#include "tls/authority.h"
#include "tls/openssl.h"

namespace sluice::tls {

using AuthorityPtr = std::shared_ptr<const CertificateAuthority>;

// Takes a matching pair; computes what the accessors give and makes the key of the ECDSA leaves.
Result<AuthorityPtr> make_authority(X509Ptr certificate, PkeyPtr key);

// A self-signed CA certificate for this key, ten years from one day back.
Result<X509Ptr> self_sign(EVP_PKEY* key, const Clock& clock, Entropy& entropy);

Result<WallTime> wall_time_of(const ASN1_TIME* time);

}  // namespace sluice::tls
