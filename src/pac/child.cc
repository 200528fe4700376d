#include "pac/child.h"

#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <ctime>

#include "pac/system_names.h"
#include "pac/wire.h"

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SLUICE_SHADOW_MEMORY 1
#endif
#endif

namespace sluice::pac {
namespace {

constexpr rlim_t kMemory = 128 * kMiB;  // the script's own limit is half of it
constexpr rlim_t kFiles = 16;           // what looking names up takes
constexpr rlim_t kCpuSeconds = 60;      // the parent's deadline comes first, unless it cannot act
constexpr double kCpuEnough = 30;       // ... and well before that a new process goes on
constexpr int kGone = 3, kMisunderstood = 4;

bool limit(int what, rlim_t most) {
  const rlimit both{most, most};
  return ::setrlimit(static_cast<__rlimit_resource>(what), &both) == 0;
}

// A script finds a way out of the engine? Then it is here.
bool confine(const char* parent) {
  if (::prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return false;
  if (std::to_string(::getppid()) != parent) return false;  // it had died before
#ifndef SLUICE_SHADOW_MEMORY                                // which is private memory without end
  if (!limit(RLIMIT_DATA, kMemory)) return false;
#endif
  return limit(RLIMIT_CPU, kCpuSeconds) && limit(RLIMIT_CORE, 0) && limit(RLIMIT_FSIZE, 0) &&
         limit(RLIMIT_NOFILE, kFiles) && limit(RLIMIT_NPROC, 0);
}

// A line without its end; false at the end of input, or if it has none within the limit.
bool read_line(std::string& kept, std::string& line) {
  std::size_t looked = 0;
  for (;;) {
    const std::size_t end = kept.find('\n', looked);
    if (end != std::string::npos) {
      line.assign(kept, 0, end);
      kept.erase(0, end + 1);
      return true;
    }
    if (kept.size() > kMostRequest) return false;
    looked = kept.size();
    char piece[16 * kKiB];
    const ssize_t got = ::read(STDIN_FILENO, piece, sizeof piece);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return false;
    kept.append(piece, static_cast<std::size_t>(got));
  }
}

bool write_line(std::string line) {
  line += '\n';
  for (std::string_view rest = line; !rest.empty();) {
    const ssize_t sent = ::write(STDOUT_FILENO, rest.data(), rest.size());
    if (sent < 0 && errno == EINTR) continue;
    if (sent <= 0) return false;
    rest.remove_prefix(static_cast<std::size_t>(sent));
  }
  return true;
}

}  // namespace

std::vector<std::string> child_arguments() { return {kChildCommand, std::to_string(::getpid())}; }

std::vector<std::string> child_environment() {
  std::vector<std::string> variables{"RES_OPTIONS=timeout:1 attempts:2"};  // resolv.conf(5): else ten seconds
  if (const char* zone = std::getenv("TZ")) variables.push_back(std::string("TZ=") + zone);
  return variables;
}

bool is_child(int argc, char** argv) { return argc == 3 && std::strcmp(argv[1], kChildCommand) == 0; }

int run_child(char** argv) {
  if (!confine(argv[2])) return kGone;
  SystemNames names;
  const SystemClock clock;
  std::unique_ptr<Script> script;
  std::string kept, line;
  while (read_line(kept, line)) {
    const auto request = read_request(line);
    if (!request || request->script.has_value() == (script != nullptr)) return kMisunderstood;
    Reply reply{std::string(), {}};
    if (request->script) {
      auto loaded = Script::load(*request->script, names, clock);
      if (loaded) {
        script = *std::move(loaded);
      } else {
        reply = {fail(loaded.error()), {}, true};
      }
    } else {
      reply.answer = script->evaluate(request->url, request->host);
    }
    if (script) {
      reply.alerts = script->take_alerts();
      reply.last = script->is_spent() || static_cast<double>(std::clock()) / CLOCKS_PER_SEC > kCpuEnough;
    }
    if (!write_line(write(reply)) || reply.last) break;
  }
  return 0;
}

}  // namespace sluice::pac
