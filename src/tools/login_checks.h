// The login checks of each grant (analysis.md): a request that tells whether a session still lives, and what its answer
// must be like. In memory; what one grant has no other sees. Thread-safe; bounded.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "analysis/expectation.h"
#include "base/result.h"
#include "flow/exchange.h"

namespace sluice::tools {

struct LoginCheck {
  std::string name;
  flow::Exchange exchange;   // the request to send
  std::string content;       // of its body, as it was on the wire
  std::string headers_json;  // fields to set, session variables in them; may be empty
  analysis::Expectation expectation;
};
using LoginCheckPtr = std::shared_ptr<const LoginCheck>;

class LoginChecks {
 public:
  static constexpr std::size_t kMaxOfGrant = 20;
  static constexpr std::size_t kMaxGrants = 1'000;
  static constexpr ByteCount kMaxContent = 64 * kKiB;

  // In place of one of the same name. kTooLarge: a limit above.
  Status set(const std::string& grant, LoginCheck check);
  bool erase(const std::string& grant, std::string_view name);
  LoginCheckPtr find(const std::string& grant, std::string_view name) const;  // nullptr: none
  // The first of this origin; nullptr: none.
  LoginCheckPtr of_origin(const std::string& grant, std::string_view scheme, std::string_view host,
                          std::uint16_t port) const;
  std::vector<LoginCheckPtr> of(const std::string& grant) const;  // by name

 private:
  mutable std::mutex mutex_;
  std::map<std::string, std::map<std::string, LoginCheckPtr, std::less<>>> grants_;
};

}  // namespace sluice::tools
