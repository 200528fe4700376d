#include "proxy/origin_identities.h"

namespace sluice::proxy {
namespace {

constexpr std::string_view kFlag = "--upstream-client-cert";

tl::unexpected<Error> about_flag(Error error) { return fail(std::move(error).with_context(kFlag)); }

}  // namespace

Result<OriginIdentities> OriginIdentities::load(const std::vector<std::string>& given) {
  OriginIdentities loaded;
  for (const std::string& text : given) {
    const std::size_t equals = text.find('=');
    const std::string files = equals == std::string::npos ? "" : text.substr(equals + 1);
    const std::size_t colon = files.find(':');
    const std::string certificate = files.substr(0, colon);
    const std::string key = colon == std::string::npos ? certificate : files.substr(colon + 1);
    if (certificate.empty() || key.empty() || key.find(':') != std::string::npos) {
      return fail(Code::kInvalid,
                  std::string(kFlag) + " takes HOST=CERT:KEY, two PEM files without ':' in their names");
    }
    auto identity = tls::load_client_identity(certificate, key);
    if (!identity) return about_flag(identity.error());
    const Status added = loaded.hosts_.add(std::string_view(text).substr(0, equals), loaded.identities_.size());
    if (!added) return about_flag(added.error());
    loaded.identities_.push_back(*std::move(identity));
  }
  return loaded;
}

}  // namespace sluice::proxy
