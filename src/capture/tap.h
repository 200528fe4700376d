// What the capture thread takes in, handed on in the order of its taking: how a recording gets its records. Called by
// the pump, inside its locks: be quick, never block, call nothing of the ring. Views live as long as the call.
#pragma once

#include <cstdint>
#include <span>

#include "capture/segment.h"
#include "flow/exchange.h"

namespace sluice::capture {

class Tap {
 public:
  virtual ~Tap() = default;
  // `uuid`: 16 octets. `payload`: what follows them in a record of type kOpened.
  virtual void on_opened(std::uint64_t seq, Bytes uuid, Bytes payload, const flow::ConnectionPtr& connection) = 0;
  // Payloads as in segments; of kEnded and kMessage the counts are those of the worker, of what found no room there.
  virtual void on_record(RecordType type, std::uint64_t seq, Bytes payload, const flow::UpstreamPtr& upstream) = 0;
  virtual void on_body(RecordType type, std::uint64_t seq, std::span<const Bytes> pieces) = 0;
  virtual void on_round_done() = 0;  // each pump's end
};

}  // namespace sluice::capture
