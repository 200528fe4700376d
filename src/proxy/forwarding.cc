#include "proxy/forwarding.h"

namespace sluice::proxy {

std::string refused_credentials(const UpstreamProxy& proxy, connect::ProxyAuth::Verdict verdict) {
  const std::string name = "the upstream proxy " + proxy.shown();
  switch (verdict) {
    case connect::ProxyAuth::Verdict::kMissing:
      return name + " asks for a user name and password";
    case connect::ProxyAuth::Verdict::kWrong:
      return name + " refused the user name or password";
    case connect::ProxyAuth::Verdict::kUnsupported:
      return name + " asks for a kind of authentication that is neither Basic nor Digest";
    case connect::ProxyAuth::Verdict::kRetry:
      return name + " asks for the password again and again";
  }
  return name;
}

std::string Forwarding::request_of(Bytes octets, Entropy& entropy) {
  // RFC 9112 §3: method SP request-target SP version; the writers keep odd blanks of clients.
  const std::size_t line_end = std::min(octets.find('\n'), octets.size() - 1) + 1;
  const Bytes line = octets.substr(0, line_end);
  const std::size_t method_end = std::min(line.find(' '), line.size());
  const std::size_t target_at = std::min(line.find_first_not_of(' ', method_end), line.size());
  const std::size_t target_end = std::min(line.find(' ', target_at), line.size());
  std::string url = "http://" + authority;
  const Bytes target = line.substr(target_at, target_end - target_at);
  if (target != "*") url += target;  // RFC 9112 §3.2.4
  sent = proxy->auth().authorize(line.substr(0, method_end), url, entropy);
  std::string out;
  out.reserve(octets.size() + url.size() + 512);
  out += line.substr(0, target_at);
  out += url;
  out += line.substr(target_end);
  if (sent) out.append("Proxy-Authorization: ").append(sent->value).append("\r\n");
  out += octets.substr(line_end);
  return out;
}

bool Forwarding::is_challenge(int status, const http::FieldList& fields, std::string& why) {
  connect::ProxyAuth& auth = proxy->auth();
  if (status != 407) {
    auth.accepted(fields, sent);
    return false;
  }
  const connect::ProxyAuth::Verdict verdict = auth.challenged(fields, sent);
  if (verdict != connect::ProxyAuth::Verdict::kRetry) why = refused_credentials(*proxy, verdict);
  return true;
}

}  // namespace sluice::proxy
