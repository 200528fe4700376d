// Our client certificates, by the name that an origin must prove to be asked for one (--upstream-client-cert). Loaded
// once; immutable; any thread.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "proxy/host_table.h"
#include "tls/session.h"

namespace sluice::proxy {

class OriginIdentities {
 public:
  // Each `HOST=CERT:KEY`: a name, `*.suffix` or `*`, and two PEM files (one, if CERT holds the key as well:
  // `HOST=FILE`). kInvalid, kIo: one sentence that names the flag and the file.
  static Result<OriginIdentities> load(const std::vector<std::string>& given);

  // Null: none for this host. The most specific pattern decides.
  tls::ClientIdentityPtr find(std::string_view server_name) const {
    const auto found = hosts_.find(server_name);
    return found ? identities_[*found] : nullptr;
  }

 private:
  HostTable hosts_;
  std::vector<tls::ClientIdentityPtr> identities_;
};

}  // namespace sluice::proxy
