// The grants as a running program sees them: tokens are recognised, and each call asks whether its grant still holds,
// so that a change by any process counts from the next call on; a caller that is known already, at most a quarter of a
// second later where looking is slow. A token that no row has is worth a look, too, for it may be new; whoever sends
// many of them has them answered from what is known. If they cannot be read, only `default` and `owner` go on (A44).
// Where they lie elsewhere nothing here asks for them: what the mirror knows counts, and look() has it look.
// Control thread only. gate.md 2.
#pragma once

#include <algorithm>
#include <functional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "gateway/gate_mirror.h"
#include "gateway/grant_store.h"
#include "gateway/identity.h"

namespace sluice::gateway {

class Grants final : public Identities {
 public:
  // For tokens that no row has: so many looks at once, then one in each such time. What finds somebody is not counted.
  static constexpr std::size_t kMostLooks = 8;
  static constexpr std::chrono::milliseconds kLookEach{100};

  struct Options {
    std::string server = "sluice";       // grants for other servers stand for nobody here
    std::string default_token;           // of the grant `default`
    bool needs_token = true;             // false (--control-auth none): who gives none is `default`, too
    std::vector<std::string> also = {};  // other servers behind the same endpoint
  };
  Grants(const Clock& clock, GrantStore& store)
      : clock_(clock), store_(store), looks_left_(kMostLooks), looks_since_(clock.mono()) {}
  void set_options(Options options);
  // They lie there, and the store that was given is not asked any more. Outlives this.
  void set_mirror(GateMirror& mirror) { mirror_ = &mirror; }
  // What a grant is shown; made once for each.
  void set_profiles(std::function<const mcp::ServerProfile*(const std::string& grant)> make) {
    profile_of_ = std::move(make);
  }
  // Called from within any function here when rows were made, revoked or rotated.
  void on_change(std::function<void()> changed) { changed_ = std::move(changed); }
  // Told once each time that they become unreadable.
  void on_error(std::function<void(std::string_view)> told) { told_ = std::move(told); }

  std::optional<Identity> identify(std::optional<std::string_view> token) override;
  bool must_look(std::optional<std::string_view> token) const override;
  void look(std::string_view token, std::function<void()> then) override;
  bool may_be_new(std::optional<std::string_view> token) override;
  // Of `mcp --grant NAME`. kRefused: the one sentence for every reason but a missing token.
  Result<Identity> identify_stdio(const std::string& name, std::string_view token);
  bool is_valid(const Caller& caller) override;
  std::string_view unusable() const override { return why_; }

  // Reads what changed.
  void refresh();
  const std::vector<Grant>& all() const { return grants_; }  // as last read

 private:
  const Grant* find(std::string_view name) const;
  const Grant* recognise(std::string_view hash);
  bool may_look_for_new();
  void found_new() { looks_left_ = std::min(kMostLooks, looks_left_ + 1); }
  Result<std::int64_t> read_revision();
  Result<std::vector<Grant>> read_all();
  bool holds(const Grant& grant, std::string_view credential) const;
  bool is_ours(const Grant& grant) const;
  std::int64_t now();
  Identity identity_of(const std::string& grant, std::string credential) const;

  const Clock& clock_;
  GrantStore& store_;
  GateMirror* mirror_ = nullptr;
  Options options_;
  std::string default_hash_;
  std::function<const mcp::ServerProfile*(const std::string&)> profile_of_;
  std::function<void()> changed_;
  std::function<void(std::string_view)> told_;
  std::vector<Grant> grants_;
  std::int64_t revision_ = 0;
  std::int64_t newest_ms_ = 0;  // a clock that steps back revives nothing
  MonoTime looked_{};           // when the last look ended
  Duration pause_{};            // until the next one
  std::size_t looks_left_;      // at once, for tokens that no row has
  MonoTime looks_since_{};      // when they were counted last
  bool readable_ = true;
  std::string why_;  // it is not
};

}  // namespace sluice::gateway
