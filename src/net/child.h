// A process of our own that is asked a line and answers a line, and that can be killed at any time. No shell: argv
// only. It has the environment that it is given and no other, and one connection to us, as its standard input and
// output; standard error goes nowhere, every other descriptor is closed; it leads a session of its own, so that a
// terminal's Ctrl-C is not its. A Child belongs to the thread of its executor; who asks the system to end it with its
// parent (PR_SET_PDEATHSIG) ends it with that thread. posix_spawn(3), prctl(2).
#pragma once

#include <sys/types.h>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <memory>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "net/stream.h"

namespace sluice::net {

struct ChildCommand {
  std::string program = "/proc/self/exe";  // this program itself, also after its file was replaced
  std::vector<std::string> arguments;      // after the name
  std::vector<std::string> environment;    // NAME=value
};

class Child {
 public:
  // kUnavailable: it could not be started.
  static Result<std::unique_ptr<Child>> start(const asio::any_io_executor& executor, const ChildCommand& command);
  ~Child();  // kills and reaps: a few milliseconds at most
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;

  pid_t pid() const { return pid_; }
  bool is_running();
  // Sends a line (without its end) and waits for one. kTimeout; kClosed: it ended; kTooLarge: more than `most`, or than
  // one line. After an error it is of no more use. One at a time.
  Task<Result<std::string>> exchange(std::string line, MonoTime deadline, ByteCount most);
  // Kills and reaps it, and no other; an exchange() under way ends with kClosed. How it ended: "signal 11 (Segmentation
  // fault)", "status 3", or "" if it was killed here.
  std::string end();

 private:
  Child(const asio::any_io_executor& executor, pid_t pid, int fd);
  void reap(int flags);

  asio::local::stream_protocol::socket socket_;
  const pid_t pid_;
  bool reaped_ = false, killed_ = false;
  int status_ = 0;
  std::string kept_;
};

}  // namespace sluice::net
