// Which program is at the other end of a local TCP connection: the kernel gives the socket's inode, /proc/PID/fd the
// process. Best effort: a process that has ended, or belongs to another user, stays unknown. Bounded: look-ups take at
// most about a twentieth of one core; what cannot be looked up in time is left unknown. Where the kernel cannot be
// asked for one socket (socket_diag.h), its tables are read instead (/proc/net/tcp{,6}), which takes as long as they
// are. add() from any thread; poll() from one.
#pragma once

#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/clock.h"
#include "net/socket_diag.h"

namespace sluice::net {

struct FoundProcess {
  int pid = 0;
  std::string name;  // /proc/PID/comm
};

class ProcessLookup {
 public:
  using Endpoint = SocketDiag::Endpoint;
  enum class Ask { kKernel, kTables };  // what to try first

  explicit ProcessLookup(const Clock& clock, Ask ask = Ask::kKernel)
      : clock_(clock), diag_(ask == Ask::kKernel ? SocketDiag::open() : std::nullopt), refilled_(clock.mono()) {}

  // The two ends as the client has them: its own, and what it connected to. `done` is called by poll(), at most once.
  void add(Endpoint client, Endpoint server, std::function<void(FoundProcess)> done);
  void poll();

 private:
  struct Pending {
    Endpoint client, server;
    std::function<void(FoundProcess)> done;
  };
  using Wanted = std::unordered_map<std::uint64_t, std::vector<const Pending*>>;  // by inode

  void resolve(const std::vector<Pending>& batch);
  Wanted ask_kernel(const std::vector<Pending>& batch);
  static Wanted read_tables(const std::vector<Pending>& batch);
  void drop_hopeless(Wanted& wanted);
  bool look_in(int pid, Wanted& wanted);

  const Clock& clock_;
  std::optional<SocketDiag> diag_;
  std::mutex mutex_;
  std::vector<Pending> queue_;
  Duration allowance_ = std::chrono::milliseconds(200);  // of time for look-ups
  MonoTime refilled_{};
  std::vector<int> recent_;  // processes that were found lately, newest last
};

}  // namespace sluice::net
