// Which program is at the other end of a local TCP connection: /proc/net/tcp{,6} gives the socket's inode, /proc/PID/fd
// the process. Best effort: a process that has ended, or belongs to another user, stays unknown. Bounded: look-ups take
// at most about a twentieth of one core; what cannot be looked up in time is left unknown.
// add() from any thread; poll() from one.
#pragma once

#include <cstdint>
#include <functional>
#include <mutex>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/clock.h"

namespace sluice::net {

struct FoundProcess {
  int pid = 0;
  std::string name;  // /proc/PID/comm
};

class ProcessLookup {
 public:
  explicit ProcessLookup(const Clock& clock) : clock_(clock), refilled_(clock.mono()) {}

  // `address` and `port` are the client's, loopback or one of this machine's. `done` is called by poll(), at most once.
  void add(std::string address, std::uint16_t port, std::function<void(FoundProcess)> done);
  void poll();

 private:
  struct Pending {
    std::string address;
    std::uint16_t port = 0;
    std::function<void(FoundProcess)> done;
    std::uint64_t inode = 0;
  };
  void resolve(std::vector<Pending>& batch);
  bool look_in(int pid, std::unordered_map<std::uint64_t, std::vector<Pending*>>& wanted);

  const Clock& clock_;
  std::mutex mutex_;
  std::vector<Pending> queue_;
  Duration allowance_ = std::chrono::milliseconds(200);  // of time for look-ups
  MonoTime refilled_{};
  std::vector<int> recent_;  // processes that were found lately, newest last
};

}  // namespace sluice::net
