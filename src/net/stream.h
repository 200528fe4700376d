// One end of a connection as a coroutine sees it: a stack of ByteTransports (TCP, TLS over it, TLS in TLS) plus waiting.
// try_read and try_write never block and never wait: read first, wait only after kWouldBlock (an Asio wait costs a system
// call). A Stream belongs to one worker thread; it may be read by one coroutine while another writes.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <memory>
#include <string>

#include "base/bytes.h"
#include "base/result.h"
#include "tls/session.h"
#include "tls/transport.h"

namespace sluice::net {

namespace asio = boost::asio;
template <class T>
using Task = asio::awaitable<T>;

class Stream {
 public:
  virtual ~Stream() = default;

  virtual tls::IoResult try_read(MutableBytes out) = 0;
  virtual tls::IoResult try_write(Bytes octets) = 0;
  // Until try_read (try_write) is worth another try. kCancelled or kTimeout after cancel().
  virtual Task<Status> wait_readable() = 0;
  virtual Task<Status> wait_writable() = 0;

  // At least one octet; 0 at the peer's orderly end. kClosed: reset or truncated; kTimeout, kCancelled.
  Task<Result<std::size_t>> read(MutableBytes out);
  // All of it.
  Task<Status> write_all(Bytes octets);

  virtual void close_write() = 0;           // orderly end of our direction; best effort
  virtual void close() = 0;                 // orderly end of both; pending waits end with kCancelled
  virtual void reset() = 0;                 // RST: the peer sees that something went wrong
  // Ends pending waits, with this code (kTimeout for deadlines). The stream stays usable for writing an answer.
  virtual void cancel(Code why) = 0;
  virtual bool peer_reset() = 0;            // a look without waiting: has the connection died?
};

}  // namespace sluice::net
