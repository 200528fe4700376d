// What is given to a client to bring back, so that it can neither read nor change it: AES-256-GCM (NIST SP 800-38D)
// under a key of this process. Pure but for the entropy; one thread at a time.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/entropy.h"
#include "base/json.h"

namespace sluice::gateway {

class Seal {
 public:
  explicit Seal(Entropy& entropy);
  // Text; empty: it could not be sealed.
  std::string close(const Json& content);
  // nullopt: it was altered, or sealed by another process.
  std::optional<Json> open(std::string_view text) const;

 private:
  Entropy& entropy_;
  std::string key_;
};

}  // namespace sluice::gateway
