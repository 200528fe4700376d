#include "session/recover.h"

#include <fmt/format.h>

#include <algorithm>
#include <unordered_set>

#include "session/index.h"
#include "session/segments.h"

namespace sluice::session {
namespace {

using capture::SegmentReader;

constexpr std::size_t kRowsAtOnce = 4'000;
constexpr std::size_t kFewSegments = 4;

class Scan {
 public:
  // `found`: nullopt: it is encrypted, and there is no key.
  Scan(FileSystem& files, std::string directory, const std::optional<KeyOf>& found, Index* index)
      : files_(files),
        directory_(std::move(directory)),
        key_(found ? found->key : nullptr),
        closed_(!found),
        index_(index) {
    report.encrypted = closed_ || key_;
    report.opened = !closed_;
  }

  Status run() {
    SLUICE_TRY(const auto numbers, list_segments(files_, directory_));
    for (const std::uint32_t number : numbers) SLUICE_CHECK(look_through(number));
    report.cut_exchanges += sealed_.size();
    for (Row& row : builder_.give_up_all()) {
      ++report.cut_exchanges;
      keep(std::move(row));
    }
    return write_rows(1);
  }

  RecoveryReport report;
  std::string facts;  // the newest that a segment holds
  std::optional<std::int64_t> created_ms;
  std::int64_t last_ms = 0;
  std::uint64_t last_seq = 0;

 private:
  Status look_through(std::uint32_t number) {
    builder_.begin_segment();
    auto file = files_.open(segment_path(directory_, number), OpenMode::kRead);
    if (!file) return fail(file.error());
    SLUICE_TRY(const ByteCount size, (*file)->size());
    ++report.segments;
    report.bytes += size;
    auto reader = read_segment(**file, key_);
    if (!reader) {
      if (reader.error().message.find("version") != std::string::npos)
        return fail(Code::kConflict, reader.error().message);
      note({number, 0, size, size < capture::kSegmentHeaderSize, reader.error().message});
      return {};
    }
    if (reader->header().sealed && !key_ && !closed_) {
      note({number, 0, size, false, "a sealed segment in a recording that is not encrypted"});
      return {};
    }
    const std::int64_t created = unix_ms(reader->header().created);
    if (!created_ms) created_ms = created;
    last_ms = std::max(last_ms, created);
    for (;;) {
      SLUICE_TRY(const SegmentReader::Step step, reader->next());
      if (step == SegmentReader::Step::kEnd) {
        report.bytes -= reader->padding();
        return {};
      }
      if (step == SegmentReader::Step::kDamage) {
        const auto& damage = reader->damage();
        note({number, damage.offset, damage.length, damage.torn, ""});
        continue;
      }
      SLUICE_CHECK(take(number, reader->record()));
    }
  }

  Status take(std::uint32_t number, const SegmentReader::Record& record) {
    ++report.records;
    if (record.type == capture::RecordType::kSession) facts = record.payload;
    if (record.sealed) {
      count_sealed(record);
      return {};
    }
    const Place place{number, static_cast<std::uint32_t>(record.place.offset), record.place.length};
    auto row = builder_.take(record.type, record.subject, place, record.payload);
    last_seq = std::max(last_seq, builder_.last_seq());
    if (row) keep(*std::move(row));
    return write_rows(kRowsAtOnce);
  }

  // What its frame says of it.
  void count_sealed(const SegmentReader::Record& record) {
    if (record.type == capture::RecordType::kOpened && sealed_.insert(record.subject).second) ++report.exchanges;
    if (record.type == capture::RecordType::kEnded) sealed_.erase(record.subject);
  }

  void note(DamagedRange range) {
    ++report.damaged_ranges;
    (range.torn ? report.torn_bytes : report.damaged_bytes) += range.length;
    if (report.damaged.size() < kMostRanges) report.damaged.push_back(std::move(range));
  }

  void keep(Row&& row) {
    ++report.exchanges;
    last_ms = std::max(last_ms, row.timestamp_ms + row.duration_ms.value_or(0));
    if (index_) rows_.push_back(std::move(row));
  }

  Status write_rows(std::size_t at_least) {
    if (rows_.size() < at_least) return {};
    SLUICE_CHECK(index_->add(rows_));
    rows_.clear();
    return {};
  }

  FileSystem& files_;
  const std::string directory_;
  const SessionKeyPtr key_;
  const bool closed_;
  Index* const index_;
  RowBuilder builder_;
  std::unordered_set<std::uint64_t> sealed_;  // exchanges that have not ended, where there is no key
  std::vector<Row> rows_;
};

// What stands in a segment's beginning of the recording; nullopt: nothing that can be read.
std::optional<Manifest> facts_of(FileSystem& files, const std::string& directory, std::uint32_t number, bool& sealed) {
  const auto file = files.open(segment_path(directory, number), OpenMode::kRead);
  if (!file) return std::nullopt;
  auto reader = SegmentReader::create(**file);
  if (!reader) return std::nullopt;
  sealed = sealed || reader->header().sealed;
  const auto step = reader->next();
  if (!step || *step != SegmentReader::Step::kRecord) return std::nullopt;
  if (reader->record().type != capture::RecordType::kSession) return std::nullopt;
  const auto facts = parse_manifest(reader->record().payload);
  return facts ? std::optional(*facts) : std::nullopt;
}

// Of a manifest that is gone, as far as the segments know.
Manifest remade(const Scan& scan, const std::string& root, const std::string& id) {
  Manifest manifest = parse_manifest(scan.facts).value_or(Manifest{});
  manifest.id = id;
  manifest.root = root;
  if (scan.facts.empty()) {
    manifest.profile = Profile::kFull;
    manifest.created_ms = manifest.started_ms = scan.created_ms.value_or(created_ms_of(id).value_or(0));
  }
  manifest.active = true;
  return manifest;
}

// Nobody writes it as long as the lock is held. kConflict: somebody does.
Result<std::unique_ptr<File>> lock_session(FileSystem& files, const std::string& directory) {
  auto lock = files.open(lock_path(directory), OpenMode::kRead);
  if (!lock && lock.error().code == Code::kNotFound) lock = files.open(lock_path(directory), OpenMode::kAppend);
  if (!lock) return fail(lock.error());
  if (const Status locked = (*lock)->lock(); !locked) {
    return fail(Code::kConflict, "The session is being written by a live process: stop it there first.");
  }
  return lock;
}

Status remove_index(FileSystem& files, const std::string& path) {
  for (const char* suffix : {"", "-wal", "-shm", "-journal"}) SLUICE_CHECK(files.remove(path + suffix));
  return {};
}

// Built beside the old one, so that there is always one.
Status rebuild(FileSystem& files, Scan& scan, Index& fresh, const std::string& building, const std::string& index) {
  SLUICE_CHECK(remove_index(files, building));
  SLUICE_CHECK(fresh.create());
  SLUICE_CHECK(scan.run());
  SLUICE_CHECK(fresh.seal());
  SLUICE_TRY(const auto built, files.open(building, OpenMode::kAppend));
  SLUICE_CHECK(built->sync());
  for (const char* suffix : {"-wal", "-shm", "-journal"}) SLUICE_CHECK(files.remove(index + suffix));
  return files.rename(building, index);
}

void fill_in(Manifest& manifest, const Scan& scan) {
  const RecoveryReport& report = scan.report;
  const bool hurt = report.damaged_ranges > 0 || report.cut_exchanges > 0;
  const bool died = manifest.active;
  manifest.exchanges = report.exchanges;
  manifest.bytes_written = report.bytes;
  manifest.segments = report.segments;
  manifest.last_sequence = std::max(manifest.last_sequence, scan.last_seq);
  if (died) manifest.ended_ms = scan.last_ms;
  manifest.active = false;
  if (!hurt && !died) return;
  manifest.recovery = hurt ? Recovery::kRecovered : Recovery::kClean;
  manifest.last_error = hurt ? std::optional(fmt::format("Recovered: {} damaged ranges passed over, {} exchanges cut.",
                                                         report.damaged_ranges, report.cut_exchanges))
                             : std::nullopt;
}

}  // namespace

Result<KeyOf> find_key(FileSystem& files, const std::string& directory, const std::string& id,
                       const OperatorKeyPtr& given) {
  const auto manifest = load_manifest(files, directory);
  if (manifest && !manifest->encryption) return KeyOf{};
  if (!manifest && manifest.error().code == Code::kConflict) return fail(manifest.error());
  std::optional<Error> refused;
  std::optional<KeyOf> nameless;
  const auto opened = [&](const Encryption& encryption) -> std::optional<KeyOf> {
    auto key = given->open(id, encryption);
    if (!key) {
      if (!refused) refused = key.error();
      return std::nullopt;
    }
    KeyOf found{encryption, *std::move(key)};
    if (encryption.sealed_name.empty() || found.key->open_name(encryption)) return found;
    if (!nameless) nameless = std::move(found);
    return std::nullopt;
  };
  if (manifest) {
    if (!given) return fail(needs_key(id));
    if (auto found = opened(*manifest->encryption)) return *std::move(found);
  }
  // The manifest is gone, or damaged, or the key is another one: each segment says what the manifest does.
  bool sealed = manifest.has_value();
  SLUICE_TRY(auto numbers, list_segments(files, directory));
  if (manifest && numbers.size() > kFewSegments) numbers.resize(kFewSegments);
  for (const std::uint32_t number : numbers) {
    const auto facts = facts_of(files, directory, number, sealed);
    if (!facts || !facts->encryption) continue;
    if (!given) return fail(needs_key(id));
    if (auto found = opened(*facts->encryption)) return *std::move(found);
  }
  if (nameless) return *std::move(nameless);
  if (!sealed) return KeyOf{};
  if (refused) return fail(*refused);
  return fail(Code::kInvalid, fmt::format("The recording {} is encrypted, and what it kept of its key is gone.", id));
}

Result<RecoveryReport> recover(FileSystem& files, const std::string& root, const std::string& id,
                               const std::string& index, const OperatorKeyPtr& given) {
  const std::string directory = root + "/" + id;
  if (!is_session_id(id) || !files.exists(segments_path(directory))) {
    return fail(Code::kNotFound, fmt::format("There is no session '{}'.", id));
  }
  auto manifest = load_manifest(files, directory);
  if (!manifest && manifest.error().code == Code::kConflict) return fail(manifest.error());
  SLUICE_TRY(const KeyOf key, find_key(files, directory, id, given));
  SLUICE_TRY(const auto lock, lock_session(files, directory));
  manifest = load_manifest(files, directory);  // it may just have been finished
  const std::string building = index + ".new";
  Index fresh(building, key.key);
  Scan scan(files, directory, key, &fresh);
  if (const Status rebuilt = rebuild(files, scan, fresh, building, index); !rebuilt) {
    (void)remove_index(files, building);
    return fail(rebuilt.error());
  }
  scan.report.id = id;
  scan.report.rebuilt_index = true;
  scan.report.rebuilt_manifest = !manifest;
  Manifest after = manifest ? *manifest : remade(scan, root, id);
  after.encryption = key.encryption;
  fill_in(after, scan);
  SLUICE_CHECK(save_manifest(files, directory, after));
  return std::move(scan.report);
}

Result<RecoveryReport> verify(FileSystem& files, const std::string& root, const std::string& id,
                              const std::string& index, const OperatorKeyPtr& given) {
  const std::string directory = root + "/" + id;
  if (!is_session_id(id) || !files.exists(segments_path(directory))) {
    return fail(Code::kNotFound, fmt::format("There is no session '{}'.", id));
  }
  const auto manifest = load_manifest(files, directory);
  if (!manifest && manifest.error().code == Code::kConflict) return fail(manifest.error());
  const auto key = find_key(files, directory, id, given);
  if (!key && (given || key.error().code != Code::kRefused)) return fail(key.error());
  const auto lock = files.open(lock_path(directory), OpenMode::kRead);
  const bool live = lock && !(*lock)->lock();
  Scan scan(files, directory, key ? std::optional(*key) : std::nullopt, nullptr);
  SLUICE_CHECK(scan.run());
  scan.report.id = id;
  Index old(index);
  const auto opened = old.open_to_read();
  const auto rows = opened ? old.size() : fail(opened.error());
  // Of one that is written right now the index is behind, and its open exchanges are not cut.
  scan.report.index_agrees = live || (manifest && rows && *rows == scan.report.exchanges);
  return std::move(scan.report);
}

}  // namespace sluice::session
