// What a browser sees at the proxy's own port and at http://sluice.setup/: how to trust the CA, client by client.
// Pure. Never shows anything secret.
#pragma once

#include <string>
#include <string_view>

#include "http/message.h"
#include "tls/authority.h"

namespace sluice::proxy {

struct SetupAnswer {
  http::ResponseHead head;
  std::string body;
};

// `path` is the request's path; `proxy` the address that the visitor reached ("127.0.0.1:8080").
// "/" the page; "/ca.pem", "/ca.crt", "/ca.der" the certificate; else 404.
SetupAnswer setup_answer(std::string_view method, std::string_view path, std::string_view proxy,
                         const tls::CertificateAuthority& authority);

}  // namespace sluice::proxy
