// `sluice gateway login` and `logout` on the command line. Private to config.cc.
#pragma once

#include <CLI/CLI.hpp>

#include "app/config.h"

namespace sluice::app {

struct LoginCommands {
  CLI::App* login;
  CLI::App* logout;
};
// Both outlive what it makes.
LoginCommands add_login_commands(CLI::App& gateway, Config& config);

}  // namespace sluice::app
