#include "net/spawn.h"

#include <boost/asio/co_spawn.hpp>
#include <exception>

namespace sluice::net {

void spawn(const asio::any_io_executor& executor, Task<void> task, std::function<void(std::string_view)> on_bug) {
  asio::co_spawn(executor, std::move(task), [on_bug = std::move(on_bug)](std::exception_ptr bug) {
    if (!bug) return;
    try {
      std::rethrow_exception(bug);
    } catch (const std::exception& what) {
      on_bug(what.what());
    } catch (...) {
      on_bug("an exception of an unknown kind");
    }
  });
}

}  // namespace sluice::net
