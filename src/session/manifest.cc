#include "session/manifest.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <ctime>
#include <utility>

#include "base/text.h"

namespace sluice::session {
namespace {

constexpr std::size_t kDigits = 14, kLetters = 8;
constexpr ByteCount kMostManifest = 1 * kMiB;
constexpr std::string_view kCipher = "AES-256-GCM";

template <class T>
Json nullable(const std::optional<T>& value) {
  return value ? Json(*value) : Json();
}

// Reads members of one object; what is missing or of another kind makes the whole damaged.
class Members {
 public:
  explicit Members(const Json& json) : json_(json) {}

  std::uint64_t count(const char* name) {
    const Json* value = find_member(json_, name);
    if (value && value->is_number_unsigned()) return value->get<std::uint64_t>();
    good_ = false;
    return 0;
  }
  std::uint64_t count_or_zero(const char* name) { return find_member(json_, name) ? count(name) : 0; }
  std::string text(const char* name) {
    const Json* value = find_member(json_, name);
    if (value && value->is_string()) return value->get<std::string>();
    good_ = false;
    return "";
  }
  std::optional<std::string> maybe_text(const char* name) {
    const Json* value = find_member(json_, name);
    return value && value->is_string() ? std::optional(value->get<std::string>()) : std::nullopt;
  }
  std::optional<std::int64_t> maybe_time(const char* name) {
    const Json* value = find_member(json_, name);
    return value && value->is_number_integer() ? std::optional(value->get<std::int64_t>()) : std::nullopt;
  }
  std::string octets(const char* name) {
    const auto decoded = base64_decode(text(name));
    if (!decoded) good_ = false;
    return decoded.value_or("");
  }
  bool good() const { return good_; }

 private:
  const Json& json_;
  bool good_ = true;
};

Json encryption_json(const Encryption& encryption) {
  return {{"cipher", kCipher},
          {"keyCheck", base64_encode(encryption.key_check)},
          {"wrappedKey", base64_encode(encryption.wrapped_key)},
          {"name", base64_encode(encryption.sealed_name)}};
}

std::optional<Encryption> parse_encryption(const Json& manifest) {
  const Json* json = find_member(manifest, "encryption");
  if (!json || !json->is_object()) return std::nullopt;
  Members in(*json);
  if (in.text("cipher") != kCipher) return std::nullopt;
  Encryption encryption{in.octets("keyCheck"), in.octets("wrappedKey"), in.octets("name")};
  return in.good() ? std::optional(std::move(encryption)) : std::nullopt;
}

}  // namespace

std::string_view to_string(Profile profile) { return profile == Profile::kFull ? "full" : "preview"; }
std::string_view to_string(OnCap on_cap) { return on_cap == OnCap::kDropOldest ? "drop_oldest" : "stop"; }
std::string_view to_string(Recovery recovery) {
  switch (recovery) {
    case Recovery::kClean:
      return "clean";
    case Recovery::kRecovered:
      return "recovered";
    case Recovery::kError:
      return "error";
  }
  return "error";
}

std::optional<Profile> find_profile(std::string_view name) {
  if (name == "preview") return Profile::kPreview;
  if (name == "full") return Profile::kFull;
  return std::nullopt;
}

std::optional<OnCap> find_on_cap(std::string_view name) {
  if (name == "stop") return OnCap::kStop;
  if (name == "drop_oldest") return OnCap::kDropOldest;
  return std::nullopt;
}

Json manifest_json(const Manifest& manifest) {
  Json json = Json::object();
  auto& members = json.get_ref<Json::object_t&>();  // lists of ten thousand are made of these
  members.reserve(24);
  const auto put = [&](const char* name, Json value) { members.emplace_back(name, std::move(value)); };
  put("schemaVersion", manifest.encryption ? kSealedSchemaVersion : kSchemaVersion);
  put("id", manifest.id);
  put("name", nullable(manifest.name));
  put("captureProfile", to_string(manifest.profile));
  put("storageDir", manifest.root);
  put("maxDiskMb", manifest.max_disk_mb);
  put("createdAt", manifest.created_ms);
  put("startedAt", manifest.started_ms);
  put("endedAt", nullable(manifest.ended_ms));
  put("status", manifest.active ? "active" : "stopped");
  put("recoveryState", to_string(manifest.recovery));
  put("exchangeCount", manifest.exchanges);
  put("bytesWritten", manifest.bytes_written);
  put("droppedWrites", manifest.dropped_writes);
  put("lastSequence", manifest.last_sequence);
  put("lastFlushAt", nullable(manifest.last_flush_ms));
  put("lastError", nullable(manifest.last_error));
  put("files", {{"segments", "segments"}, {"index", "index.db"}, {"harDir", "har"}});
  put("onCap", to_string(manifest.on_cap));
  put("droppedExchanges", manifest.dropped_exchanges);
  put("bytesCut", manifest.bytes_cut);
  put("segmentCount", manifest.segments);
  put("encrypted", manifest.encryption.has_value());
  return json;
}

std::string manifest_text(const Manifest& manifest, JsonStyle style) {
  Json json = manifest_json(manifest);
  if (manifest.encryption) {
    json["name"] = nullptr;
    json["encryption"] = encryption_json(*manifest.encryption);
  }
  return dump_json(json, style);
}

Result<Manifest> parse_manifest(std::string_view text) {
  const auto json = parse_json(text);
  if (!json || !json->is_object()) return fail(Code::kInvalid, "the manifest is damaged");
  Members in(*json);
  const std::uint64_t version = in.count("schemaVersion");
  if (version > kSealedSchemaVersion || (version == kSealedSchemaVersion && !find_member(*json, "encryption"))) {
    return fail(Code::kConflict, "the session was made by a newer Sluice: use that one");
  }
  Manifest manifest;
  manifest.id = in.text("id");
  manifest.name = in.maybe_text("name");
  const auto profile = find_profile(in.text("captureProfile"));
  manifest.profile = profile.value_or(Profile::kFull);
  manifest.root = in.text("storageDir");
  manifest.max_disk_mb = in.count("maxDiskMb");
  manifest.created_ms = in.maybe_time("createdAt").value_or(0);
  manifest.started_ms = in.maybe_time("startedAt").value_or(0);
  manifest.ended_ms = in.maybe_time("endedAt");
  manifest.active = in.text("status") == "active";
  const std::string recovery = in.text("recoveryState");
  manifest.recovery = recovery == "clean"       ? Recovery::kClean
                      : recovery == "recovered" ? Recovery::kRecovered
                                                : Recovery::kError;
  manifest.exchanges = in.count("exchangeCount");
  manifest.bytes_written = in.count("bytesWritten");
  manifest.dropped_writes = in.count("droppedWrites");
  manifest.last_sequence = in.count("lastSequence");
  manifest.last_flush_ms = in.maybe_time("lastFlushAt");
  manifest.last_error = in.maybe_text("lastError");
  manifest.on_cap = find_on_cap(in.maybe_text("onCap").value_or("")).value_or(OnCap::kStop);
  manifest.dropped_exchanges = in.count_or_zero("droppedExchanges");
  manifest.bytes_cut = in.count_or_zero("bytesCut");
  manifest.segments = in.count_or_zero("segmentCount");
  if (version == kSealedSchemaVersion) {
    manifest.encryption = parse_encryption(*json);
    if (!manifest.encryption) return fail(Code::kInvalid, "the manifest is damaged");
  }
  if (!in.good() || !profile) return fail(Code::kInvalid, "the manifest is damaged");
  return manifest;
}

bool is_session_id(std::string_view id) {
  if (id.size() != kDigits + 1 + kLetters || id[kDigits] != '_') return false;
  const auto digit = [](char c) { return c >= '0' && c <= '9'; };
  const auto letter = [&](char c) { return digit(c) || (c >= 'a' && c <= 'z'); };
  return std::all_of(id.begin(), id.begin() + kDigits, digit) &&
         std::all_of(id.begin() + kDigits + 1, id.end(), letter);
}

std::string make_session_id(WallTime now, Entropy& entropy) {
  const std::time_t seconds =
      std::chrono::system_clock::to_time_t(std::chrono::time_point_cast<std::chrono::system_clock::duration>(now));
  std::tm utc{};
  ::gmtime_r(&seconds, &utc);
  std::string id = fmt::format("{:04}{:02}{:02}{:02}{:02}{:02}_", utc.tm_year + 1900, utc.tm_mon + 1, utc.tm_mday,
                               utc.tm_hour, utc.tm_min, utc.tm_sec);
  std::array<char, kLetters> random;
  entropy.fill(MutableBytes(random.data(), random.size()));
  for (const char octet : random) id += "0123456789abcdefghijklmnopqrstuvwxyz"[static_cast<unsigned char>(octet) % 36];
  return id;
}

std::optional<std::int64_t> created_ms_of(std::string_view id) {
  if (!is_session_id(id)) return std::nullopt;
  const auto number = [&](std::size_t at, std::size_t length) {
    int value = 0;
    for (const char c : id.substr(at, length)) value = value * 10 + (c - '0');
    return value;
  };
  std::tm utc{};
  utc.tm_year = number(0, 4) - 1900;
  utc.tm_mon = number(4, 2) - 1;
  utc.tm_mday = number(6, 2);
  utc.tm_hour = number(8, 2);
  utc.tm_min = number(10, 2);
  utc.tm_sec = number(12, 2);
  const std::time_t seconds = ::timegm(&utc);
  if (seconds == static_cast<std::time_t>(-1)) return std::nullopt;
  return static_cast<std::int64_t>(seconds) * 1000;
}

std::string manifest_path(const std::string& directory) { return directory + "/manifest.json"; }
std::string lock_path(const std::string& directory) { return directory + "/lock"; }
std::string index_path(const std::string& directory) { return directory + "/index.db"; }
std::string segments_path(const std::string& directory) { return directory + "/segments"; }
std::string segment_path(const std::string& directory, std::uint32_t number) {
  return fmt::format("{}/{:08}.seg", segments_path(directory), number);
}

Result<Manifest> load_manifest(FileSystem& files, const std::string& directory) {
  SLUICE_TRY(const std::string text, files.load_file(manifest_path(directory), kMostManifest));
  return parse_manifest(text);
}

Status save_manifest(FileSystem& files, const std::string& directory, const Manifest& manifest) {
  return files.save_file(manifest_path(directory), manifest_text(manifest, JsonStyle::kIndented) + "\n");
}

}  // namespace sluice::session
