// Makes a test program the child program as well: proxy scripts run in /proc/self/exe, which is the test here. Include
// it in one file of a test program.
#pragma once

#include <cstdlib>

#include "pac/child.h"

namespace sluice::fakes {

// Before main(), which belongs to the test framework: the C library passes a constructor what it passes main().
__attribute__((constructor)) inline void run_as_pac_child(int argc, char** argv) {
  if (pac::is_child(argc, argv)) std::_Exit(pac::run_child(argv));
}

}  // namespace sluice::fakes
