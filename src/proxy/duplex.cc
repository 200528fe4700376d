#include "proxy/duplex.h"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <exception>

namespace sluice::proxy {

void Duplex::spawn(const net::asio::any_io_executor& executor, net::Task<void> pump,
                   const std::function<void(std::string_view)>& on_bug) {
  pumping_ = true;
  joined_.emplace(executor);
  net::asio::co_spawn(executor, std::move(pump), [this, &on_bug](std::exception_ptr bug) {
    pumping_ = false;
    joined_->cancel();
    if (!bug) return;
    send_failed = true;
    stop();
    try {
      std::rethrow_exception(bug);
    } catch (const std::exception& what) {
      on_bug(what.what());
    } catch (...) {
      on_bug("an exception of an unknown kind");
    }
  });
}

net::Task<void> Duplex::join() {
  while (pumping_) {
    joined_->expires_at(net::asio::steady_timer::time_point::max());
    co_await joined_->async_wait(net::asio::as_tuple(net::asio::use_awaitable));
  }
}

}  // namespace sluice::proxy
