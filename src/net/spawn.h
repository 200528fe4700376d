// Starts a coroutine for one connection or call. The only catch for bugs: an exception that escapes is counted and
// logged, that one connection or call ends, the program goes on.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <functional>

#include "net/stream.h"

namespace sluice::net {

// `on_bug` gets what() and runs on the executor's thread; it must not throw.
void spawn(const asio::any_io_executor& executor, Task<void> task, std::function<void(std::string_view)> on_bug);

}  // namespace sluice::net
