#include "app/state_open.h"

#include <fmt/format.h>
#include <strings.h>

#include "app/trusted_file.h"
#include "base/text.h"
#include "gateway/gate_db.h"
#include "gateway/pin_store.h"
#include "gateway/policy_store.h"
#include "gateway/redis_state.h"
#include "gateway/redis_store.h"
#include "gateway/state_memory.h"

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

// A move to Redis takes nothing along, which nobody should find out from a server whose tools are accepted anew.
void tell_what_stays(const Home& home) {
  gateway::GateDb before(home.state_db());
  const auto grants = before.grants();
  const auto pins = gateway::PinStore(before).load();
  if (!grants || !pins || (grants->empty() && pins->empty())) return;
  fmt::print(stderr,
             "sluice: {} grants and {} pins of this home's state.db are not used with --state: what Redis has counts, "
             "and servers are seen there for the first time\n",
             grants->size(), pins->size());
}

}  // namespace

Status check_state_options(const EngineConfig& config) {
  if (config.state.empty()) {
    if (config.state_password_file.empty()) return {};
    return fail(Code::kInvalid, "--state-password-file goes with --state");
  }
  SLUICE_CHECK(gateway::parse_redis_address(config.state));
  if (config.state_password_file.empty()) return {};
  auto password = load_password(absolute_path(config.state_password_file));
  return password ? Status() : fail(Error(password.error()).with_context("--state-password-file"));
}

std::shared_ptr<gateway::RedisLink> make_state_link(const EngineConfig& config, const Clock& clock, Entropy& entropy) {
  const auto address = gateway::parse_redis_address(config.state);
  if (config.state.empty() || !address) return nullptr;
  gateway::RedisLink::Options options;
  options.address = *address;
  if (!config.state_password_file.empty()) {
    options.password = [path = absolute_path(config.state_password_file)] { return load_password(path); };
  }
  return std::make_shared<gateway::RedisLink>(clock, entropy, std::move(options));
}

std::unique_ptr<policy::StateStore> make_counters(std::shared_ptr<gateway::RedisLink> link, const Home& home) {
  if (!link) return std::make_unique<gateway::PolicyStore>(home.state_db());
  return std::make_unique<gateway::RedisStore>(std::move(link));
}

std::unique_ptr<gateway::GateRows> make_gate_state(std::shared_ptr<gateway::RedisLink> link, const Home& home) {
  if (!link) return std::make_unique<gateway::GateDb>(home.state_db());
  return std::make_unique<gateway::RedisState>(std::move(link), home.state_db());
}

std::shared_ptr<gateway::RemoteState> make_remote_state(boost::asio::any_io_executor control,
                                                        const EngineConfig& config, const Home& home,
                                                        const Clock& clock, Entropy& entropy) {
  auto link = make_state_link(config, clock, entropy);
  if (!link) return nullptr;
  return std::make_shared<gateway::RemoteState>(std::move(control), clock, std::move(link), home.state_db());
}

Status check_state(gateway::RemoteState* remote, const Home& home) {
  if (!remote) return {};
  const auto known = gateway::StateMemory(home.state_db()).find(remote->link->place());
  const auto revision = remote->rows.revision(gateway::GateRows::Part::kGrants);
  if (revision) {
    if (known && !*known) tell_what_stays(home);
    return {};
  }
  if (revision.error().code != Code::kUnavailable) return fail(revision.error());
  fmt::print(stderr,
             "sluice: {}; calls that count are denied until it can be used, and so is whatever needs grants, approvals "
             "or pins\n",
             revision.error().message);
  return {};
}

Status check_no_other_state(const Home& home) {
  SLUICE_TRY(const auto places, gateway::StateMemory(home.state_db()).places());
  if (places.empty()) return {};
  return fail(Code::kRefused,
              fmt::format("gateways of this home have their state at {}: say so with --state, or, where "
                          "none does any more, `sluice gate adopt --state …` forgets it",
                          places.front()));
}

void warn_of_other_states(const Home& home) {
  const auto places = gateway::StateMemory(home.state_db()).places();
  if (!places) return;  // whoever needs state.db says so
  for (const std::string& place : *places) {
    fmt::print(stderr, "sluice: this is about state.db; gateways of this home have their state at {} (--state)\n",
               place);
  }
}

}  // namespace sluice::app
