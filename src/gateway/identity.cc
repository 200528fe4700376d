#include "gateway/identity.h"

#include "base/text.h"

namespace sluice::gateway {

std::optional<Identity> OneIdentity::identify(std::optional<std::string_view> token) {
  if (token_.empty() || (token && constant_time_equal(*token, token_))) return identity_;
  return std::nullopt;
}

}  // namespace sluice::gateway
