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
  virtual IoResult read(MutableBytes out) = 0;
  virtual IoResult write(Bytes octets) = 0;
  // What the bottom of the stack must become ready for after read() (write()) answered kWouldBlock.
  virtual WaitFor read_waits_for() const { return WaitFor::kRead; }
  virtual WaitFor write_waits_for() const { return WaitFor::kWrite; }
  // Ends our direction in order (close_notify, FIN). Best effort, never blocks.
  virtual void close_write() = 0;
  // One sentence about the last kError, without peer bytes.
  virtual std::string error_text() const = 0;
};

}  // namespace sluice::tls
