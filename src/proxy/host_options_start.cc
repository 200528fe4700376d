#include "proxy/host_options_start.h"

namespace sluice::proxy {
namespace {

using Entries = std::vector<std::pair<std::string, HostOptions>>;

constexpr std::string_view kCertificates = "--upstream-client-cert";

Result<Entries> passed_through(const std::vector<std::string>& patterns) {
  Entries entries;
  for (const std::string& pattern : patterns) {
    if (pattern == "*") return fail(Code::kInvalid, "--passthrough takes names and *.suffix, not all hosts");
    HostOptions options;
    options.tls = TlsTreatment::kPassthrough;
    entries.emplace_back(pattern, std::move(options));
  }
  return entries;
}

// Each `HOST=CERT:KEY`, or `HOST=FILE` where the file is both.
Result<Entries> certificates(const std::vector<std::string>& given) {
  Entries entries;
  for (const std::string& text : given) {
    const std::size_t equals = text.find('=');
    const std::string files = equals == std::string::npos ? "" : text.substr(equals + 1);
    const std::size_t colon = files.find(':');
    const std::string certificate = files.substr(0, colon);
    const std::string key = colon == std::string::npos ? certificate : files.substr(colon + 1);
    if (certificate.empty() || key.empty() || key.find(':') != std::string::npos) {
      return fail(Code::kInvalid,
                  std::string(kCertificates) + " takes HOST=CERT:KEY, two PEM files without ':' in their names");
    }
    HostOptions options;
    options.client_cert_file = certificate;
    if (key != certificate) options.client_key_file = key;
    entries.emplace_back(text.substr(0, equals), std::move(options));
  }
  return entries;
}

Status add(HostOptionsStore& store, std::string_view flag, const Entries& entries) {
  auto added = store.start(entries);
  if (added) return {};
  return fail(std::move(added).error().with_context(flag));
}

}  // namespace

Status start_host_options(HostOptionsStore& store, const EngineOptions& options) {
  SLUICE_TRY(const Entries listed, passed_through(options.passthrough));
  SLUICE_CHECK(add(store, "--passthrough", listed));
  SLUICE_TRY(const Entries pairs, certificates(options.upstream_client_certs));
  SLUICE_CHECK(add(store, kCertificates, pairs));
  HostOptions all;
  if (options.upstream_insecure) all.verify_upstream = false;
  if (!options.strip_alt_svc) all.alt_svc = AltSvc::kKeep;
  if (!all.empty()) SLUICE_CHECK(add(store, "--upstream-insecure, --keep-alt-svc", {{"*", std::move(all)}}));
  return add(store, "--host-options", options.host_options);
}

}  // namespace sluice::proxy
