// What one entry of a HAR file says, as an exchange: HAR 1.2 as Chrome, Firefox, Safari, Charles, Fiddler, mitmproxy,
// Insomnia and Sluice write it (docs/formats/har.md says what each does of its own). What is missing is left out; what
// cannot be is refused. Header lines are made anew, so that nothing in a file writes lines of its own. Pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/json.h"
#include "base/result.h"
#include "flow/loaded.h"

namespace sluice::analysis {

struct HarEntry {
  flow::Loaded loaded;
  std::vector<std::string> warnings;  // "missing response object.", …: sentences without what the entry holds
};

// `now`: for an entry that does not say when it was. kInvalid: "missing request.method." and the like (proxy.md e).
Result<HarEntry> read_har_entry(std::string_view text, WallTime now);

// 2026-11-20T13:30:07.123Z, with any number of digits behind the point, or +02:00 instead of Z; without either: UTC.
std::optional<WallTime> parse_iso8601(std::string_view text);

}  // namespace sluice::analysis
