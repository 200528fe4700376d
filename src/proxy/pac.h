// Proxy auto-configuration: which upstream proxies a URL goes through, as a script says (engine.md 2). Scripts are
// fetched, kept, and run in processes that can be killed (pac/child.h, net/child.h). Whatever goes wrong is an error,
// never "direct".
//
// One thread of its own does the fetching and asks the processes; resolve() may be called on any worker, the others
// from any thread. Outlives the workers. When it goes, so do its processes.
#pragma once

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "net/child.h"
#include "net/dial.h"
#include "net/stream.h"
#include "pac/answer.h"
#include "tls/session.h"

namespace sluice::proxy {

class Worker;

using PacChoice = pac::Choice;

struct PacLimits {
  std::chrono::milliseconds evaluate{5'000};       // one call; then its process is killed
  std::chrono::milliseconds patience{20'000};      // for a call with everything before it: a fetch, and others' calls
  std::size_t processes = 4;                       // at once: one for each script that was asked of late
  std::chrono::milliseconds idle{300'000};         // then a process ends
  std::chrono::milliseconds failed_start{10'000};  // what a script said against being loaded holds so long

  std::size_t scripts = 16;                 // known at once; the one asked for longest ago is forgotten
  std::chrono::milliseconds fetch{10'000};  // with all redirects
  std::size_t redirects = 5;
  std::chrono::milliseconds fresh{300'000};  // then it is fetched again, beside the calls,
  std::chrono::milliseconds grace{600'000};  // ... which go on with the old one so much longer, if it must be
  std::chrono::milliseconds refetch{2'000};  // after a fetch that failed: so long its error is the answer
  std::size_t alerts = 20;                   // of alert(), noted in a minute; the others are dropped
};

struct PacDeps {
  const Clock& clock;
  net::Resolver& resolver;
  net::DialGuard& guard;
  std::shared_ptr<tls::ClientContext> client_tls;  // whose trust certificates of script servers need
  std::vector<std::string> allow_roots;            // where pac+file may read
  std::uint32_t mark = 0;                          // SO_MARK of our connections
  std::function<void(std::string_view)> on_bug;    // an exception; any thread
  std::function<void(std::string_view)> on_alert;  // what a script gave alert(), cut; any thread
  std::string home, sessions;                      // where it may not, but for the sessions (FileRoots)
  std::string policy_folder;                       // nor here
};

class Pac {
 public:
  explicit Pac(PacDeps deps, PacLimits limits = {});
  ~Pac();  // waits for its thread, and for its processes to be gone

  // kInvalid: neither pac+http://…, pac+https://… nor pac+file:///…, in one sentence.
  static Status check_url(std::string_view pac_url);
  // A pac+file URL that the command line or the configuration gave: it may lie beyond the allowed roots.
  void permit(const std::string& pac_url);

  // The proxies for a URL, at least one, in the order to try. `url` is given to the script without userinfo and
  // fragment, https and wss also without path and query, as browsers do; `host` without brackets. Errors are one
  // sentence that names the script: not fetched, not parsed (with the line), threw, did not answer in time, returned
  // nonsense. Codes: kInvalid, kTooLarge, kNotFound, kRefused, kUnavailable, kTimeout, kIo.
  // `grant`: whose script it is, on whose behalf it is fetched; empty: that of whoever runs Sluice.
  net::Task<Result<std::vector<PacChoice>>> resolve(Worker& worker, std::string pac_url, std::string url,
                                                    std::string host, std::string grant);
  // The same on any executor of one thread.
  net::Task<Result<std::vector<PacChoice>>> resolve(std::string pac_url, std::string url, std::string host,
                                                    std::string grant = {});

 private:
  class Desk;  // everything that lives on the thread
  std::unique_ptr<net::asio::io_context> io_ = std::make_unique<net::asio::io_context>(1);  // goes before the desk
  std::optional<net::asio::executor_work_guard<net::asio::io_context::executor_type>> work_{
      net::asio::make_work_guard(*io_)};
  const PacLimits limits_;
  const std::function<void(std::string_view)> on_bug_;
  std::unique_ptr<Desk> desk_;
  std::once_flag started_;
  std::thread thread_;  // from the first question on
};

}  // namespace sluice::proxy
