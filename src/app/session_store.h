// The recordings of one home, for a running program and for the command line. Built in wiring and in
// sessions_commands.
#pragma once

#include <string>
#include <vector>

#include "app/home.h"
#include "session/session.h"

namespace sluice::app {

struct SessionPlaces {
  std::vector<std::string> allowed;  // --allow-root: where a storage_dir may lie
  std::vector<std::string> closed;   // Sluice's own folder, the policy's: nothing is recorded beneath
};

session::StoreDeps session_deps(const Home& home, const Clock& clock, Entropy& entropy, session::RootArchive& archive,
                                SessionPlaces places);

}  // namespace sluice::app
