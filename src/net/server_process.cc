#include "net/server_process.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <string_view>

#include "net/spawn_orders.h"

extern char** environ;

namespace sluice::net {
namespace {

// Two descriptors, closed unless they are taken.
struct Pipe {
  int ends[2] = {-1, -1};
  bool open() { return ::pipe2(ends, O_CLOEXEC) == 0; }
  int take(int which) { return std::exchange(ends[which], -1); }
  ~Pipe() {
    for (const int end : ends) {
      if (end >= 0) ::close(end);
    }
  }
};

// `given`, and of our environment what is not given anew; for posix_spawn.
std::vector<char*> with_ours(const std::vector<std::string>& given) {
  std::vector<char*> all;
  for (const std::string& one : given) all.push_back(const_cast<char*>(one.c_str()));
  for (char** ours = environ; *ours; ++ours) {
    const std::string_view text(*ours);
    const std::string_view name = text.substr(0, text.find('=') + 1);  // with its sign
    const bool anew = std::any_of(given.begin(), given.end(),
                                  [&](const std::string& one) { return !name.empty() && one.starts_with(name); });
    if (!anew) all.push_back(*ours);
  }
  all.push_back(nullptr);
  return all;
}

tl::unexpected<Error> not_started(const std::string& program, int why) {
  return fail(Code::kUnavailable, program + " cannot be started: " + errno_text(why));
}

}  // namespace

Result<std::unique_ptr<ServerProcess>> ServerProcess::start(const asio::any_io_executor& executor,
                                                            const std::vector<std::string>& command,
                                                            std::function<void(int)> on_exit,
                                                            const std::vector<std::string>& environment) {
  if (command.empty()) return fail(Code::kInvalid, "there is no program to start");
  Pipe in, out;
  if (!in.open() || !out.open()) return not_started(command.front(), errno);
  SpawnOrders orders;
  pid_t pid = 0;
  int error = orders.give(in.ends[0], out.ends[1]);
  if (!error) error = ::posix_spawnattr_setpgroup(&orders.attributes, 0);
  if (!error) error = orders.finish(POSIX_SPAWN_SETPGROUP);
  if (!error) {
    std::vector<char*> arguments;
    for (const std::string& text : command) arguments.push_back(const_cast<char*>(text.c_str()));
    arguments.push_back(nullptr);
    std::vector<char*> variables = with_ours(environment);
    error = ::posix_spawnp(&pid, command.front().c_str(), &orders.actions, &orders.attributes, arguments.data(),
                           variables.data());
  }
  if (error) return not_started(command.front(), error);
  const int pidfd = static_cast<int>(::syscall(SYS_pidfd_open, pid, 0));
  if (pidfd < 0) {
    const int why = errno;
    ::kill(-pid, SIGKILL);
    ::waitpid(pid, nullptr, 0);
    return not_started(command.front(), why);
  }
  ::fcntl(pidfd, F_SETFD, FD_CLOEXEC);
  return std::unique_ptr<ServerProcess>(
      new ServerProcess(executor, pid, in.take(1), out.take(0), pidfd, std::move(on_exit)));
}

ServerProcess::ServerProcess(const asio::any_io_executor& executor, pid_t pid, int to_it, int from_it, int pidfd,
                             std::function<void(int)> on_exit)
    : pid_(pid), to_it_(to_it), from_it_(from_it), end_(executor, pidfd), on_exit_(std::move(on_exit)) {
  end_.async_wait(asio::posix::stream_descriptor::wait_read, [this](const boost::system::error_code& error) {
    if (error) return;  // we are gone
    reap(WNOHANG);
    if (!reaped_) return;
    const auto tell = std::move(on_exit_);
    if (tell) tell(WIFSIGNALED(status_) ? 128 + WTERMSIG(status_) : WEXITSTATUS(status_));
  });
}

ServerProcess::~ServerProcess() {
  close_pipes();
  boost::system::error_code ignored;
  end_.close(ignored);
  signal(SIGKILL);
  reap(0);
}

void ServerProcess::close_pipes() {
  for (int* end : {&to_it_, &from_it_}) {
    if (*end >= 0) ::close(std::exchange(*end, -1));
  }
}

// The group keeps its number while any of it lives, and we hold the leader's until it is reaped; a group that is gone
// is no error.
void ServerProcess::signal(int number) const { ::kill(-pid_, number); }

void ServerProcess::reap(int flags) {
  while (!reaped_) {
    const pid_t got = ::waitpid(pid_, &status_, flags);
    if (got < 0 && errno == EINTR) continue;
    if (got == 0) return;
    reaped_ = true;
  }
}

}  // namespace sluice::net
