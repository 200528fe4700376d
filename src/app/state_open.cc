#include "app/state_open.h"

#include <fmt/format.h>
#include <strings.h>

#include "app/trusted_file.h"
#include "base/text.h"
#include "gateway/policy_store.h"
#include "gateway/redis_store.h"

namespace sluice::app {
namespace {

constexpr ByteCount kMaxPassword = 4 * kKiB;

Result<Secret> load_password(const std::string& path) {
  SLUICE_TRY(std::string text, load_trusted(path, kMaxPassword, Readers::kSelf));
  Secret password(trim(std::string_view(text).substr(0, text.find('\n'))));
  ::explicit_bzero(text.data(), text.size());
  if (password.empty()) return fail(Code::kInvalid, path + " holds no password in its first line");
  return password;
}

}  // namespace

std::unique_ptr<policy::StateStore> make_state_store(const EngineConfig& config, const Home& home, const Clock& clock,
                                                     Entropy& entropy) {
  const auto address = gateway::parse_redis_address(config.state);
  if (config.state.empty() || !address) return std::make_unique<gateway::PolicyStore>(home.state_db());
  gateway::RedisStore::Options options;
  options.address = *address;
  if (!config.state_password_file.empty()) {
    options.password = [path = absolute_path(config.state_password_file)] { return load_password(path); };
  }
  return std::make_unique<gateway::RedisStore>(clock, entropy, std::move(options));
}

Status check_state_store(const EngineConfig& config, policy::StateStore& store) {
  if (config.state.empty()) {
    if (config.state_password_file.empty()) return {};
    return fail(Code::kInvalid, "--state-password-file goes with --state");
  }
  SLUICE_CHECK(gateway::parse_redis_address(config.state));
  if (!config.state_password_file.empty()) {
    auto password = load_password(absolute_path(config.state_password_file));
    if (!password) return fail(Error(password.error()).with_context("--state-password-file"));
  }
  auto* redis = dynamic_cast<gateway::RedisStore*>(&store);
  Status usable = redis ? redis->check() : Status();
  if (usable || usable.error().code != Code::kUnavailable) return usable;
  fmt::print(stderr, "sluice: {}; calls that count are denied until it can be used\n", usable.error().message);
  return {};
}

}  // namespace sluice::app
