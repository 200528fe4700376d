#include "app/session_store.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <memory>

#include "base/beneath.h"
#include "base/text.h"

namespace sluice::app {
namespace {

// Without links; as it is where it does not exist.
std::string real_path(const std::string& path) {
  const std::unique_ptr<char, decltype(&std::free)> real(::realpath(path.c_str(), nullptr), &std::free);
  return real ? std::string(real.get()) : path;
}

// What of `path` lies below `root`; nullopt: none of it.
std::optional<std::string> below(const std::string& root, const std::string& path) {
  if (path == root) return "";
  const std::string slashed = root.ends_with('/') ? root : root + "/";
  if (!path.starts_with(slashed)) return std::nullopt;
  return path.substr(slashed.size());
}

bool leads_elsewhere(std::string_view path) {
  while (!path.empty()) {
    const std::string_view step = path.substr(0, path.find('/'));
    path.remove_prefix(std::min(path.size(), step.size() + 1));
    if (step == "." || step == ".." || step.find('\0') != step.npos) return true;
  }
  return false;
}

Result<session::Root> root_at(const std::string& top, const std::string& rest, BeneathFileSystem::IfAbsent absent) {
  SLUICE_TRY(auto files, BeneathFileSystem::open(top, rest, absent));
  session::Root root;
  root.path = files->path();
  root.files = std::move(files);
  return root;
}

Result<session::Root> open_given(const SessionPlaces& places, const std::string& sessions,
                                 const std::string& storage_dir) {
  const std::string shown = repair_utf8(storage_dir.substr(0, 200));
  const auto refused = [&] {
    return fail(Code::kRefused, fmt::format("storage_dir \"{}\" lies under no allowed root (--allow-root).", shown));
  };
  if (storage_dir.empty() || leads_elsewhere(storage_dir)) return refused();
  const std::string home = real_path(sessions);
  const auto try_beneath = [&](const std::string& allowed) -> std::optional<Result<session::Root>> {
    const std::string top = real_path(allowed);
    const std::string path = storage_dir.starts_with('/') ? storage_dir : top + "/" + storage_dir;
    auto rest = below(top, path);
    if (!rest) rest = below(allowed, path);
    if (!rest) return std::nullopt;
    // No step of `rest` will be a link, so that this is where it leads.
    const std::string real = rest->empty() ? top : top + "/" + *rest;
    const bool closed = std::any_of(places.closed.begin(), places.closed.end(),
                                    [&](const std::string& one) { return below(real_path(one), real).has_value(); });
    if (closed && !below(home, real)) return Result<session::Root>(refused());
    return root_at(top, *rest, BeneathFileSystem::IfAbsent::kMake);
  };
  if (storage_dir.starts_with('/')) {
    if (auto root = try_beneath(home)) return *std::move(root);
  }
  for (const std::string& allowed : places.allowed) {
    if (auto root = try_beneath(allowed)) return *std::move(root);
  }
  return refused();
}

}  // namespace

session::StoreDeps session_deps(const Home& home, const Clock& clock, Entropy& entropy, session::RootArchive& archive,
                                SessionPlaces places) {
  session::StoreDeps deps{clock, entropy, nullptr, &archive, real_path(home.sessions()), {}, {}, {}};
  deps.open_given = [places = std::move(places), sessions = home.sessions()](const std::string& storage_dir) {
    return open_given(places, sessions, storage_dir);
  };
  deps.open_known = [](const std::string& path) { return root_at("/", path, BeneathFileSystem::IfAbsent::kFail); };
  return deps;
}

}  // namespace sluice::app
