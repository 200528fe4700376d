// SQLite as this folder names it.
#pragma once

#include "sqlite/sqlite_file.h"

namespace sluice::gateway {

using sqlite::SqliteFile;
using sqlite::Statement;

}  // namespace sluice::gateway
