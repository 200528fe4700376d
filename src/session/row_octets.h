// A row as index.db keeps it: all its members, one behind the other (docs/formats/session.md). Pure.
// Private to this folder.
#pragma once

#include <optional>
#include <string>

#include "base/bytes.h"
#include "session/row.h"

namespace sluice::session {

std::string row_octets(const Row& row);
std::optional<Row> parse_row(Bytes octets);  // nullopt: damaged

}  // namespace sluice::session
