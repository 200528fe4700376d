// Logins at servers over HTTP (gateway/login_store.h) as the programs of a home have them.
#pragma once

#include "app/home.h"
#include "base/clock.h"
#include "gateway/login_bearer.h"

namespace sluice::app {

// Sealed by `logins.key` of the home, which is made when it is needed. `home`, `files` and `entropy` outlive it.
gateway::LoginStore open_logins(const Home& home, FileSystem& files, Entropy& entropy);

}  // namespace sluice::app
