// A non-blocking stream of octets: what TLS runs over, and what TLS itself is to the layer above. In production the
// bottom is a socket; in tests it is memory; for TLS in TLS it is another session. Not thread-safe.
#pragma once

#include "base/bytes.h"

namespace sluice::tls {

enum class IoStatus {
  kOk,          // `count` octets moved, at least one
  kWouldBlock,  // nothing moved; see wait_for()
  kEof,         // read only: the peer ended its direction in order
  kTruncated,   // read only: TLS without close_notify, then the end of the transport
  kError,       // the stream is dead; see error_text()
};

struct IoResult {
  IoStatus status = IoStatus::kOk;
  std::size_t count = 0;
};

enum class WaitFor { kRead, kWrite };

class ByteTransport {
 public:
  virtual ~ByteTransport() = default;
  // Wait for readability only after kWouldBlock: octets may lie above the bottom. Fewer octets than asked for mean that
  // there are no more at hand right now.
  virtual IoResult read(MutableBytes out) = 0;
  // kOk: `count` octets are taken and need not come again; some of them may still lie in a buffer of this layer
  // (has_pending_output), which the next write() or flush() empties first. Fewer than given: the way is full.
  virtual IoResult write(Bytes octets) = 0;
  // True while octets that write() took (or an end that close_write() was asked for) have not reached the bottom. A
  // caller who has nothing more to write calls flush(), at writability, until it is false.
  virtual bool has_pending_output() const { return false; }
  // Empties the buffers of this layer and those beneath. kOk (count 0): nothing is pending any more;
  // kWouldBlock: see write_waits_for().
  virtual IoResult flush() { return {IoStatus::kOk, 0}; }
  // True if read() would say kWouldBlock without asking anybody below: nothing has come since it last had no more to
  // give. False where that is not known.
  virtual bool is_drained() const { return false; }
  // What the bottom of the stack must become ready for after read() (write()) answered kWouldBlock.
  virtual WaitFor read_waits_for() const { return WaitFor::kRead; }
  virtual WaitFor write_waits_for() const { return WaitFor::kWrite; }
  // Ends our direction in order (close_notify, FIN), after what is pending. Best effort, never blocks: if
  // has_pending_output() is true afterwards, flush() finishes it.
  virtual void close_write() = 0;
  // One sentence about the last kError, without peer bytes.
  virtual std::string error_text() const = 0;
};

}  // namespace sluice::tls
