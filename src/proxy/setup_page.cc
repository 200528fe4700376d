#include "proxy/setup_page.h"

#include <fmt/format.h>

#include "proxy/error_reply.h"

namespace sluice::proxy {
namespace {

constexpr std::string_view kPage = R"(<!doctype html><meta charset=utf-8><title>Sluice: set-up</title>
<body style="font:16px/1.55 system-ui;max-width:50em;margin:3em auto;padding:0 1em">
<h1>Sluice is running</h1>
<p>This is an HTTPS interception proxy. Programs that use <code>http://{proxy}</code> as their proxy and trust the
certificate below can be seen and steered. Only install it on machines that you own or are authorised to test.</p>
<h2>1. The certificate</h2>
<p><a href="http://sluice.setup/ca.pem">ca.pem</a> (PEM) · <a href="http://sluice.setup/ca.der">ca.der</a> (DER)
· from here: <a href="/ca.pem">/ca.pem</a>, <a href="/ca.der">/ca.der</a></p>
<p><small>{subject}<br>SHA-256 {fingerprint}<br>SPKI {spki}</small></p>
<h2>2. Use it</h2>
<pre>
curl          curl --proxy http://{proxy} --cacert ca.pem https://example.com/
Node          NODE_EXTRA_CA_CERTS=ca.pem NODE_USE_ENV_PROXY=1 HTTPS_PROXY=http://{proxy} node app.js
Python        SSL_CERT_FILE=ca.pem REQUESTS_CA_BUNDLE=ca.pem HTTPS_PROXY=http://{proxy} python3 app.py
Go            SSL_CERT_FILE=ca.pem HTTPS_PROXY=http://{proxy} ./app
Java          keytool -importcert -noprompt -alias sluice -file ca.pem -keystore trust.p12 -storepass changeit
              java -Djavax.net.ssl.trustStore=trust.p12 -Dhttps.proxyHost=HOST -Dhttps.proxyPort=PORT App
Chromium      chromium --proxy-server=http://{proxy} --user-data-dir=/tmp/profile --disable-quic \
                --ignore-certificate-errors-spki-list={spki}
Firefox       Settings, Certificates, Authorities, Import ca.pem; Settings, Network, Manual proxy
Debian        cp ca.pem /usr/local/share/ca-certificates/sluice.crt; update-ca-certificates
macOS         security add-trusted-cert -r trustRoot -k ~/Library/Keychains/login.keychain-db ca.pem
Windows       certutil -user -addstore Root ca.der
Android, iOS  open http://sluice.setup/ in the browser with the proxy set, install ca.der as a CA certificate
</pre>
)";

std::string render(std::string_view proxy, const tls::CertificateAuthority& authority) {
  return fmt::format(
      fmt::runtime(kPage), fmt::arg("proxy", html_escape(proxy)), fmt::arg("subject", html_escape(authority.subject())),
      fmt::arg("fingerprint", authority.sha256_fingerprint()), fmt::arg("spki", authority.spki_sha256_base64()));
}

}  // namespace

SetupAnswer setup_answer(std::string_view method, std::string_view path, std::string_view proxy,
                         const tls::CertificateAuthority& authority) {
  SetupAnswer answer;
  std::string_view type = "text/html; charset=utf-8";
  path = path.substr(0, path.find('?'));
  answer.head.status = 200;
  if (method != "GET" && method != "HEAD") {
    answer.head.status = 405;
    type = "text/plain; charset=utf-8";
    answer.body = "This is Sluice's set-up page: GET / or /ca.pem or /ca.der\n";
    answer.head.fields.append("Allow", "GET, HEAD");
  } else if (path == "/" || path.empty()) {
    answer.body = render(proxy, authority);
  } else if (path == "/ca.pem") {
    type = "application/x-pem-file";
    answer.body = authority.certificate_pem();
  } else if (path == "/ca.der" || path == "/ca.crt" || path == "/ca.cer") {
    type = "application/x-x509-ca-cert";
    answer.body = authority.certificate_der();
  } else {
    answer.head.status = 404;
    type = "text/plain; charset=utf-8";
    answer.body = "Not here. This is Sluice's set-up page: / or /ca.pem or /ca.der\n";
  }
  answer.head.reason = http::reason_phrase(answer.head.status);
  answer.head.fields.append("Content-Type", type);
  answer.head.fields.append("Content-Length", std::to_string(answer.body.size()));
  answer.head.fields.append("Cache-Control", "no-store");
  answer.head.fields.append("X-Content-Type-Options", "nosniff");
  if (method == "HEAD") answer.body.clear();
  return answer;
}

}  // namespace sluice::proxy
