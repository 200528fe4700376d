#include "proxy/pac_processes.h"

#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "pac/child.h"

namespace sluice::proxy {
namespace {

namespace asio = net::asio;

auto to_asio(MonoTime at) { return std::chrono::time_point_cast<std::chrono::steady_clock::duration>(at); }

net::ChildCommand command() {
  net::ChildCommand command;
  command.arguments = pac::child_arguments();
  command.environment = pac::child_environment();
  return command;
}

std::string seconds(std::chrono::milliseconds time) {
  const auto whole = time.count() / 1000, rest = time.count() % 1000;
  return std::to_string(whole) + (rest ? "." + std::to_string(rest / 100) : "") + " s";
}

}  // namespace

// One call's hold on a process.
class PacProcesses::Turn {
 public:
  Turn(PacProcesses& all, Process& process) : all_(all), process_(process) { ++process_.users; }
  ~Turn() {
    --process_.users;
    if (held_) all_.leave(process_);
  }
  Turn(const Turn&) = delete;
  Turn& operator=(const Turn&) = delete;
  net::Task<bool> take(MonoTime until) {
    if (process_.busy) {
      held_ = co_await all_.wait(process_.queue, until);
    } else {
      process_.busy = held_ = true;
    }
    co_return held_;
  }

 private:
  PacProcesses& all_;
  Process& process_;
  bool held_ = false;
};

PacProcesses::PacProcesses(asio::io_context& io, const PacLimits& limits, const Clock& clock)
    : io_(io), limits_(limits), clock_(clock), sweep_(io) {}

net::Task<bool> PacProcesses::wait(std::deque<Waiter*>& queue, MonoTime until) {
  Waiter waiter{asio::steady_timer(io_, to_asio(until))};
  queue.push_back(&waiter);
  co_await waiter.timer.async_wait(asio::as_tuple(asio::use_awaitable));
  if (!waiter.granted) std::erase(queue, &waiter);
  co_return waiter.granted;
}

bool PacProcesses::wake(std::deque<Waiter*>& queue) {
  if (queue.empty()) return false;
  queue.front()->granted = true;
  queue.front()->timer.cancel();
  queue.pop_front();
  return true;
}

void PacProcesses::leave(Process& process) {
  process.used = clock_.mono();
  if (wake(process.queue)) return;  // which holds it now
  process.busy = false;
  if (process.users == 0) wake(rooms_);
  arm_sweep();
}

// True once there is a process of this name, or another one may be had: what was asked longest ago makes place.
net::Task<bool> PacProcesses::make_room(const std::string& name, MonoTime until) {
  while (!processes_.contains(name) && processes_.size() >= limits_.processes) {
    auto oldest = processes_.end();
    for (auto at = processes_.begin(); at != processes_.end(); ++at) {
      if (at->second->users > 0) continue;
      if (oldest == processes_.end() || at->second->used < oldest->second->used) oldest = at;
    }
    if (oldest != processes_.end()) {
      processes_.erase(oldest);
    } else if (!co_await wait(rooms_, until)) {
      co_return false;
    }
  }
  co_return true;
}

net::Task<Result<pac::Reply>> PacProcesses::evaluate(std::string name, Text text, pac::Request request,
                                                     MonoTime until) {
  if (!co_await make_room(name, until)) {
    co_return fail(Code::kTimeout, "was not run: too many other scripts are being asked");
  }
  auto& place = processes_[name];
  if (!place) place = std::make_unique<Process>();
  Process& process = *place;  // stays while it has users
  Turn turn(*this, process);
  if (!co_await turn.take(until)) co_return fail(Code::kTimeout, "was not asked in time: others wait for it as well");
  if (process.text != text) {
    process.child.reset();
    process.refusal.reset();
    process.text = std::move(text);
  }
  auto reply = co_await ask(process, request);
  if (!reply || reply->last) process.child.reset();
  co_return reply;
}

// A process that had answered before and is gone now may have been ended by anybody: one more is tried.
net::Task<Result<pac::Reply>> PacProcesses::ask(Process& process, const pac::Request& request) {
  const bool had_one = process.child && process.child->is_running();
  if (!had_one) {
    if (const Status loaded = co_await load(process); !loaded) co_return fail(loaded.error());
  }
  auto reply = co_await tell(process, request);
  if (reply || reply.error().code != Code::kClosed || !had_one) co_return reply;
  if (const Status loaded = co_await load(process); !loaded) co_return fail(loaded.error());
  co_return co_await tell(process, request);
}

net::Task<Status> PacProcesses::load(Process& process) {
  process.child.reset();
  if (stopping_) co_return fail(Code::kCancelled, "is not run any more: Sluice ends");
  const MonoTime now = clock_.mono();
  if (process.refusal && now - process.refused < limits_.failed_start) co_return fail(*process.refusal);
  process.refusal.reset();
  auto child = net::Child::start(io_.get_executor(), command());
  if (!child) co_return fail(std::move(child.error()));
  process.child = *std::move(child);
  pac::Request request;
  request.script = *process.text;
  const auto reply = co_await tell(process, request);
  Status loaded{};
  if (!reply) {
    loaded = fail(reply.error());
  } else if (!reply->answer) {
    loaded = fail(reply->answer.error());
  }
  if (!loaded) {
    process.refusal = loaded.error();
    process.refused = clock_.mono();
    process.child.reset();
  }
  co_return loaded;
}

net::Task<Result<pac::Reply>> PacProcesses::tell(Process& process, const pac::Request& request) {
  const MonoTime deadline = clock_.mono() + limits_.evaluate;
  auto line = co_await process.child->exchange(pac::write(request), deadline, pac::kMostReply);
  if (line) {
    auto reply = pac::read_reply(*line);
    if (reply) co_return reply;
    process.child.reset();
    co_return fail(Code::kInvalid, "is run by a process that answers nonsense");
  }
  const std::string how = process.child->end();
  process.child.reset();
  switch (line.error().code) {
    case Code::kTimeout:
      co_return fail(Code::kTimeout, "did not answer within " + seconds(limits_.evaluate) +
                                         ": it loops, or the names that it looks up take so long");
    case Code::kTooLarge:
      co_return fail(Code::kInvalid, "is run by a process that answers too much");
    default:
      co_return fail(Code::kClosed, "ended its process" + (how.empty() ? "" : ": " + how));
  }
}

bool PacProcesses::cancel() {
  stopping_ = true;
  bool idle = rooms_.empty();
  for (Waiter* waiter : rooms_) waiter->timer.cancel();
  for (const auto& [name, process] : processes_) {
    for (Waiter* waiter : process->queue) waiter->timer.cancel();
    if (process->child) process->child->end();
    idle = idle && process->users == 0;
  }
  return idle;
}

void PacProcesses::stop() {
  processes_.clear();
  sweep_.reset();
}

void PacProcesses::arm_sweep() {
  if (sweeping_ || stopping_) return;
  sweeping_ = true;
  sweep_->expires_after(std::max<std::chrono::milliseconds>(limits_.idle / 4, std::chrono::milliseconds(10)));
  sweep_->async_wait([this](const boost::system::error_code& error) {
    sweeping_ = false;
    if (error) return;
    const MonoTime now = clock_.mono();
    std::erase_if(processes_,
                  [&](const auto& one) { return one.second->users == 0 && now - one.second->used >= limits_.idle; });
    if (!processes_.empty()) arm_sweep();
  });
}

}  // namespace sluice::proxy
