// `sluice traffic export`: the pieces that proxy_export_traffic answers, put together in a file or on standard output.
#include "app/export_command.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "app/commands.h"
#include "base/text.h"

namespace sluice::app {
namespace {

constexpr std::uint64_t kPiece = 512 * 1024;

// A file under a name of its own until it is whole: an export that failed leaves what was there before.
class Output {
 public:
  explicit Output(std::string path) : path_(std::move(path)) {}
  ~Output() {
    if (descriptor_ >= 0) ::close(descriptor_);
    if (!part_.empty()) ::unlink(part_.c_str());
  }

  Status open() {
    if (path_.empty() || path_ == "-") {
      descriptor_ = ::dup(STDOUT_FILENO);
      return descriptor_ < 0 ? failed("standard output") : Status();
    }
    part_ = path_ + fmt::format(".part{}", ::getpid());
    // It holds what was on the wire, secrets too.
    descriptor_ = ::open(part_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (descriptor_ >= 0) return {};
    const std::string name = std::exchange(part_, "");
    return failed(name);
  }

  Status write(std::string_view octets) {
    while (!octets.empty()) {
      const ssize_t count = ::write(descriptor_, octets.data(), octets.size());
      if (count < 0 && errno == EINTR) continue;
      if (count < 0) return failed(part_.empty() ? "standard output" : part_);
      octets.remove_prefix(static_cast<std::size_t>(count));
    }
    return {};
  }

  Status finish() {
    if (part_.empty()) return {};
    if (::fsync(descriptor_) != 0 || ::rename(part_.c_str(), path_.c_str()) != 0) return failed(path_);
    part_.clear();
    return {};
  }

 private:
  static tl::unexpected<Error> failed(const std::string& what) {
    return fail(errno == EPIPE ? Code::kClosed : Code::kIo, what + ": " + errno_text(errno));
  }

  std::string path_, part_;
  int descriptor_ = -1;
};

Result<std::string> piece_of(const Json& answer) {
  if (const Json* text = find_member(answer, "text")) return text->get<std::string>();
  const Json* base64 = find_member(answer, "base64");
  auto octets = base64 ? base64_decode(base64->get<std::string>()) : std::nullopt;
  if (!octets) return fail(Code::kInternal, "`sluice serve` gave no text");
  return *std::move(octets);
}

Result<std::uint64_t> export_to(Output& output, const Config& config, const ControlEndpoint& serve) {
  Json arguments = {{"format", config.format}, {"limit", kPiece}};
  if (!config.filter.empty()) arguments["filter"] = config.filter;
  if (!config.exchange.empty()) arguments["exchange_id"] = config.exchange;
  std::uint64_t entries = 0;
  for (;;) {
    SLUICE_TRY(const Json answer, call_tool(serve, "proxy_export_traffic", arguments));
    SLUICE_TRY(const std::string piece, piece_of(answer));
    SLUICE_CHECK(output.write(piece));
    if (const Json* count = find_member(answer, "entries")) entries += count->get<std::uint64_t>();
    const Json* cursor = find_member(answer, "cursor");
    if (!cursor) return entries;
    arguments["cursor"] = *cursor;
  }
}

}  // namespace

int export_traffic(const Config& config, const ControlEndpoint& serve) {
  Output output(config.subject);
  if (const Status opened = output.open(); !opened) return report(opened.error());
  const auto entries = export_to(output, config, serve);
  if (!entries && entries.error().code == Code::kClosed) return 0;  // the reader of a pipe has enough
  if (!entries) return report({Code::kRefused, entries.error().message});
  if (const Status finished = output.finish(); !finished) return report(finished.error());
  if (::isatty(STDERR_FILENO)) fmt::print(stderr, "{} exchanges\n", *entries);
  return 0;
}

}  // namespace sluice::app
