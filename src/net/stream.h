// One end of a connection as a coroutine sees it: a stack of ByteTransports (TCP, TLS over it, TLS in TLS) plus
// waiting. try_read and try_write never block: try first, wait only after kWouldBlock (an Asio wait costs a system
// call). A Stream belongs to one worker thread; one coroutine may read it while another writes.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <memory>
#include <string>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/result.h"
#include "tls/transport.h"

namespace sluice::net {

namespace asio = boost::asio;
template <class T>
using Task = asio::awaitable<T>;

// How closely to look: at what the event loop has told already, or at the socket itself.
enum class Look { kTold, kSocket };

// Who is told that a wait is over without a coroutine of its own: once, from within whatever ends it, so that it may do
// no more than note it and wake somebody.
class Watcher {
 public:
  virtual void on_wait_over(Status how) = 0;

 protected:
  ~Watcher() = default;
};

class Stream : public tls::ByteTransport {
 public:
  // Until read (write) is worth another try. Fails with the code given to cancel(); kTimeout at the deadline.
  virtual Task<Status> wait_readable() = 0;
  virtual Task<Status> wait_writable() = 0;
  // The same in a watcher's way: one for each side of the stream, and nobody else waits there. Null: no more.
  virtual void watch_readable(Watcher* who) = 0;
  virtual void watch_writable(Watcher* who) = 0;

  // At least one octet; 0 at the peer's orderly end. kClosed: reset, or TLS cut without close_notify (truncated()).
  Task<Result<std::size_t>> read_some(MutableBytes out);
  // All of it, down to the kernel.
  Task<Status> write_all(Bytes octets);

  // Waits that pass this moment fail with kTimeout. Stays until changed.
  virtual void set_deadline(MonoTime at) = 0;
  virtual void clear_deadline() = 0;

  // It may now be silent for long: the system finds out whether the peer is still there (TCP keep-alive).
  virtual void expect_silence() {}

  virtual void close() = 0;           // both directions; pending waits end with kCancelled
  virtual void reset() = 0;           // RST: the peer sees that something went wrong
  virtual void cancel(Code why) = 0;  // ends pending waits with this code; the stream stays usable
  // A look without waiting: false if the peer has ended, reset, or sent octets that nobody asked for.
  virtual bool is_quiet(Look look = Look::kTold) = 0;
  // True: TLS has a record of which the rest has not come.
  virtual bool has_partial_record() { return false; }
  // A look without waiting: true if the connection is dead in both directions.
  virtual bool is_dead() = 0;
  // A look without waiting: true if the peer will say no more than what has come: it has closed, or only its half.
  virtual bool has_ended() = 0;
  // Whether the last end of input was a TLS end without close_notify.
  virtual bool truncated() const { return false; }
};

}  // namespace sluice::net
