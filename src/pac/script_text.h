// The octets of a script as text. Pure; thread-safe.
#pragma once

#include <string>

#include "base/bytes.h"

namespace sluice::pac {

// UTF-8 without byte order mark. What has a mark is UTF-8 or UTF-16 as it says; else it is UTF-8 if it can be, and
// ISO 8859-1 otherwise: scripts are ASCII, their comments whatever somebody's editor wrote.
std::string decode_script(Bytes octets);

}  // namespace sluice::pac
