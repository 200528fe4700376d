// A Sink for exchanges of which nothing is kept. Nothing of them may be held or read through it: the worker's own sink
// gives the space.
#pragma once

#include <cstdint>

#include "flow/sink.h"

namespace sluice::proxy {

// The number of all exchanges of which nothing is kept.
inline constexpr ExchangeSeq kUnrecorded{UINT64_MAX};

class NoRecord final : public flow::Sink {
 public:
  MutableBytes read_space(std::size_t) override { return {}; }
  flow::Held hold(Bytes) override { return {}; }
  ExchangeSeq opened(const flow::Opened&) override { return kUnrecorded; }
  void request_sent(ExchangeSeq, Bytes) override {}
  void responded(ExchangeSeq, const flow::Responded&) override {}
  void body(ExchangeSeq, flow::Direction, Bytes) override {}
  void trailers(ExchangeSeq, flow::Direction, Bytes) override {}
  void message(ExchangeSeq, const flow::MessageSeen&) override {}
  void ended(ExchangeSeq, const flow::Ended&) override {}
};

}  // namespace sluice::proxy
