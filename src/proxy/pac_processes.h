// The processes that run proxy scripts: one for each script that was asked of late, a few at most. Calls of one script
// go one after the other, in the order they came. Belongs to Pac's thread.
#pragma once

#include <boost/asio/steady_timer.hpp>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "net/child.h"
#include "pac/wire.h"
#include "proxy/pac.h"

namespace sluice::proxy {

class PacProcesses {
 public:
  using Text = std::shared_ptr<const std::string>;  // another object: another version
  PacProcesses(net::asio::io_context& io, const PacLimits& limits, const Clock& clock);

  // Asks the script `name`, whose text is now this. Errors are clauses that go on after "the proxy script".
  net::Task<Result<pac::Reply>> evaluate(std::string name, Text text, pac::Request request, MonoTime until);

  // Kills the processes and ends what waits for them; true once all of that has ended. Nothing is started any more.
  bool cancel();
  void stop();  // nothing of the io_context is used any more

 private:
  // Who comes while another is at it waits in a queue.
  struct Waiter {
    net::asio::steady_timer timer;
    bool granted = false;
  };
  struct Process {
    Text text;
    std::unique_ptr<net::Child> child;
    std::optional<Error> refusal;  // of this text, when it was loaded
    MonoTime refused{}, used{};
    bool busy = false;
    std::size_t users = 0;  // who hold or wait
    std::deque<Waiter*> queue;
  };
  class Turn;

  net::Task<bool> wait(std::deque<Waiter*>& queue, MonoTime until);  // false: nobody granted it
  static bool wake(std::deque<Waiter*>& queue);
  net::Task<bool> make_room(const std::string& name, MonoTime until);
  net::Task<Result<pac::Reply>> ask(Process& process, const pac::Request& request);
  net::Task<Result<pac::Reply>> tell(Process& process, const pac::Request& request);
  net::Task<Status> load(Process& process);
  void leave(Process& process);
  void arm_sweep();

  net::asio::io_context& io_;
  const PacLimits& limits_;
  const Clock& clock_;
  std::map<std::string, std::unique_ptr<Process>> processes_;
  std::deque<Waiter*> rooms_;  // who wait for one of the few
  std::optional<net::asio::steady_timer> sweep_;
  bool sweeping_ = false, stopping_ = false;
};

}  // namespace sluice::proxy
