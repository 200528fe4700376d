// What an agent can do about an origin that TLS did not let us reach: which tool to call, and how (engine.md 6).
#pragma once

#include <string>
#include <string_view>

#include "proxy/error_reply.h"
#include "tls/session.h"

namespace sluice::proxy {

// `server_name`: what the origin had to prove. `verdict`: the verifier's words, for kCertificate. To be put behind the
// failure's message: begins with "; ". Empty if there is nothing to be done.
std::string remedy(FailureKind kind, tls::HandshakeFailure::Remedy remedy, const std::string& server_name,
                   std::string_view verdict);

}  // namespace sluice::proxy
