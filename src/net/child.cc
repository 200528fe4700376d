#include "net/child.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/read_until.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <cerrno>
#include <cstring>

#include "net/spawn_orders.h"

namespace sluice::net {
namespace {

std::vector<char*> pointers(const std::vector<std::string>& texts) {
  std::vector<char*> list;
  for (const std::string& text : texts) list.push_back(const_cast<char*>(text.c_str()));
  list.push_back(nullptr);
  return list;
}

// A deadline on a socket's waits; harmless once it went out of scope, also if the timer was already due.
class Watch {
 public:
  Watch(asio::local::stream_protocol::socket& socket, MonoTime deadline)
      : timer_(socket.get_executor()), state_(std::make_shared<State>(State{&socket, false})) {
    timer_.expires_at(std::chrono::time_point_cast<std::chrono::steady_clock::duration>(deadline));
    timer_.async_wait([state = state_](const boost::system::error_code& error) {
      if (error || !state->socket) return;
      state->expired = true;
      boost::system::error_code ignored;
      state->socket->cancel(ignored);
    });
  }
  ~Watch() { state_->socket = nullptr; }
  bool expired() const { return state_->expired; }

 private:
  struct State {
    asio::local::stream_protocol::socket* socket;
    bool expired;
  };
  asio::steady_timer timer_;
  std::shared_ptr<State> state_;
};

}  // namespace

Result<std::unique_ptr<Child>> Child::start(const asio::any_io_executor& executor, const ChildCommand& command) {
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) {
    return fail(Code::kUnavailable, "cannot be started: " + errno_text(errno));
  }
  std::vector<std::string> arguments{"sluice"};
  arguments.insert(arguments.end(), command.arguments.begin(), command.arguments.end());
  SpawnOrders orders;
  pid_t pid = 0;
  int error = orders.give(ends[1], ends[1]);
  if (!error) {
    error = ::posix_spawn_file_actions_addopen(&orders.actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
  }
  if (!error) error = orders.finish(POSIX_SPAWN_SETSID);
  if (!error) {
    error = ::posix_spawn(&pid, command.program.c_str(), &orders.actions, &orders.attributes,
                          pointers(arguments).data(), pointers(command.environment).data());
  }
  ::close(ends[1]);
  if (error) {
    ::close(ends[0]);
    return fail(Code::kUnavailable, "cannot be started: " + errno_text(error));
  }
  return std::unique_ptr<Child>(new Child(executor, pid, ends[0]));
}

Child::Child(const asio::any_io_executor& executor, pid_t pid, int fd)
    : socket_(executor, asio::local::stream_protocol(), fd), pid_(pid) {}

Child::~Child() { end(); }

void Child::reap(int flags) {
  while (!reaped_) {
    const pid_t got = ::waitpid(pid_, &status_, flags);
    if (got < 0 && errno == EINTR) continue;
    if (got == 0) return;
    reaped_ = true;  // also if somebody else had done it
  }
}

bool Child::is_running() {
  reap(WNOHANG);
  return !reaped_;
}

std::string Child::end() {
  boost::system::error_code ignored;
  socket_.close(ignored);
  if (is_running()) {
    ::kill(pid_, SIGKILL);
    killed_ = true;
    reap(0);
  }
  if (killed_ && WIFSIGNALED(status_) && WTERMSIG(status_) == SIGKILL) return "";
  if (!WIFSIGNALED(status_)) return "status " + std::to_string(WEXITSTATUS(status_));
  const char* name = ::sigdescr_np(WTERMSIG(status_));
  return "signal " + std::to_string(WTERMSIG(status_)) + (name ? " (" + std::string(name) + ")" : "");
}

Task<Result<std::string>> Child::exchange(std::string line, MonoTime deadline, ByteCount most) {
  if (!kept_.empty()) co_return fail(Code::kTooLarge, "it spoke without being asked");
  line += '\n';
  const Watch watch(socket_, deadline);
  auto [error, count] = co_await asio::async_write(socket_, asio::buffer(line), asio::as_tuple(asio::use_awaitable));
  if (!error) {
    std::tie(error, count) = co_await asio::async_read_until(socket_, asio::dynamic_buffer(kept_, most + 1), '\n',
                                                             asio::as_tuple(asio::use_awaitable));
  }
  if (watch.expired()) co_return fail(Code::kTimeout, "it did not answer in time");
  if (error == asio::error::not_found) co_return fail(Code::kTooLarge, "it answered too much");
  if (error) co_return fail(Code::kClosed, "it ended");
  std::string answer = kept_.substr(0, count - 1);
  kept_.erase(0, count);
  co_return answer;
}

}  // namespace sluice::net
