#include "net/resolver.h"

#include <netdb.h>
#include <sys/socket.h>

#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <cstring>
#include <memory>
#include <mutex>
#include <optional>

namespace sluice::net {
namespace {

using Addresses = std::vector<asio::ip::address>;

Result<Addresses> look_up(const std::string& host) {
  addrinfo hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* list = nullptr;
  const int error = ::getaddrinfo(host.c_str(), nullptr, &hints, &list);
  if (error == EAI_NONAME || error == EAI_NODATA)
    return fail(Code::kNotFound, "the name " + host + " does not resolve");
  if (error != 0) {
    return fail(Code::kUnavailable, "the name " + host + " could not be looked up: " + ::gai_strerror(error));
  }
  Addresses found;
  for (addrinfo* at = list; at; at = at->ai_next) {
    asio::ip::tcp::endpoint endpoint;
    if (at->ai_addrlen > endpoint.capacity()) continue;
    std::memcpy(endpoint.data(), at->ai_addr, at->ai_addrlen);
    endpoint.resize(at->ai_addrlen);
    if (std::find(found.begin(), found.end(), endpoint.address()) == found.end()) found.push_back(endpoint.address());
  }
  ::freeaddrinfo(list);
  if (found.empty()) return fail(Code::kNotFound, "the name " + host + " has no addresses");
  return found;
}

// One look-up, known to the coroutine that asked and to the thread that looks. `answered` is the coroutine's timer
// until it no longer waits: a look-up may outlive its worker.
struct Question {
  std::mutex mutex;
  asio::steady_timer* answered = nullptr;
  std::optional<Result<Addresses>> answer;
};

struct Asking {
  explicit Asking(const asio::any_io_executor& executor) : timer(executor) { question->answered = &timer; }
  ~Asking() {
    std::lock_guard lock(question->mutex);
    question->answered = nullptr;
  }
  asio::steady_timer timer;
  std::shared_ptr<Question> question = std::make_shared<Question>();
};

void look_up_for(const std::shared_ptr<Question>& question, const std::string& host) {
  {
    std::lock_guard lock(question->mutex);
    if (!question->answered) return;
  }
  auto answer = look_up(host);
  std::lock_guard lock(question->mutex);  // while it is held the coroutine lives, and so does its executor
  if (!question->answered) return;
  asio::post(question->answered->get_executor(), [question, answer = std::move(answer)]() mutable {
    if (!question->answered) return;  // only the coroutine's own thread ends the waiting
    question->answer = std::move(answer);
    question->answered->cancel();
  });
}

}  // namespace

Resolver::~Resolver() {
  // Look-ups under way cannot be interrupted, only waited for; getaddrinfo bounds itself by resolv.conf.
  pool_.stop();
  pool_.join();
}

Task<Result<Addresses>> Resolver::resolve(std::string host, MonoTime deadline) {
  boost::system::error_code not_literal;
  const auto literal = asio::ip::make_address(host, not_literal);
  if (!not_literal) co_return Addresses{literal};

  Asking asking(co_await asio::this_coro::executor);
  asking.timer.expires_at(std::chrono::time_point_cast<std::chrono::steady_clock::duration>(deadline));
  asio::post(pool_, [question = asking.question, host] { look_up_for(question, host); });
  co_await asking.timer.async_wait(asio::as_tuple(asio::use_awaitable));
  auto& answer = asking.question->answer;
  if (!answer) co_return fail(Code::kTimeout, "looking up the name " + host + " took too long");
  co_return *std::move(answer);
}

}  // namespace sluice::net
