// What is known of a recording without reading it: `manifest.json` in its directory, the contract's shape
// (proxy.md d, engine.md 10). docs/formats/session.md. Values; pure but for load and save.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/entropy.h"
#include "base/file.h"
#include "base/json.h"
#include "base/result.h"
#include "session/keys.h"

namespace sluice::session {

inline constexpr int kSchemaVersion = 1, kSealedSchemaVersion = 2;  // the latter: of encrypted recordings
inline constexpr ByteCount kPreviewBody = 64 * kKiB;  // of each body, on the wire, that `preview` stores (engine.md 10)

enum class Profile { kPreview, kFull };
enum class OnCap { kStop, kDropOldest };
enum class Recovery { kClean, kRecovered, kError };
std::string_view to_string(Profile profile);    // "preview", "full"
std::string_view to_string(OnCap on_cap);       // "stop", "drop_oldest"
std::string_view to_string(Recovery recovery);  // "clean", …
std::optional<Profile> find_profile(std::string_view name);
std::optional<OnCap> find_on_cap(std::string_view name);

struct Manifest {
  std::string id;
  std::optional<std::string> name;
  Profile profile = Profile::kPreview;
  OnCap on_cap = OnCap::kStop;
  std::string root;  // the directory that holds the session's
  std::uint64_t max_disk_mb = 1024;
  std::int64_t created_ms = 0, started_ms = 0;
  std::optional<std::int64_t> ended_ms;
  bool active = false;  // it is being written, or whoever wrote it died
  Recovery recovery = Recovery::kClean;
  std::uint64_t exchanges = 0;
  ByteCount bytes_written = 0;       // of segments
  std::uint64_t dropped_writes = 0;  // records that are not there: the cap, the disk, no room in memory
  std::uint64_t last_sequence = 0;
  std::optional<std::int64_t> last_flush_ms;  // what was there then survives a loss of power
  std::optional<std::string> last_error;
  // Beyond the contract.
  std::uint64_t dropped_exchanges = 0;  // with the oldest segments
  ByteCount bytes_cut = 0;              // of bodies, for want of room; not what the profile leaves out
  std::uint64_t segments = 0;
  std::optional<Encryption> encryption;  // what holds traffic is encrypted; the name of one that was loaded is in here
};

Json manifest_json(const Manifest& manifest);  // the contract's keys in its order, then ours
// The same as it is stored: of an encrypted one without what it is called.
std::string manifest_text(const Manifest& manifest, JsonStyle style);
// kInvalid: damaged; kConflict: made by a newer Sluice.
Result<Manifest> parse_manifest(std::string_view text);

// ^[0-9]{14}_[0-9a-z]{8}$: what is no such id never becomes part of a path.
bool is_session_id(std::string_view id);
std::string make_session_id(WallTime now, Entropy& entropy);
// Of the first 14 digits; nullopt: no date.
std::optional<std::int64_t> created_ms_of(std::string_view id);

// What stands where in a session's directory.
std::string manifest_path(const std::string& directory);
std::string lock_path(const std::string& directory);
std::string index_path(const std::string& directory);
std::string segments_path(const std::string& directory);
std::string segment_path(const std::string& directory, std::uint32_t number);

Result<Manifest> load_manifest(FileSystem& files, const std::string& directory);
Status save_manifest(FileSystem& files, const std::string& directory, const Manifest& manifest);

}  // namespace sluice::session
