#include "net/dial.h"

#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <memory>
#include <optional>
#include <utility>

#include "base/url.h"

namespace sluice::net {
namespace {

using Tcp = asio::ip::tcp;
constexpr std::chrono::milliseconds kAttemptDelay{250};  // RFC 8305 §8: Connection Attempt Delay

MonoTime now() { return std::chrono::steady_clock::now(); }
auto to_asio(MonoTime at) { return std::chrono::time_point_cast<std::chrono::steady_clock::duration>(at); }

// The attempts of one dial; shared by the coroutines that make them.
struct Race {
  explicit Race(const asio::any_io_executor& executor) : changed(executor) {}
  asio::steady_timer changed;
  std::vector<std::shared_ptr<Tcp::socket>> running;
  std::optional<Tcp::socket> winner;
  Tcp::endpoint address;
  std::shared_ptr<const void> known;
  std::size_t pending = 0;
  int last_error = 0;
  bool over = false;
  bool told = false;  // an attempt has ended since the last wait
};

// RFC 8305 §4: the families in turn, starting with the first one that the system gave.
std::vector<asio::ip::address> interleave(const std::vector<asio::ip::address>& given) {
  std::vector<asio::ip::address> first, second, mixed;
  for (const auto& address : given) (address.is_v6() == given.front().is_v6() ? first : second).push_back(address);
  for (std::size_t i = 0; i < std::max(first.size(), second.size()); ++i) {
    if (i < first.size()) mixed.push_back(first[i]);
    if (i < second.size()) mixed.push_back(second[i]);
  }
  return mixed;
}

boost::system::error_code from_errno(int number) { return {number, boost::system::system_category()}; }

// Opens the socket and begins to connect; EINPROGRESS: to be waited for. Not Asio's connect, because the guard is told
// of our own address before the peer can have seen an octet.
boost::system::error_code begin_connect(Tcp::socket& socket, const Tcp::endpoint& to, std::uint32_t mark) {
  boost::system::error_code error;
  socket.open(to.protocol(), error);
  if (!error) socket.native_non_blocking(true, error);
  if (error) return error;
  const int fd = socket.native_handle();
  if (mark != 0 && ::setsockopt(fd, SOL_SOCKET, SO_MARK, &mark, sizeof mark) != 0) return from_errno(errno);
  return ::connect(fd, to.data(), static_cast<socklen_t>(to.size())) == 0 ? error : from_errno(errno);
}

Task<boost::system::error_code> end_connect(Tcp::socket& socket) {
  for (;;) {
    auto [error] = co_await socket.async_wait(Tcp::socket::wait_write, asio::as_tuple(asio::use_awaitable));
    if (error) co_return error;
    pollfd look{socket.native_handle(), POLLOUT, 0};
    if (::poll(&look, 1, 0) == 0) continue;  // woken for nothing
    int number = 0;
    socklen_t size = sizeof number;
    ::getsockopt(socket.native_handle(), SOL_SOCKET, SO_ERROR, &number, &size);
    co_return from_errno(number);
  }
}

Task<void> attempt(std::shared_ptr<Race> race, Tcp::endpoint to, DialGuard& guard, std::uint32_t mark) {
  auto socket = std::make_shared<Tcp::socket>(co_await asio::this_coro::executor);
  race->running.push_back(socket);
  ++race->pending;
  boost::system::error_code error = begin_connect(*socket, to, mark);
  std::shared_ptr<const void> known = guard.connecting(*socket, to);
  if (error.value() == EINPROGRESS) error = co_await end_connect(*socket);
  --race->pending;
  if (race->over) co_return;
  if (!error && !race->winner) {
    race->winner.emplace(std::move(*socket));
    race->address = to;
    race->known = std::move(known);
  } else if (error) {
    race->last_error = error.value();
  }
  race->told = true;
  race->changed.cancel();
}

DialFailure refused(DialStep step, const Error& error) { return {step, error.code, 0, error.message}; }

std::string connect_message(const DialRequest& request, int error_number) {
  const std::string where = authority_text(request.host, request.port, 0);
  switch (error_number) {
    case ECONNREFUSED:
      return "connection refused by " + where;
    case ENETUNREACH:
      return "no route to " + where + ": the network (or its IP family) is unreachable from here";
    case EHOSTUNREACH:
      return "no route to host " + where;
    case ETIMEDOUT:
    case 0:
      return "connecting to " + where + " took too long";
    default:
      return "connecting to " + where + " failed: " + errno_text(error_number);
  }
}

}  // namespace

void prepare_socket(Tcp::socket& socket) {
  boost::system::error_code ignored;
  socket.non_blocking(true, ignored);
  socket.set_option(Tcp::no_delay(true), ignored);
  socket.set_option(Tcp::socket::keep_alive(true), ignored);
}

Task<tl::expected<Dialled, DialFailure>> dial(Resolver& resolver, DialGuard& guard, DialRequest request) {
  Egress* const egress = guard.egress();
  if (!egress) request.grants.clear();
  for (const std::string& grant : request.grants) {
    if (Status allowed = egress->may_look_up(grant, request.host, request.port); !allowed) {
      co_return tl::unexpected(refused(DialStep::kEgress, allowed.error()));
    }
  }
  auto addresses = co_await resolver.resolve(request.host, request.deadline);
  if (!addresses) {
    co_return tl::unexpected(refused(DialStep::kResolve, addresses.error()));
  }
  Dialled result{Tcp::socket(co_await asio::this_coro::executor), {}, now(), {}, nullptr};
  for (const auto& address : *addresses) {
    if (Status allowed = guard.may_dial(request.host, address, request.port); !allowed) {
      co_return tl::unexpected(refused(DialStep::kGuard, allowed.error()));
    }
    for (const std::string& grant : request.grants) {
      if (Status allowed = egress->may_reach(grant, request.host, address, request.port); !allowed) {
        co_return tl::unexpected(refused(DialStep::kEgress, allowed.error()));
      }
    }
  }

  const auto order = interleave(*addresses);
  auto race = std::make_shared<Race>(co_await asio::this_coro::executor);
  std::size_t next = 0;
  while (!race->winner && (next < order.size() || race->pending > 0) && now() < request.deadline) {
    if (next < order.size()) {
      asio::co_spawn(co_await asio::this_coro::executor,
                     attempt(race, Tcp::endpoint(order[next], request.port), guard, request.mark), asio::detached);
      ++next;
    }
    const MonoTime until = next < order.size() ? std::min(request.deadline, now() + kAttemptDelay) : request.deadline;
    // A connect that fails at once has said so before anybody could wait.
    if (!std::exchange(race->told, false)) {
      race->changed.expires_at(to_asio(until));
      co_await race->changed.async_wait(asio::as_tuple(asio::use_awaitable));
      race->told = false;
    }
  }
  race->over = true;
  for (const auto& socket : race->running) {
    boost::system::error_code ignored;
    if (socket->is_open()) socket->close(ignored);
  }
  if (!race->winner) {
    const bool late = now() >= request.deadline;
    co_return tl::unexpected(DialFailure{DialStep::kConnect, late ? Code::kTimeout : Code::kUnavailable,
                                         late ? ETIMEDOUT : race->last_error,
                                         connect_message(request, late ? 0 : race->last_error)});
  }
  result.socket = std::move(*race->winner);
  result.address = race->address;
  result.known = std::move(race->known);
  result.connected = now();
  prepare_socket(result.socket);
  co_return result;
}

}  // namespace sluice::net
