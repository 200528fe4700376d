// The process that runs one proxy script: this program again, with a command of its own that no help mentions. It can
// be killed, which is the only way to stop a loop. It has no environment but what was meant for it, no descriptors but
// the connection on which it is asked (wire.h), limits of its own, and dies with the thread that started it.
#pragma once

#include <string>
#include <vector>

#include "base/bytes.h"

namespace sluice::pac {

inline constexpr const char* kChildCommand = "pac-child";

// After the program's name: for the parent. And the child's environment: names are to be looked up within seconds.
std::vector<std::string> child_arguments();
std::vector<std::string> child_environment();

// True if main() got child_arguments(): it should do nothing before, and return run_child().
bool is_child(int argc, char** argv);
int run_child(char** argv);

}  // namespace sluice::pac
