// MCP on two file descriptors: one JSON message a line, nothing else is ever written (MCP 2026-07-28 "stdio"). Answers
// are written in order of completion; while more than kMaxPending octets wait for a slow reader, nothing is read.
// At the end of input what runs gets kGrace to answer, then on_end is called once. Control thread only.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <chrono>
#include <functional>
#include <memory>

#include "base/limits.h"
#include "gateway/dispatcher.h"
#include "mcp/mcp.h"

namespace sluice::gateway {

class StdioTransport {
 public:
  static constexpr ByteCount kMaxPending = 4 * kMiB;
  static constexpr std::chrono::seconds kGrace{5};

  struct Options {
    int input = 0, output = 1;  // duplicated: the transport closes its own copies
    McpLimits limits;
    Caller caller;
  };

  // kIo: a descriptor cannot be used. `profile` and `dispatcher` outlive the transport.
  static Result<std::unique_ptr<StdioTransport>> create(const boost::asio::any_io_executor& control,
                                                        const mcp::ServerProfile& profile, Dispatcher& dispatcher,
                                                        Options options, std::function<void()> on_end);
  ~StdioTransport();
  // Stops reading and drops what was not written.
  void stop();

 private:
  struct Impl;
  explicit StdioTransport(std::shared_ptr<Impl> impl);
  std::shared_ptr<Impl> impl_;
};

}  // namespace sluice::gateway
