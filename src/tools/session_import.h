// Files of other programs become recordings: read as streams, in memory that the longest entry bounds. Behind
// proxy_import_har, load_traffic_file and `sluice sessions import`.
#pragma once

#include <functional>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/file.h"
#include "base/json.h"
#include "flow/loaded.h"
#include "session/session.h"

namespace sluice::tools {

inline constexpr std::size_t kMostWarnings = 100;

struct ImportSummary {
  std::uint64_t total = 0, imported = 0;
  std::uint64_t left_out = 0;  // whoever takes them did not want them
  std::uint64_t errors = 0;    // damaged entries, which were passed over
  std::optional<std::int64_t> first_ms, last_ms;
  std::vector<std::string> warnings;  // the first kMostWarnings, errors included
};

struct ImportReading {
  bool strict = false;  // the first damaged entry ends it
  const Clock& clock;
  std::stop_token stop;
  std::function<bool()> enough;                                 // time ran out; may be empty
  std::function<void(ByteCount done, ByteCount all)> progress;  // of the file; may be empty
};

// Gets each exchange; false: it is not wanted. A failure of it ends all.
using TakeLoaded = std::function<Result<bool>(flow::Loaded&& loaded)>;

// kInvalid: it is no HAR, or `strict` and an entry is damaged; kCancelled, kTimeout, kIo, or what `take` failed with.
Result<ImportSummary> read_har_file(const File& file, const ImportReading& reading, const TakeLoaded& take);

// The same, or a flow file of mitmproxy: by the first octet, "{" or a byte order mark for HAR. kConflict: of a format
// that is not read. Flows that are not HTTP are left out.
Result<ImportSummary> read_traffic_file(const File& file, const ImportReading& reading, const TakeLoaded& take);

struct HarImportOptions {
  session::Store::ImportOptions session;  // without a name: har-import-<the file's>
};
// What proxy_import_har answers. After a failure there is no new session.
Result<Json> import_har_file(session::Store& sessions, const File& file, const std::string& path,
                             HarImportOptions options, const ImportReading& reading);

}  // namespace sluice::tools
