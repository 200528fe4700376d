#include "app/policy_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "gateway/policy_gate.h"

namespace sluice::app {
namespace {

constexpr ByteCount kMaxPolicy = 1 * kMiB;

class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int get() const { return fd_; }

 private:
  int fd_;
};

std::int64_t nanoseconds(const timespec& time) { return time.tv_sec * 1'000'000'000LL + time.tv_nsec; }

FileMark mark_of(const struct stat& info) {
  return {info.st_dev, info.st_ino, static_cast<std::uint64_t>(info.st_size), nanoseconds(info.st_mtim),
          nanoseconds(info.st_ctim)};
}

Status check_ownership(const std::string& path, const struct stat& info) {
  if (!S_ISREG(info.st_mode)) return fail(Code::kRefused, path + " is no regular file");
  if (info.st_uid != 0 && info.st_uid != ::geteuid()) {
    return fail(Code::kRefused, fmt::format("{} belongs to somebody else: a policy must be root's or one's own", path));
  }
  if ((info.st_mode & 022) != 0) {
    return fail(Code::kRefused, fmt::format("{} can be written by others: chmod go-w {}", path, path));
  }
  if (static_cast<std::uint64_t>(info.st_size) > kMaxPolicy) {
    return fail(Code::kTooLarge, path + " is larger than 1 MiB");
  }
  return {};
}

}  // namespace

FileMark mark_of(const std::string& path) {
  struct stat info {};
  return ::stat(path.c_str(), &info) == 0 ? mark_of(info) : FileMark{};
}

Result<std::string> load_policy_text(const std::string& path, FileMark* mark) {
  // A FIFO must not hold us up; what was opened is what is judged.
  const Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  struct stat info {};
  if (file.get() < 0 || ::fstat(file.get(), &info) != 0) {
    return fail(Code::kIo, fmt::format("{} cannot be read: {}", path, errno_text(errno)));
  }
  if (mark) *mark = mark_of(info);
  SLUICE_CHECK(check_ownership(path, info));
  std::string text;
  char part[64 * 1024];
  for (;;) {
    const ssize_t got = ::read(file.get(), part, sizeof part);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return fail(Code::kIo, fmt::format("{} cannot be read: {}", path, errno_text(errno)));
    if (got == 0) return text;
    text.append(part, static_cast<std::size_t>(got));
    if (text.size() > kMaxPolicy) return fail(Code::kTooLarge, path + " is larger than 1 MiB");
  }
}

namespace {

// `warn`: of names and arguments, for which every tool is made: not at each start without a policy.
enum class Warn { kYes, kNo };
LoadedPolicy compile_policy(std::string_view text, const std::string& name, Warn warn) {
  LoadedPolicy loaded;
  policy::Parsed parsed = policy::parse_policy(text);
  for (const policy::Problem& error : parsed.errors) loaded.errors.push_back(to_string(error, name));
  if (!parsed.document) return loaded;
  const std::vector<tools::Tool> all = warn == Warn::kYes ? tools::all_tools() : std::vector<tools::Tool>();
  for (const policy::Problem& one : policy::lint(*parsed.document, known_tools(all))) {
    loaded.warnings.push_back(to_string(one, name));
  }
  for (const policy::Problem& one : policy::unenforced(*parsed.document)) {
    loaded.errors.push_back(to_string(one, name));
  }
  if (!loaded.errors.empty()) return loaded;
  auto engine = policy::Engine::compile(*std::move(parsed.document));
  if (engine) {
    loaded.engine = *std::move(engine);
  } else {
    loaded.errors.push_back(name + ": " + engine.error().message);
  }
  return loaded;
}

}  // namespace

LoadedPolicy load_full_policy() { return compile_policy(full_policy_text(), "policies/full.json", Warn::kNo); }

LoadedPolicy load_policy(const std::string& path, FileMark* mark) {
  const auto text = load_policy_text(path, mark);
  if (text) return compile_policy(*text, path, Warn::kYes);
  LoadedPolicy loaded;
  loaded.errors.push_back(text.error().message);
  return loaded;
}

std::vector<policy::KnownTool> known_tools(const std::vector<tools::Tool>& tools) {
  std::vector<policy::KnownTool> known;
  for (const tools::Tool& tool : tools) {
    policy::KnownTool one{tool.name, gateway::policy_risk(tool.risk), {}};
    for (const tools::Field& field : tool.fields) one.arguments.push_back(field.name);
    known.push_back(std::move(one));
  }
  return known;
}

std::string_view full_policy_text() {
  return R"({
  "version": "1",
  "description": "Every tool, secrets where asked for; everything is audited.",
  "default": "allow",
  "tools": {
    "*": {"result": {"raw": true}}
  }
}
)";
}

}  // namespace sluice::app
