#include "session/import.h"

#include <fmt/format.h>

#include <functional>

#include "capture/octets.h"
#include "capture/records.h"
#include "session/reader.h"

namespace sluice::session {
namespace {

using capture::OctetWriter;
using capture::RecordType;

constexpr std::string_view kPrefix = ".importing-";
constexpr std::uint64_t kOwnNumbers = std::uint64_t{1} << 40;  // of connections, beyond those of files
constexpr ByteCount kAtOnce = 2 * kMiB;                        // waits in memory, at most

// What processes left that were killed: nobody holds their locks.
void remove_leftovers(FileSystem& files, const std::string& root) {
  const auto names = files.list(root);
  if (!names) return;
  for (const std::string& name : *names) {
    if (!name.starts_with(kPrefix) || !is_session_id(std::string_view(name).substr(kPrefix.size()))) continue;
    const std::string directory = root + "/" + name;
    const auto lock = files.open(lock_path(directory), OpenMode::kRead);
    if (lock && (*lock)->lock()) (void)files.remove_tree(directory);
  }
}

}  // namespace

Result<std::unique_ptr<Import>> Import::begin(std::shared_ptr<FileSystem> files, Manifest manifest, SessionKeyPtr key,
                                              const Clock& clock, Entropy& entropy) {
  remove_leftovers(*files, manifest.root);
  RecordingOptions options;
  options.manifest = manifest;
  options.directory = fmt::format("{}/{}{}", manifest.root, kPrefix, manifest.id);
  options.index = index_path(options.directory);
  options.key = key;
  options.counts_cuts = false;
  FileSystem& reached = *files;
  std::unique_ptr<Import> import(new Import(std::move(files), std::move(manifest), std::move(key), options.directory));
  SLUICE_TRY(import->recording_, Recording::begin(std::move(options), reached, clock, entropy));
  return import;
}

Import::~Import() {
  if (recording_) (void)recording_->finish();
  recording_.reset();
  (void)files_->remove_tree(directory_);
}

void Import::write() {
  recording_->on_round_done();
  while (recording_->work()) {
  }
}

Status Import::check() {
  write();
  const Manifest now = recording_->manifest();
  if (now.recovery != Recovery::kError && now.dropped_writes == 0 && now.bytes_cut == 0) return {};
  const std::string reason = now.last_error.value_or("Records were lost.");
  const bool cap = now.bytes_written + kMiB > manifest_.max_disk_mb * kMiB;
  return fail(cap ? Code::kTooLarge : Code::kIo,
              cap ? fmt::format("It needs more than max_disk_mb ({} MiB): nothing was imported.", manifest_.max_disk_mb)
                  : reason);
}

Status Import::close() {
  SLUICE_CHECK(check());
  SLUICE_CHECK(recording_->finish());
  const Manifest made = recording_->manifest();
  if (made.recovery == Recovery::kError) return fail(Code::kIo, made.last_error.value_or("The disk failed."));
  return {};
}

Result<Manifest> Import::finish() {
  SLUICE_CHECK(close());
  Manifest made = recording_->manifest();
  recording_.reset();
  const std::string place = manifest_.root + "/" + manifest_.id;
  if (files_->exists(place)) return fail(Code::kConflict, "there is a session of that id");
  SLUICE_CHECK(files_->rename(directory_, place));
  return made;
}

Result<std::unique_ptr<Reader>> Import::read() {
  SLUICE_CHECK(close());
  Manifest made = recording_->manifest();
  recording_.reset();
  return Reader::open(files_, directory_, index_path(directory_), std::move(made), key_);
}

// ---- the sink ----

// Records refer to connections by number. Those of a file may be missing, or stand for several.
flow::ConnectionPtr Import::own(const flow::ConnectionPtr& given) {
  if (!given) return given;
  const std::size_t hash = std::hash<std::string>()(capture::format_connection(*given));
  if (given->id.value != 0 && seen_.try_emplace(given->id.value, hash).first->second == hash) return given;
  auto copy = std::make_shared<flow::Connection>(*given);
  copy->id = ConnectionId{kOwnNumbers + ++connections_};
  return copy;
}

flow::UpstreamPtr Import::own(const flow::UpstreamPtr& given) const {
  if (!given) return given;
  auto copy = std::make_shared<flow::Upstream>(*given);
  copy->id = std::hash<std::string>()(capture::format_upstream(*given)) | 1;
  return copy;
}

MutableBytes Import::read_space(std::size_t want) {
  space_.resize(std::max<std::size_t>(want, 16 * kKiB));
  return space_;
}

void Import::record(RecordType type, ExchangeSeq seq, Bytes payload, const flow::UpstreamPtr& upstream) {
  recording_->on_record(type, seq.value, payload, upstream);
}

ExchangeSeq Import::opened(const flow::Opened& given) {
  const ExchangeSeq seq{++opened_};
  flow::Opened opened = given;
  opened.connection = own(given.connection);
  payload_.resize(capture::opened_size(opened));
  capture::write_opened(OctetWriter(payload_.data()), opened);
  const capture::Uuid uuid = capture::imported_uuid(manifest_.id, static_cast<std::uint32_t>(seq.value));
  recording_->on_opened(seq.value, Bytes(uuid.data(), uuid.size()), payload_, opened.connection);
  return seq;
}

void Import::request_sent(ExchangeSeq seq, Bytes effective_head) {
  record(RecordType::kRequestSent, seq, effective_head);
}

void Import::responded(ExchangeSeq seq, const flow::Responded& given) {
  flow::Responded responded = given;
  responded.upstream = own(given.upstream);
  payload_.resize(capture::responded_size(responded));
  capture::write_responded(OctetWriter(payload_.data()), responded);
  record(RecordType::kResponded, seq, payload_, responded.upstream);
}

void Import::body(ExchangeSeq seq, flow::Direction direction, Bytes content) {
  const bool request = direction == flow::Direction::kRequest;
  const Bytes pieces[] = {content};
  recording_->on_body(request ? RecordType::kRequestBody : RecordType::kResponseBody, seq.value, pieces);
  if (recording_->unwritten() >= kAtOnce) write();
}

void Import::trailers(ExchangeSeq seq, flow::Direction direction, Bytes raw) {
  const bool request = direction == flow::Direction::kRequest;
  record(request ? RecordType::kRequestTrailers : RecordType::kResponseTrailers, seq, raw);
}

void Import::message(ExchangeSeq seq, const flow::MessageSeen& message) {
  payload_.resize(capture::message_size(message));
  capture::write_message(OctetWriter(payload_.data()), message, 0);
  record(RecordType::kMessage, seq, payload_);
}

void Import::ended(ExchangeSeq seq, const flow::Ended& ended) {
  payload_.resize(capture::ended_size(ended));
  capture::write_ended(OctetWriter(payload_.data()), ended, {ended.request_counted, ended.response_counted});
  record(RecordType::kEnded, seq, payload_);
}

}  // namespace sluice::session
