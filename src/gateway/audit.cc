#include "gateway/audit.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <thread>
#include <vector>

#include "base/text.h"
#include "gateway/audit_read.h"

namespace sluice::gateway {
namespace {

// Of a caller's own words in a line: longer ones are cut, so that a line stays a line.
constexpr std::size_t kMaxWord = 200;
constexpr std::size_t kMaxNames = 100;      // of arguments in a line
constexpr ByteCount kTail = 256 * kKiB;     // where the last line of a file is looked for
constexpr ByteCount kKeptRoom = 64 * kKiB;  // of the bound: for outcomes of what runs, and the end
// Another process makes its file: milliseconds of work. While calls wait, less.
constexpr std::chrono::milliseconds kLockPatience{10'000}, kShortPatience{200};
constexpr std::chrono::milliseconds kLockRetry{5};

std::string word(std::string_view text) {
  const std::string repaired = repair_utf8(text);
  return std::string(utf16_prefix(repaired, kMaxWord));
}

Json argument_names(const Json& arguments) {
  std::vector<std::string> names;
  for (const auto& [name, value] : arguments.items()) names.push_back(word(name));
  std::sort(names.begin(), names.end());
  if (names.size() > kMaxNames) names.resize(kMaxNames);
  return names;
}

std::string hex(const ChainHash& hash) { return hex_encode(Bytes(hash.data(), hash.size())); }

// The lock of the folder: numbers are given, and the key is made, by one process at a time.
Result<std::unique_ptr<File>> lock_folder(FileSystem& files, const std::string& directory,
                                          std::chrono::milliseconds patience) {
  SLUICE_TRY(auto lock, files.open(directory + "/lock", OpenMode::kAppend));
  const auto until = std::chrono::steady_clock::now() + patience;
  for (;;) {
    const Status locked = lock->lock();
    if (locked) return lock;
    if (locked.error().code != Code::kConflict || std::chrono::steady_clock::now() > until) return fail(locked.error());
    std::this_thread::sleep_for(kLockRetry);
  }
}

}  // namespace

AuditLog::AuditLog(FileSystem& files, const Clock& clock, Options options, AuditKey key, std::string run)
    : files_(files),
      clock_(clock),
      options_(std::move(options)),
      key_(std::move(key)),
      arguments_key_(key_.derive("sluice audit arguments")),
      run_(std::move(run)) {}

Result<std::unique_ptr<AuditLog>> AuditLog::create(FileSystem& files, const Clock& clock, Entropy& entropy,
                                                   Options options) {
  SLUICE_CHECK(files.make_directories(options.directory));
  auto lock = lock_folder(files, options.directory, kLockPatience);
  if (!lock) return fail(std::move(lock).error().with_context("opening the audit log"));
  SLUICE_TRY(AuditKey key, AuditKey::load_or_create(files, options.key_file, entropy));
  if (const std::string public_file = options.key_file + ".pub"; !files.exists(public_file)) {
    SLUICE_CHECK(files.save_file(public_file, key.public_pem()));
  }
  std::unique_ptr<AuditLog> log(
      new AuditLog(files, clock, std::move(options), std::move(key), random_token(entropy, 12)));
  if (Status opened = log->open_file("start"); !opened) {
    return fail(std::move(opened).error().with_context("opening the audit log"));
  }
  return log;
}

AuditLog::~AuditLog() {
  if (!chain_.file || chain_.torn) return;
  (void)write_lost();
  (void)write_line(chain_, {{"type", "end"}, {"time", iso8601_ms(clock_.wall())}, {"reason", "stopped"}}, Signed::kYes);
  (void)chain_.file->sync();
}

// The last whole line of the newest file, whoever writes it.
Result<Json> AuditLog::describe_newest(const std::vector<std::string>& names) {
  if (names.empty()) return Json(nullptr);
  const std::string& name = names.back();
  SLUICE_TRY(const auto file, files_.open(options_.directory + "/" + name, OpenMode::kRead));
  SLUICE_TRY(const ByteCount size, file->size());
  const ByteCount from = size > kTail ? size - kTail : 0;
  std::string tail(size - from, '\0');
  SLUICE_TRY(const std::size_t got, file->read_at(from, tail));
  tail.resize(got);
  const std::size_t end = tail.rfind('\n');
  Json found{{"file", name}, {"seq", nullptr}, {"hash", nullptr}};
  if (end == std::string::npos) return found;
  const std::size_t before = end == 0 ? std::string::npos : tail.rfind('\n', end - 1);
  if (before == std::string::npos && from > 0) return found;
  const std::size_t begin = before == std::string::npos ? 0 : before + 1;
  const auto line = read_chain_line(std::string_view(tail).substr(begin, end - begin));
  const auto content = line ? parse_json(std::string(line->content) + "}") : fail(Code::kInvalid, "");
  const Json* seq = content ? find_member(*content, "seq") : nullptr;
  if (!seq) return found;  // verify will say what is wrong with it
  found["seq"] = *seq;
  found["hash"] = hex(line->hash);
  return found;
}

Status AuditLog::open_file(std::string_view reason) {
  SLUICE_TRY(const std::vector<std::string> names, audit_file_names(files_, options_.directory));
  ByteCount total = 0;
  for (const std::string& name : names) {
    if (options_.total_size == 0) break;
    SLUICE_TRY(const auto file, files_.open(options_.directory + "/" + name, OpenMode::kRead));
    SLUICE_TRY(const ByteCount size, file->size());
    total += size;
  }
  SLUICE_TRY(Json predecessor, describe_newest(names));
  Json continues = nullptr;
  if (chain_.file) continues = {{"file", chain_.name}, {"seq", chain_.seq - 1}, {"hash", hex(chain_.last)}};
  const std::uint64_t number = names.empty() ? 1 : read_chain_file_name(names.back())->number + 1;

  Chain next;
  next.name = to_string(ChainFileName{number, options_.pid});
  next.path = options_.directory + "/" + next.name;
  SLUICE_TRY(next.file, files_.open(next.path, OpenMode::kCreateNew));
  (void)next.file->lock();  // says only that we live; somebody who verifies may hold it for a moment
  const Status headed = write_line(next,
                                   {{"type", "head"},
                                    {"time", iso8601_ms(clock_.wall())},
                                    {"number", number},
                                    {"pid", options_.pid},
                                    {"run", run_},
                                    {"version", SLUICE_VERSION},
                                    {"key", key_.id()},
                                    {"reason", reason},
                                    {"predecessor", std::move(predecessor)},
                                    {"continues", std::move(continues)}},
                                   Signed::kYes);
  if (!headed) {
    (void)files_.remove(next.path);  // a file without a head would be a gap; the old one stays in use
    return headed;
  }
  if (chain_.file && !chain_.torn) {
    (void)write_line(chain_, {{"type", "end"}, {"time", iso8601_ms(clock_.wall())}, {"reason", reason}}, Signed::kYes);
    (void)chain_.file->sync();
  }
  chain_ = std::move(next);
  total_ = total + chain_.size;
  rotate_at_ = options_.file_size;
  return {};
}

Status AuditLog::open_next(std::string_view reason) {
  SLUICE_TRY(const auto lock, lock_folder(files_, options_.directory, kShortPatience));
  return open_file(reason);
}

// After a line that was cut: takes the rest of it back, or begins the next file.
Status AuditLog::mend() {
  if (!chain_.torn) return {};
  if (!chain_.file->truncate(chain_.size)) return open_next("torn");
  chain_.torn = false;
  return {};
}

// Where no file can be opened the full one goes on for a while.
void AuditLog::rotate() {
  if (chain_.size >= rotate_at_ && !open_next("full")) rotate_at_ = chain_.size + options_.file_size / 8;
}

Status AuditLog::write_line(Chain& chain, Json content, Signed how) {
  Json line = Json::object();
  for (auto& [name, member] : content.get_ref<Json::object_t&>()) {
    line[name] = std::move(member);
    if (name == "type") line["seq"] = chain.seq;
  }
  LinkedLine linked = link_line(chain.last, line);
  if (how == Signed::kYes) {
    SLUICE_TRY(const std::string signature, key_.sign(signed_message(linked.hash)));
    add_signature(linked, signature);
  }
  const Status written = chain.file->append(linked.text);
  if (!written) {
    chain.torn = !chain.file->truncate(chain.size);
    return fail(Error(written.error()).with_context("writing the audit log"));
  }
  chain.size += linked.text.size();
  total_ += linked.text.size();
  chain.last = linked.hash;
  ++chain.seq;
  chain.fresh = how == Signed::kNo;
  if (how == Signed::kYes) tell_head(chain, linked, line);
  return {};
}

void AuditLog::tell_head(const Chain& chain, const LinkedLine& line, const Json& content) {
  if (!options_.on_head) return;
  const auto read = read_chain_line(std::string_view(line.text).substr(0, line.text.size() - 1));
  options_.on_head({{"file", chain.name},
                    {"type", content["type"]},
                    {"seq", content["seq"]},
                    {"hash", hex(line.hash)},
                    {"signature", read ? base64url_encode(read->signature) : ""},
                    {"time", content["time"]}});
}

Status AuditLog::write_lost() {
  if (lost_ == lost_told_) return {};
  const std::uint64_t lines = lost_ - lost_told_;
  SLUICE_CHECK(
      write_line(chain_, {{"type", "lost"}, {"time", iso8601_ms(clock_.wall())}, {"lines", lines}}, Signed::kNo));
  lost_told_ += lines;
  return {};
}

Status AuditLog::write(Json line, Room room) {
  if (room == Room::kNeeded && options_.total_size != 0 && total_ + kKeptRoom > options_.total_size) {
    return fail(Code::kTooLarge, fmt::format("the audit log has reached its bound of {} MiB: move old files out of {}, "
                                             "or raise --audit-max-mb",
                                             options_.total_size / kMiB, options_.directory));
  }
  SLUICE_CHECK(mend());
  rotate();
  SLUICE_CHECK(write_lost());
  return write_line(chain_, std::move(line), Signed::kNo);
}

void AuditLog::checkpoint() {
  if (!chain_.fresh || chain_.torn) return;
  (void)write_line(chain_, {{"type", "checkpoint"}, {"time", iso8601_ms(clock_.wall())}}, Signed::kYes);
  (void)chain_.file->sync();
}

std::string AuditLog::keyed_hash(std::string_view octets) {
  const Sha256 mac = arguments_key_.of(octets);
  return hex_encode(Bytes(mac.data(), mac.size()));
}

AuditLog::DecisionRecord AuditLog::DecisionRecord::by_person(std::string_view id, std::string_view method,
                                                             std::string_view subject, std::string_view decision,
                                                             std::string_view rule, std::string_view approval,
                                                             std::string_view approver) {
  DecisionRecord line;
  line.id = id;
  line.grant = "owner";
  line.server = "sluice";
  line.method = method;
  line.tool = subject;
  line.decision = decision;
  line.rule = rule;
  line.approval = approval;
  line.approver = approver;
  line.has_outcome = false;
  return line;
}

Status AuditLog::append(const DecisionRecord& record) {
  Json line = {{"type", "decision"},
               {"time", iso8601_ms(clock_.wall())},
               {"id", record.id},
               {"grant", word(record.grant)},
               {"session", record.session.empty() ? "" : keyed_hash(record.session).substr(0, 16)},
               {"server", record.server},
               {"method", record.method},
               {"tool", word(record.tool)}};
  line["arguments"] = record.arguments ? argument_names(*record.arguments) : Json::array();
  line["arguments_hmac"] = record.arguments ? keyed_hash(dump_json(*record.arguments)) : "";
  line["decision"] = record.decision;
  line["rule"] = word(record.rule);
  if (!record.message.empty()) line["message"] = word(record.message);
  if (!record.approval.empty()) line["approval"] = word(record.approval);
  if (!record.approver.empty()) line["approver"] = word(record.approver);
  if (!record.has_outcome) line["outcome"] = "none";
  line["policy_revision"] = record.policy_revision;
  const Status written = write(std::move(line), Room::kNeeded);
  if (written || options_.required) return written;
  ++lost_;
  return {};
}

void AuditLog::append(const OutcomeRecord& record) {
  const auto latency = std::chrono::duration_cast<std::chrono::microseconds>(record.latency).count();
  Json line = {{"type", "outcome"},     {"time", iso8601_ms(clock_.wall())},
               {"id", record.id},       {"status", record.status},
               {"latency_us", latency}, {"bytes", record.bytes}};
  if (!record.rule.empty()) line["rule"] = word(record.rule);
  if (record.http_status != 0) line["http_status"] = record.http_status;
  if (record.error_code != 0) line["error_code"] = record.error_code;
  const Status written = write(std::move(line), Room::kLeft);
  if (!written) ++lost_;
}

void AuditLog::append(const SummaryRecord& record) {
  const Status written = write({{"type", "denials"},
                                {"time", iso8601_ms(clock_.wall())},
                                {"grant", word(record.grant)},
                                {"rule", word(record.rule)},
                                {"count", record.count},
                                {"since", iso8601_ms(record.since)}},
                               Room::kNeeded);
  if (!written) ++lost_;
}

Status AuditLog::append_event(Json event) {
  Json line = {{"type", event.value("type", "event")}, {"time", iso8601_ms(clock_.wall())}};
  for (auto& [name, member] : event.get_ref<Json::object_t&>()) line[name] = std::move(member);
  return write(std::move(line), Room::kNeeded);
}

}  // namespace sluice::gateway
