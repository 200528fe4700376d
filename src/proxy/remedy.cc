#include "proxy/remedy.h"

#include <fmt/format.h>

#include "base/json.h"
#include "proxy/host_table.h"

namespace sluice::proxy {
namespace {

// No CA helps against these.
bool is_about_name_or_time(std::string_view verdict) {
  for (const std::string_view words : {"mismatch", "expired", "not yet valid"}) {
    if (verdict.find(words) != std::string_view::npos) return true;
  }
  return false;
}

}  // namespace

std::string remedy(FailureKind kind, tls::HandshakeFailure::Remedy remedy, const std::string& server_name,
                   std::string_view verdict) {
  using Remedy = tls::HandshakeFailure::Remedy;
  if (!HostTable::normal_pattern(server_name)) return "";
  const std::string host = dump_json(Json(server_name));
  const auto call = [&](std::string_view options) {
    return fmt::format("; call proxy_set_host_options {{\"host\": {}, {}}}", host, options);
  };
  switch (remedy) {
    case Remedy::kOlderVersions:
      return call("\"min_tls\": \"1.0\"") + " to allow old versions";
    case Remedy::kLegacy:
      return call("\"legacy_server\": true") + " if it is an old server";
    case Remedy::kNone:
      break;
  }
  if (kind == FailureKind::kClientCertificate) {
    return call("\"client_cert_file\": FILE, \"client_key_file\": FILE") + " to give it one";
  }
  if (kind != FailureKind::kCertificate) return "";
  if (is_about_name_or_time(verdict)) return call("\"verify_upstream\": false") + " to accept it all the same";
  return call("\"ca_file\": FILE") + " to trust its CA, or \"verify_upstream\": false to accept any certificate";
}

}  // namespace sluice::proxy
