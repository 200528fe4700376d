#include "app/policy_watch.h"

#include <fmt/format.h>

#include <filesystem>

namespace sluice::app {
namespace {

constexpr std::chrono::milliseconds kTick{250};
constexpr unsigned kTicksOfSync = 4;
constexpr std::size_t kMostLines = 50;  // of one policy's problems

void print_lines(const std::vector<std::string>& lines, std::string_view kind) {
  for (std::size_t i = 0; i < lines.size() && i < kMostLines; ++i) fmt::print(stderr, "sluice: {}{}\n", kind, lines[i]);
  if (lines.size() > kMostLines) fmt::print(stderr, "sluice: … and {} more\n", lines.size() - kMostLines);
}

}  // namespace

Status PolicyWatch::load() {
  const LoadedPolicy loaded = path().empty() ? load_full_policy() : load_policy(path(), &mark_, options_.tools);
  print_lines(loaded.warnings, "warning: ");
  if (loaded.engine) {
    put_in_force(loaded.engine);
    return {};
  }
  if (loaded.errors.size() == 1)
    return fail(Code::kRefused, "the policy is not put in force: " + loaded.errors.front());
  print_lines(loaded.errors, "");
  return fail(Code::kRefused,
              fmt::format("the policy {} is not put in force: {} errors", path(), loaded.errors.size()));
}

void PolicyWatch::start(std::function<void()> on_change, std::function<void()> on_tick) {
  on_change_ = std::move(on_change);
  on_tick_ = std::move(on_tick);
  grants_.on_change([this] { take_grants(); });
  grants_.refresh();
  wait();
}

void PolicyWatch::wait() {
  timer_.expires_after(kTick);
  timer_.async_wait([this](const boost::system::error_code& error) {
    if (error) return;
    grants_.refresh();
    if (on_tick_) on_tick_();
    if (options_.reload == Reload::kYes) {
      if (!path().empty()) look();
      look_at_grants();
    }
    if (++ticks_ % kTicksOfSync == 0) {
      if (const Status synced = store_.sync(); !synced) log_.error("counters", {{"reason", synced.error().message}});
    }
    wait();
  });
}

gateway::PolicyGate::EnginePtr PolicyWatch::take(const std::string& path, FileMark& mark, bool first) {
  LoadedPolicy loaded = load_policy(path, &mark, options_.tools);
  if (loaded.engine) {
    if (const Status placed = check_place(path); !placed) {
      loaded.engine.reset();
      loaded.errors.push_back(placed.error().message);
    }
  }
  if (!options_.tells_of_grants && path != options_.path) return loaded.engine;
  if (!loaded.engine) {
    fmt::print(stderr, "sluice: {} {}\n", path,
               first ? "is not put in force: calls of its grants are denied"
                     : "changed and is not taken; the policy before it stays in force");
    print_lines(loaded.errors, "");
  } else {
    print_lines(loaded.warnings, "warning: ");
  }
  return loaded.engine;
}

void PolicyWatch::look() {
  const FileMark now = mark_of(path());
  if (now == mark_) return;
  mark_ = now;
  auto engine = take(path(), mark_, false);
  if (!engine || engine->revision() == gate_.policy()->revision()) return;
  fmt::print(stderr, "sluice: {} changed; it is in force from now on\n", path());
  put_in_force(std::move(engine));
  if (on_change_) on_change_();
}

void PolicyWatch::put_in_force(gateway::PolicyGate::EnginePtr engine) {
  if (options_.egress) options_.egress->set_default(engine);
  gate_.set_policy(std::move(engine));
}

// The folder of the policy of `default` is closed to tools; a grant's is, if no tool is let in anyway.
Status PolicyWatch::check_place(const std::string& path) const {
  if (path == options_.path) return {};
  namespace fs = std::filesystem;
  std::error_code ignored;
  const auto is_beneath = [&](const fs::path& folder, const std::string& root) {
    const fs::path real = fs::weakly_canonical(root, ignored);
    const fs::path below = folder.lexically_relative(real);
    return !below.empty() && *below.begin() != "..";
  };
  const fs::path folder = fs::weakly_canonical(fs::path(path), ignored).parent_path();
  if (is_beneath(folder, options_.home)) return {};
  if (!options_.path.empty() && is_beneath(folder, fs::path(options_.path).parent_path().string())) return {};
  for (const std::string& root : options_.tool_roots) {
    if (is_beneath(folder, root)) {
      return fail(Code::kRefused, fmt::format("{} lies beneath --allow-root {}, where tools read: move it to {}", path,
                                              root, options_.home));
    }
  }
  return {};
}

void PolicyWatch::look_at_grants() {
  bool changed = false;
  for (auto& [path, watched] : files_) {
    const FileMark now = mark_of(path);
    if (now == watched.mark) continue;
    watched.mark = now;
    auto engine = take(path, watched.mark, !watched.engine);
    if (!engine || (watched.engine && engine->revision() == watched.engine->revision())) continue;
    if (options_.tells_of_grants) fmt::print(stderr, "sluice: {} changed; it is in force from now on\n", path);
    watched.engine = std::move(engine);
    changed = true;
  }
  if (changed) take_grants();
}

void PolicyWatch::take_grants() {
  std::map<std::string, gateway::PolicyGate::EnginePtr, std::less<>> engines;
  std::set<std::string, std::less<>> of_endpoint;
  std::vector<gateway::EgressBook::Entry> egress;
  std::map<std::string, Watched> used;
  for (const gateway::Grant& grant : grants_.all()) {
    if (grant.policy.empty() || grant.revoked_ms != 0) continue;
    auto found = files_.find(grant.policy);
    if (found == files_.end()) {
      Watched watched;
      watched.engine = take(grant.policy, watched.mark, true);
      found = files_.emplace(grant.policy, std::move(watched)).first;
    }
    used.insert(*found);
    if (!found->second.engine) continue;
    engines.emplace(grant.name, found->second.engine);
    if (!options_.endpoint.empty() && grant.server == options_.endpoint) of_endpoint.insert(grant.name);
    egress.push_back({grant.name, found->second.engine, grant.expires_ms});
  }
  files_ = std::move(used);
  gate_.set_grant_policies(std::move(engines));
  gate_.set_endpoint(options_.endpoint, std::move(of_endpoint));
  if (options_.egress) options_.egress->set_grants(egress);
  if (on_change_) on_change_();
}

}  // namespace sluice::app
