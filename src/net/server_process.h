// A program in front of which we stand: it has our environment and what it is given beside it, our standard error, and
// two pipes to us as standard input and output; every other descriptor is closed. It leads a process group of its own,
// so that a signal reaches what it started, too, and a terminal's Ctrl-C comes through us. No shell: argv only, looked
// up in PATH. Belongs to the thread of its executor. posix_spawn(3), pidfd_open(2).
#pragma once

#include <sys/types.h>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"

namespace sluice::net {

namespace asio = boost::asio;

class ServerProcess {
 public:
  // `on_exit` is called once, from the executor, when the program itself has ended; its exit code, or 128 and the
  // number of the signal that ended it. `environment`: NAME=value, each in place of ours. kUnavailable: it could not be
  // started.
  static Result<std::unique_ptr<ServerProcess>> start(const asio::any_io_executor& executor,
                                                      const std::vector<std::string>& command,
                                                      std::function<void(int code)> on_exit,
                                                      const std::vector<std::string>& environment = {});
  ~ServerProcess();  // ends the whole group (SIGKILL) and reaps
  ServerProcess(const ServerProcess&) = delete;

  pid_t pid() const { return pid_; }
  // Our ends, until close_pipes(): for whoever duplicates them.
  int to_it() const { return to_it_; }
  int from_it() const { return from_it_; }
  void close_pipes();
  // To all of its group that is left.
  void signal(int number) const;
  bool has_ended() const { return reaped_; }

 private:
  ServerProcess(const asio::any_io_executor& executor, pid_t pid, int to_it, int from_it, int pidfd,
                std::function<void(int)> on_exit);
  void reap(int flags);

  const pid_t pid_;
  int to_it_, from_it_;
  asio::posix::stream_descriptor end_;
  std::function<void(int)> on_exit_;
  bool reaped_ = false;
  int status_ = 0;
};

}  // namespace sluice::net
