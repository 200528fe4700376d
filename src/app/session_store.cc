#include "app/session_store.h"

#include <cstring>

#include "app/trusted_file.h"
#include "base/beneath.h"

namespace sluice::app {
namespace {

using IfAbsent = BeneathFileSystem::IfAbsent;

constexpr ByteCount kMostKeyFile = 4 * kKiB;

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

Result<session::OperatorKeyPtr> load_sessions_key(const Config& config) {
  const auto named = [](Result<session::OperatorKeyPtr> key, const std::string& name) -> decltype(key) {
    if (!key) return fail(key.error().code, name + ' ' + key.error().message);
    return key;
  };
  if (!config.engine.sessions_key_file.empty()) {
    const std::string path = absolute_path(config.engine.sessions_key_file);
    auto text = load_trusted(path, kMostKeyFile, Readers::kSelf);
    if (!text) return fail(Error(text.error()).with_context("--sessions-key-file"));
    auto key = session::OperatorKey::parse(*text);
    ::explicit_bzero(text->data(), text->size());
    return named(std::move(key), "--sessions-key-file " + path);
  }
  if (!config.sessions_key) return nullptr;
  return named(session::OperatorKey::parse(config.sessions_key->view()), "SLUICE_SESSIONS_KEY");
}

session::StoreDeps session_deps(const Home& home, const Clock& clock, Entropy& entropy, session::RootArchive& archive,
                                const AllowedRoots& roots, session::OperatorKeyPtr key) {
  session::StoreDeps deps{clock, entropy, nullptr, &archive, real_path(home.sessions()), {}, {}, {}};
  deps.open_given = [&roots](const std::string& storage_dir) -> Result<session::Root> {
    SLUICE_TRY(Place place, roots.directory(storage_dir, "storage_dir", IfAbsent::kMake));
    return session::Root{std::move(place.path), std::move(place.files)};
  };
  deps.open_known = open_known;
  deps.key = std::move(key);
  return deps;
}

}  // namespace sluice::app
