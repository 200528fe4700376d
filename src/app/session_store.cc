#include "app/session_store.h"

#include "base/beneath.h"

namespace sluice::app {
namespace {

using IfAbsent = BeneathFileSystem::IfAbsent;

Result<session::Root> open_known(const std::string& path) {
  SLUICE_TRY(auto files, BeneathFileSystem::open("/", path, IfAbsent::kFail));
  session::Root root;
  root.path = files->path();
  root.files = std::move(files);
  return root;
}

}  // namespace

AllowedRoots tool_roots(const Home& home, std::vector<std::string> allowed, const std::string& policy_folder) {
  AllowedRoots::Options options{std::move(allowed), home.sessions(), {home.path()}};
  if (!policy_folder.empty()) options.closed.push_back(policy_folder);
  return AllowedRoots(std::move(options));
}

session::StoreDeps session_deps(const Home& home, const Clock& clock, Entropy& entropy, session::RootArchive& archive,
                                const AllowedRoots& roots) {
  session::StoreDeps deps{clock, entropy, nullptr, &archive, real_path(home.sessions()), {}, {}, {}};
  deps.open_given = [&roots](const std::string& storage_dir) -> Result<session::Root> {
    SLUICE_TRY(Place place, roots.directory(storage_dir, "storage_dir", IfAbsent::kMake));
    return session::Root{std::move(place.path), std::move(place.files)};
  };
  deps.open_known = open_known;
  return deps;
}

}  // namespace sluice::app
