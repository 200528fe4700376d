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

// What stands behind lines: one message each.
class LineSession {
 public:
  virtual ~LineSession() = default;
  virtual void take(std::string_view line) = 0;  // never empty
  virtual void too_long() = 0;                   // a line beyond the limit was skipped
  virtual std::size_t calls() const = 0;         // what is still to be answered
  virtual void close() = 0;                      // nothing is sent any more
  // Whether its client has a task of that id there (MCP 2025-11-25 "Tasks").
  virtual bool has_task(std::string_view /*id*/) const { return false; }
};

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
  // The same with any session behind it; who made it sends.
  struct Ends {
    int input = 0, output = 1;  // duplicated
    ByteCount max_line = 4 * kMiB;
    std::function<void()> on_drained = {};  // all that was sent is written
  };
  static Result<std::unique_ptr<StdioTransport>> create(const boost::asio::any_io_executor& control, Ends ends,
                                                        std::shared_ptr<LineSession> session,
                                                        std::function<void()> on_end);
  ~StdioTransport();

  void send(std::string text);  // a message; its line's end is added
  ByteCount pending() const;    // octets that wait to be written
  // Reads nothing until it is told to: the other side is slow.
  void hold_reading(bool hold);
  // What waits is written, then the other side sees the end; reading goes on.
  void end_output();
  // Stops reading and drops what was not written.
  void stop();

 private:
  struct Impl;
  explicit StdioTransport(std::shared_ptr<Impl> impl);
  std::shared_ptr<Impl> impl_;
};

}  // namespace sluice::gateway
