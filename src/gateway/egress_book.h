// The `egress` of each grant's policy, as whoever dials asks it (gate.md 3, docs/policy.md): what is in force at that
// moment, so that a policy that changed and a grant that ended count at once. A grant without a policy reaches nothing;
// `owner` is never limited. In monitor mode what would be refused passes and is counted.
// Thread-safe: the control thread sets, workers ask.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "net/dial.h"
#include "policy/egress.h"
#include "policy/engine.h"

namespace sluice::gateway {

class EgressBook final : public net::Egress {
 public:
  explicit EgressBook(const Clock& clock) : clock_(clock) {}

  using EnginePtr = std::shared_ptr<const policy::Engine>;
  void set_default(const EnginePtr& engine);  // of the grant `default`
  struct Entry {
    std::string grant;
    EnginePtr engine;
    std::int64_t expires_ms = 0;  // 0: never
  };
  void set_grants(const std::vector<Entry>& entries);  // all others

  Status may_look_up(std::string_view grant, std::string_view name, std::uint16_t port) override;
  Status may_name(std::string_view grant, std::string_view name, std::uint16_t port) override;
  Status may_reach(std::string_view grant, std::string_view name, const net::asio::ip::address& address,
                   std::uint16_t port) override;
  std::uint64_t revision(std::string_view grant) override;

  // What was refused (or, observed, would have been) since the last call: for the audit.
  struct Refusals {
    std::string grant;
    bool observed = false;
    std::uint64_t count = 0;
    WallTime since{};
  };
  std::vector<Refusals> take_refusals();

 private:
  struct Terms {
    std::optional<policy::EgressSet> set;  // nullopt: anywhere
    bool is_monitor = false;
    std::int64_t expires_ms = 0;
    std::uint64_t revision = 0;
  };
  using TermsPtr = std::shared_ptr<const Terms>;
  static TermsPtr terms_of(const EnginePtr& engine, std::int64_t expires_ms);
  TermsPtr find(std::string_view grant);  // null: it has none, or has ended
  template <class Allows>
  Status judge(std::string_view grant, std::string_view name, std::uint16_t port, const Allows& allows);
  void count(std::string_view grant, bool observed);

  const Clock& clock_;
  std::mutex mutex_;
  TermsPtr default_;
  std::map<std::string, TermsPtr, std::less<>> grants_;
  std::map<std::pair<std::string, bool>, Refusals> refusals_;
  std::int64_t newest_ms_ = 0;  // a clock that steps back revives nothing
};

}  // namespace sluice::gateway
