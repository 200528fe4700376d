// Where a script's text comes from, and how fresh it is: one object for each PAC URL. Belongs to Pac's thread.
#pragma once

#include <boost/asio/steady_timer.hpp>
#include <memory>
#include <optional>
#include <string>

#include "proxy/file_roots.h"
#include "proxy/pac_fetch.h"

namespace sluice::proxy {

class PacSource {
 public:
  using Text = std::shared_ptr<const std::string>;  // the same object as long as the text is the same
  virtual ~PacSource() = default;
  // The text as it is now, UTF-8. Errors are clauses that go on after "the proxy script".
  virtual net::Task<Result<Text>> current() = 0;
};

// Looks at the file each time, and reads it when it is another one or has changed. `roots`: null: anywhere.
std::shared_ptr<PacSource> file_pac(std::string path, const FileRoots* roots);

// Fetched as PacLimits say. Who asks while it is being fetched waits for that.
class PacFetches {
 public:
  PacFetches(net::asio::io_context& io, const PacDeps& deps, const PacLimits& limits);
  std::shared_ptr<PacSource> source(Url url, std::string grant);
  // Ends the waits for servers; then, once the loop has turned, stop(): nothing of the io_context is used any more.
  void cancel() { deadlines_.tick(MonoTime::max()); }
  void stop();

 private:
  friend class HttpPac;
  void begin();  // a fetch: deadlines tick as long as there are any
  void end() { --running_; }
  void tick();

  net::asio::io_context& io_;
  const PacDeps& deps_;
  const PacLimits& limits_;
  net::Readiness readiness_;
  net::Deadlines deadlines_;
  std::optional<net::asio::steady_timer> ticker_;
  std::size_t running_ = 0;
  bool ticking_ = false;
};

}  // namespace sluice::proxy
