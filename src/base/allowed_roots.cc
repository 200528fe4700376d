#include "base/allowed_roots.h"

#include <algorithm>
#include <cstdlib>
#include <optional>

#include "base/text.h"

namespace sluice {
namespace {

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

Error refusal(const std::string& path, std::string_view what) {
  return {Code::kRefused, std::string(what) + " \"" + repair_utf8(path.substr(0, 200)) +
                              "\" lies under no allowed root (--allow-root)."};
}

}  // namespace

std::string real_path(const std::string& path) {
  const std::unique_ptr<char, decltype(&std::free)> real(::realpath(path.c_str(), nullptr), &std::free);
  return real ? std::string(real.get()) : path;
}

Result<Place> AllowedRoots::directory(const std::string& path, std::string_view what,
                                      BeneathFileSystem::IfAbsent absent) const {
  if (path.empty() || leads_elsewhere(path)) return fail(refusal(path, what));
  const std::string own = options_.own.empty() ? "" : real_path(options_.own);
  const auto try_beneath = [&](const std::string& allowed) -> std::optional<Result<Place>> {
    const std::string top = real_path(allowed);
    const std::string whole = path.starts_with('/') ? path : top + "/" + path;
    auto rest = below(top, whole);
    if (!rest) rest = below(allowed, whole);
    if (!rest) return std::nullopt;
    // No step of `rest` will be a link, so that this is where it leads.
    const std::string real = rest->empty() ? top : top + "/" + *rest;
    const bool closed = std::any_of(options_.closed.begin(), options_.closed.end(),
                                    [&](const std::string& one) { return below(real_path(one), real).has_value(); });
    if (closed && (own.empty() || !below(own, real))) return Result<Place>(fail(refusal(path, what)));
    auto files = BeneathFileSystem::open(top, *rest, absent);
    if (!files) return Result<Place>(fail(std::move(files.error())));
    Place place;
    place.path = (*files)->path();
    place.files = *std::move(files);
    return Result<Place>(std::move(place));
  };
  if (path.starts_with('/') && !own.empty()) {
    if (auto place = try_beneath(own)) return *std::move(place);
  }
  for (const std::string& allowed : options_.allowed) {
    if (auto place = try_beneath(allowed)) return *std::move(place);
  }
  return fail(refusal(path, what));
}

Result<Place> AllowedRoots::file(const std::string& path, std::string_view what) const {
  const std::size_t slash = path.rfind('/');
  const std::string name = slash == path.npos ? path : path.substr(slash + 1);
  if (name.empty() || leads_elsewhere(name)) return fail(refusal(path, what));
  std::string parent = slash == path.npos ? "" : path.substr(0, std::max<std::size_t>(slash, 1));
  if (parent.empty()) {
    if (options_.allowed.empty()) return fail(refusal(path, what));
    parent = options_.allowed.front();
  }
  SLUICE_TRY(Place place, directory(parent, what, BeneathFileSystem::IfAbsent::kFail));
  place.path += "/" + name;
  return place;
}

}  // namespace sluice
