// The rows of gate_rows.h as JSON text, as Redis holds them. Pure.
#pragma once

#include <string>
#include <string_view>

#include "gateway/gate_rows.h"

namespace sluice::gateway {

std::string to_row(const Grant& grant);
std::string to_row(const Approval& approval);
std::string to_row(const Pin& pin);
// kIo: it cannot be true; it never reads as an empty one.
Result<Grant> read_grant_row(std::string_view text);
Result<Approval> read_approval_row(std::string_view text);
Result<Pin> read_pin_row(std::string_view text);

}  // namespace sluice::gateway
