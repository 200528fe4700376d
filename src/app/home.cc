#include "app/home.h"

#include <pwd.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <thread>

#include "base/text.h"

namespace sluice::app {
namespace {

constexpr std::chrono::seconds kLockPatience{10};  // another process is making the token: microseconds of work
constexpr std::chrono::milliseconds kLockRetry{5};

Result<std::string> default_path() {
  if (const char* home = std::getenv("SLUICE_HOME"); home && *home) return std::string(home);
  if (const char* home = std::getenv("HOME"); home && *home) return std::string(home) + "/.sluice";
  if (const passwd* user = ::getpwuid(::getuid()); user && user->pw_dir) return std::string(user->pw_dir) + "/.sluice";
  return fail(Code::kInvalid, "no home directory: set SLUICE_HOME or give --home DIR");
}

}  // namespace

Result<Home> Home::open(FileSystem& files, const std::optional<std::string>& given) {
  std::string path;
  if (given) {
    path = *given;
  } else {
    SLUICE_TRY(path, default_path());
  }
  std::error_code error;
  path = std::filesystem::absolute(path, error).lexically_normal().string();
  while (path.size() > 1 && path.ends_with('/')) path.pop_back();
  Home home(path);
  for (const std::string& directory : {path, home.run(), home.spool(), home.audit(), home.sessions()}) {
    if (Status made = files.make_directories(directory); !made) {
      return fail(
          Error(made.error())
              .with_context("the home " + path + " cannot be used (--home DIR or SLUICE_HOME chooses another)"));
    }
  }
  if (::access(path.c_str(), W_OK | X_OK) != 0) {
    return fail(Code::kRefused, "the home " + path + " is not writable; --home DIR or SLUICE_HOME chooses another");
  }
  return home;
}

bool Home::is_closed() const {
  struct stat info {};
  return ::lstat(closed_file().c_str(), &info) == 0 || errno != ENOENT;
}

Result<std::unique_ptr<File>> Home::lock(FileSystem& files) const {
  SLUICE_TRY(auto file, files.open(path_ + "/lock", OpenMode::kAppend));
  const auto until = std::chrono::steady_clock::now() + kLockPatience;
  for (;;) {
    const Status locked = file->lock();
    if (locked) return file;
    if (locked.error().code != Code::kConflict || std::chrono::steady_clock::now() > until) return fail(locked.error());
    std::this_thread::sleep_for(kLockRetry);
  }
}

Status Home::make_key(FileSystem& files, const std::string& path, std::size_t octets, Entropy& entropy) const {
  if (files.exists(path)) return {};
  SLUICE_TRY(const auto locked, lock(files));
  if (files.exists(path)) return {};
  std::string key(octets, '\0');
  entropy.fill(key);
  std::string text = hex_encode(key) + "\n";
  const Status saved = files.save_file(path, text);
  ::explicit_bzero(key.data(), key.size());
  ::explicit_bzero(text.data(), text.size());
  return saved;
}

Result<std::string> Home::token(FileSystem& files, Entropy& entropy) const {
  const auto read = [&]() -> Result<std::string> {
    SLUICE_TRY(const std::string text, files.load_file(token_file(), 4 * kKiB));
    const std::string_view token = trim(std::string_view(text).substr(0, text.find('\n')));
    if (token.size() < 32) {
      return fail(Code::kInvalid,
                  "the file " + token_file() + " does not hold a token; remove it and a new one is made");
    }
    return std::string(token);
  };
  if (files.exists(token_file())) return read();
  SLUICE_TRY(const auto locked, lock(files));
  if (!files.exists(token_file())) SLUICE_CHECK(files.save_file(token_file(), random_token(entropy, 32) + "\n"));
  return read();
}

std::vector<RunningServe> find_running(FileSystem& files, const Home& home) {
  std::vector<RunningServe> running;
  const auto names = files.list(home.run());
  if (!names) return running;
  for (const std::string& name : *names) {
    if (!name.ends_with(".json")) continue;
    const std::string path = home.run() + "/" + name;
    const auto text = files.load_file(path, kMiB);
    if (!text) continue;
    const auto json = parse_json(*text);
    const Json* pid = json ? find_member(*json, "pid") : nullptr;
    if (!pid || !pid->is_number_integer()) continue;
    RunningServe serve;
    serve.pid = pid->get<int>();
    if (::kill(serve.pid, 0) != 0 && errno == ESRCH) {
      (void)files.remove(path);
      (void)files.remove(home.run() + "/" + std::to_string(serve.pid) + ".sock");
      continue;
    }
    if (const Json* started = find_member(*json, "started"); started && started->is_number_integer()) {
      serve.started_ms = started->get<std::int64_t>();
    }
    serve.socket = home.run() + "/" + std::to_string(serve.pid) + ".sock";
    serve.ready = *json;
    running.push_back(std::move(serve));
  }
  std::sort(running.begin(), running.end(), [](const auto& a, const auto& b) { return a.started_ms > b.started_ms; });
  return running;
}

std::string absolute_path(const std::string& path) {
  std::error_code ignored;
  return std::filesystem::absolute(path, ignored).string();
}

}  // namespace sluice::app
