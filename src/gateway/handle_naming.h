// Handles in place of the masks of an answer (gate.md 7), where the caller's policy has them: a mask is one wherever it
// can be said which exchange its value is from, by an id beside it, around it, or in the arguments. Wherever the value
// is not in that exchange, or would not be found again in an answer, the mask stays.
// One call; one thread.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/json.h"
#include "tools/secret_values.h"

namespace sluice::gateway {

class HandleNaming {
 public:
  // All outlive it. `services.handles` is there.
  HandleNaming(tools::Services& services, const std::string& grant, std::stop_token stop)
      : services_(services), grant_(grant), stop_(std::move(stop)) {}

  void put_handles(const Json& arguments, Json& answer);

 private:
  using Ids = std::vector<std::string>;
  void walk(Json& value);
  void put(std::string& text);
  std::optional<std::string> handle_for(std::string_view mask);
  tools::ExchangeSecrets* secrets_of(const std::string& exchange);
  std::size_t enter(const Json& object);

  tools::Services& services_;
  const std::string& grant_;
  const std::stop_token stop_;
  std::string session_;
  std::optional<tools::SecretSource> source_;
  Ids ids_;  // that what is looked at may be from: the nearest last
  std::map<std::string, std::optional<tools::ExchangeSecrets>> exchanges_;
  ByteCount budget_ = 0;  // of bodies
};

}  // namespace sluice::gateway
