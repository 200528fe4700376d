#include "app/policy_watch.h"

#include <fmt/format.h>

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
  const LoadedPolicy loaded = path_.empty() ? load_full_policy() : load_policy(path_, &mark_);
  print_lines(loaded.warnings, "warning: ");
  if (loaded.engine) {
    gate_.set_policy(loaded.engine);
    return {};
  }
  if (loaded.errors.size() == 1)
    return fail(Code::kRefused, "the policy is not put in force: " + loaded.errors.front());
  print_lines(loaded.errors, "");
  return fail(Code::kRefused, fmt::format("the policy {} is not put in force: {} errors", path_, loaded.errors.size()));
}

void PolicyWatch::start(std::function<void()> on_change) {
  on_change_ = std::move(on_change);
  wait();
}

void PolicyWatch::wait() {
  timer_.expires_after(kTick);
  timer_.async_wait([this](const boost::system::error_code& error) {
    if (error) return;
    if (reload_ == Reload::kYes) look();
    if (++ticks_ % kTicksOfSync == 0) {
      if (const Status synced = store_.sync(); !synced) log_.error("counters", {{"reason", synced.error().message}});
    }
    wait();
  });
}

void PolicyWatch::look() {
  const FileMark now = mark_of(path_);
  if (now == mark_) return;
  mark_ = now;
  LoadedPolicy loaded = load_policy(path_, &mark_);
  if (!loaded.engine) {
    fmt::print(stderr, "sluice: {} changed and is not taken; the policy before it stays in force\n", path_);
    return print_lines(loaded.errors, "");
  }
  print_lines(loaded.warnings, "warning: ");
  if (loaded.engine->revision() == gate_.policy()->revision()) return;
  fmt::print(stderr, "sluice: {} changed; it is in force from now on\n", path_);
  gate_.set_policy(std::move(loaded.engine));
  if (on_change_) on_change_();
}

}  // namespace sluice::app
