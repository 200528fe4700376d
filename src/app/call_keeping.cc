#include "app/call_keeping.h"

#include <fmt/format.h>
#include <strings.h>
#include <unistd.h>

#include <filesystem>

#include "app/trusted_file.h"
#include "base/text.h"

namespace sluice::app {
namespace {

namespace fs = std::filesystem;

bool is_beneath(const fs::path& folder, const std::string& root) {
  std::error_code ignored;
  const fs::path below = folder.lexically_relative(fs::weakly_canonical(root, ignored));
  return !below.empty() && *below.begin() != "..";
}

// Tools read beneath the roots that are allowed, and beneath sessions/ of the home; the rest of it is closed to them.
Status check_place(const std::string& directory, const EngineConfig& config, const Home& home) {
  std::error_code ignored;
  const fs::path folder = fs::weakly_canonical(directory, ignored);
  const auto refuse = [&](const std::string& root) {
    return fail(Code::kRefused, fmt::format("--record-calls {} lies beneath {}, where tools read: choose another place",
                                            directory, root));
  };
  if (is_beneath(folder, home.sessions())) return refuse(home.sessions());
  if (is_beneath(folder, home.path())) return {};
  for (const std::string& root : config.allow_root) {
    if (is_beneath(folder, root)) return refuse(root);
  }
  return {};
}

}  // namespace

Result<Secret> load_calls_key(const std::string& file, const Home& home) {
  const std::string path = file.empty() ? home.calls_key() : absolute_path(file);
  return load_trusted_key(path);
}

Result<std::unique_ptr<gateway::CallRecorder>> open_call_recorder(const EngineConfig& config, const Home& home,
                                                                  FileSystem& files, const Clock& clock,
                                                                  Entropy& entropy) {
  if (config.record_calls.empty()) return std::unique_ptr<gateway::CallRecorder>();
  gateway::CallRecorder::Options options;
  options.directory = absolute_path(config.record_calls);
  SLUICE_CHECK(check_place(options.directory, config, home));
  if (config.calls_key.empty()) SLUICE_CHECK(home.make_key(files, home.calls_key(), kKeySize, entropy));
  SLUICE_TRY(options.key, load_calls_key(config.calls_key, home));
  options.pid = ::getpid();
  options.total_size = config.record_calls_max_mb * kMiB;
  options.file_size = std::min<ByteCount>(options.file_size, options.total_size / 4);
  options.max_age = std::chrono::hours(24 * config.record_calls_days);
  return gateway::CallRecorder::create(files, clock, entropy, std::move(options));
}

}  // namespace sluice::app
