// The recordings of one home, for a running program and for the command line. Built in wiring and in
// sessions_commands.
#pragma once

#include <string>
#include <vector>

#include "app/config.h"
#include "app/home.h"
#include "base/allowed_roots.h"
#include "session/session.h"

namespace sluice::app {

// Where paths given by tools may lead: `allowed` (--allow-root) and recordings, not the rest of Sluice's own folder,
// nor `policy_folder` (may be empty).
AllowedRoots tool_roots(const Home& home, std::vector<std::string> allowed, const std::string& policy_folder);

// What recordings are encrypted with: the file that was named, else the environment's; null: nothing. kRefused: others
// can read the file; kInvalid: there is no key in it.
Result<session::OperatorKeyPtr> load_sessions_key(const Config& config);

session::StoreDeps session_deps(const Home& home, const Clock& clock, Entropy& entropy, session::RootArchive& archive,
                                const AllowedRoots& roots, session::OperatorKeyPtr key);

}  // namespace sluice::app
