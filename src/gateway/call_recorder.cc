#include "gateway/call_recorder.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <array>
#include <charconv>

#include "base/text.h"
#include "policy/canonical.h"

namespace sluice::gateway {
namespace {

constexpr std::size_t kSalt = 32;
constexpr std::chrono::hours kDay{24};
constexpr std::string_view kSuffix = ".calls";
constexpr ByteCount kRoom = 256;  // for a file's head, and the line that says how many were lost

// Of a line, with its tag and its end.
ByteCount sealed_size(const std::string& text) { return text.empty() ? 0 : (text.size() + kTagSize + 2) / 3 * 4 + 1; }

}  // namespace

std::optional<std::int64_t> call_file_time(std::string_view name) {
  const std::size_t dash = name.find('-');
  if (dash == std::string_view::npos || !name.ends_with(kSuffix)) return std::nullopt;
  std::int64_t time = 0;
  const auto parsed = std::from_chars(name.data(), name.data() + dash, time);
  if (parsed.ec != std::errc() || parsed.ptr != name.data() + dash || time < 0) return std::nullopt;
  return time;
}

Result<std::unique_ptr<CallRecorder>> CallRecorder::create(FileSystem& files, const Clock& clock, Entropy& entropy,
                                                           Options options) {
  SLUICE_CHECK(files.make_directories(options.directory));
  struct stat info {};
  if (::stat(options.directory.c_str(), &info) == 0 && (info.st_mode & 077) != 0) {
    return fail(Code::kRefused, fmt::format("others can look into {}, where calls are kept: chmod 700 {}",
                                            options.directory, options.directory));
  }
  std::unique_ptr<CallRecorder> recorder(new CallRecorder(files, clock, entropy, std::move(options)));
  if (Status opened = recorder->open_file(); !opened) {
    return fail(std::move(opened).error().with_context("keeping calls"));
  }
  return recorder;
}

Status CallRecorder::open_file() {
  remove_old();
  std::array<char, kSalt> salt{};
  entropy_.fill(salt);
  const Bytes salt_octets(salt.data(), salt.size());
  const std::string head = dump_json(Json{{"sluice_calls", 1}, {"salt", hex_encode(salt_octets)}}) + "\n";
  std::int64_t time = unix_ms(clock_.wall());
  std::unique_ptr<File> file;
  std::string name;
  constexpr int kMostTries = 1'000;  // files of one millisecond
  for (int tries = 0; !file; ++tries, ++time) {
    name = fmt::format("{:013}-{}{}", time, options_.pid, kSuffix);
    auto opened = files_.open(options_.directory + "/" + name, OpenMode::kCreateNew);
    if (!opened && (opened.error().code != Code::kConflict || tries >= kMostTries)) return fail(opened.error());
    if (opened) file = *std::move(opened);
  }
  (void)file->lock();  // says only that it is written
  if (Status headed = file->append(head); !headed) {
    (void)files_.remove(options_.directory + "/" + name);
    return headed;
  }
  file_ = std::move(file);
  name_ = std::move(name);
  aead_.emplace(derive_key(options_.key.view(), salt_octets, kCallFileInfo).view(), Aead::Use::kSeal);
  number_ = 1;
  size_ = head.size();
  begun_ = clock_.wall();
  torn_ = false;
  schemas_.clear();
  return {};
}

// Oldest first; not what a process writes.
void CallRecorder::remove_old() {
  const auto names = files_.list(options_.directory);
  if (!names) return;
  struct Old {
    std::string path;
    std::int64_t time;
    ByteCount size;
  };
  std::vector<Old> found;
  ByteCount total = options_.file_size;  // what is to come
  for (const std::string& name : *names) {
    const auto time = call_file_time(name);
    if (!time) continue;
    const std::string path = options_.directory + "/" + name;
    const auto file = files_.open(path, OpenMode::kRead);
    const auto size = file ? (*file)->size() : fail(Code::kIo, "");
    if (!size) continue;
    total += *size;
    if (name != name_ && (*file)->lock()) found.push_back({path, *time, *size});
  }
  const std::int64_t oldest =
      unix_ms(clock_.wall()) - std::chrono::duration_cast<std::chrono::milliseconds>(options_.max_age).count();
  for (const Old& old : found) {  // names sort by time
    if (old.time >= oldest && total <= options_.total_size) break;
    if (files_.remove(old.path)) total -= old.size;
  }
}

Status CallRecorder::write(const std::string& text) {
  std::string sealed(text.size() + kTagSize, '\0');
  if (!aead_->seal(counter_nonce(number_), {}, text, sealed.data())) return fail(Code::kInternal, "no memory");
  const std::string encoded = base64_encode(sealed) + "\n";
  ++number_;  // whatever becomes of it: a nonce is used once
  if (Status written = file_->append(encoded); !written) {
    torn_ = true;
    return written;
  }
  size_ += encoded.size();
  return {};
}

Status CallRecorder::keep(const Call& call) {
  Json line = {{"time", unix_ms(clock_.wall())},
               {"grant", call.grant},
               {"server", call.server},
               {"method", call.method},
               {"tool", call.tool},
               {"decision", call.decision},
               {"rule", call.rule}};
  if (!call.risk.empty()) line["risk"] = call.risk;
  if (!call.approver.empty()) line["approver"] = call.approver;
  if (call.arguments) line["arguments"] = policy::canonical_json(*call.arguments, call.spellings);
  const std::string text = dump_json(line);
  std::string schema;
  if (call.schema) {
    schema = dump_json(Json{{"server", call.server}, {"tool", call.tool}, {"schema", dump_json(*call.schema)}});
  }
  const ByteCount most = sealed_size(text) + sealed_size(schema) + kRoom;
  if (most > options_.file_size) return fail(Code::kTooLarge, "the call is too large to be kept");
  if (torn_ || size_ + most > options_.file_size || clock_.wall() - begun_ >= kDay) SLUICE_CHECK(open_file());
  if (lost_ > lost_told_) {
    SLUICE_CHECK(write(dump_json(Json{{"lost", lost_ - lost_told_}})));
    lost_told_ = lost_;
  }
  if (!schema.empty() && !schemas_.contains(schema)) {
    SLUICE_CHECK(write(schema));
    schemas_.insert(schema);
  }
  return write(text);
}

void CallRecorder::append(const Call& call) {
  if (!keep(call)) ++lost_;
}

}  // namespace sluice::gateway
