// A word for a shell that means these octets and nothing else, whatever they are. Pure.
#pragma once

#include <string>

#include "base/bytes.h"

namespace sluice::analysis {

// '…' for what a person can read, which every shell takes; $'…' (bash, zsh, ksh; POSIX 2024) where there are control
// characters or octets that are no UTF-8, so that none of them reaches a terminal. NUL, which no word can hold, is left
// out.
std::string shell_quote(Bytes octets);

}  // namespace sluice::analysis
