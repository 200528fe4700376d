#include "gateway/audit.h"

#include <fmt/format.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <algorithm>
#include <vector>

#include "base/text.h"

namespace sluice::gateway {
namespace {

// Of a caller's own words in a line: longer ones are cut, so that a line stays a line.
constexpr std::size_t kMaxWord = 200;

std::string word(std::string_view text) {
  const std::string repaired = repair_utf8(text);
  return std::string(utf16_prefix(repaired, kMaxWord));
}

Json argument_names(const Json& arguments) {
  std::vector<std::string> names;
  for (const auto& [name, value] : arguments.items()) names.push_back(word(name));
  std::sort(names.begin(), names.end());
  return names;
}

}  // namespace

AuditLog::AuditLog(const Clock& clock, std::unique_ptr<File> file, std::string path, std::string key)
    : clock_(clock), file_(std::move(file)), path_(std::move(path)), key_(std::move(key)) {}

Result<std::unique_ptr<AuditLog>> AuditLog::create(FileSystem& files, const Clock& clock, Entropy& entropy,
                                                   Options options) {
  SLUICE_CHECK(files.make_directories(options.directory));
  if (options.key.empty()) {
    options.key.resize(32);
    entropy.fill(options.key);
  }
  const std::int64_t start = unix_ms(clock.wall());
  // Another log of this process in the same millisecond takes the next name.
  for (int attempt = 0; attempt < 100; ++attempt) {
    std::string path = fmt::format("{}/{}-{}.jsonl", options.directory, options.pid, start + attempt);
    auto file = files.open(path, OpenMode::kCreateNew);
    if (!file && file.error().code == Code::kConflict) continue;
    if (!file) return fail(std::move(file).error().with_context("opening the audit log"));
    std::unique_ptr<AuditLog> log(new AuditLog(clock, *std::move(file), std::move(path), std::move(options.key)));
    SLUICE_CHECK(log->write(
        {{"type", "start"}, {"time", iso8601_ms(clock.wall())}, {"pid", options.pid}, {"version", SLUICE_VERSION}}));
    return log;
  }
  return fail(Code::kConflict, "opening the audit log: every name is taken");
}

Status AuditLog::write(const Json& line) {
  std::string text = dump_json(line);
  text += '\n';
  if (torn_) text.insert(0, "\n");  // what was cut stays a line of its own
  const Status written = file_->append(text);
  if (written) {
    size_ += text.size();
    torn_ = false;
    return {};
  }
  torn_ = !file_->truncate(size_);
  return fail(Error(written.error()).with_context("writing the audit log"));
}

std::string AuditLog::keyed_hash(std::string_view octets) const {
  unsigned char mac[EVP_MAX_MD_SIZE];
  unsigned length = 0;
  if (!HMAC(EVP_sha256(), key_.data(), static_cast<int>(key_.size()),
            reinterpret_cast<const unsigned char*>(octets.data()), octets.size(), mac, &length)) {
    return "";
  }
  return hex_encode(Bytes(reinterpret_cast<const char*>(mac), length));
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
  line["policy_revision"] = record.policy_revision;
  if (!record.approval.empty()) line["approval"] = record.approval;
  if (!record.approver.empty()) line["approver"] = record.approver;
  return write(line);
}

void AuditLog::append(const OutcomeRecord& record) {
  const auto latency = std::chrono::duration_cast<std::chrono::microseconds>(record.latency).count();
  const Status written = write({{"type", "outcome"},
                                {"time", iso8601_ms(clock_.wall())},
                                {"id", record.id},
                                {"status", record.status},
                                {"latency_us", latency},
                                {"bytes", record.bytes}});
  if (!written) ++lost_;
}

}  // namespace sluice::gateway
