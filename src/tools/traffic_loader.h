// Exchanges of files become traffic: read whole into a recording that nobody else sees, and only then emitted into the
// ring, through a sink of its own, no faster than the ring takes them in. Behind load_traffic_file. Thread-safe: one
// file at a time.
#pragma once

#include <functional>
#include <mutex>

#include "capture/capture.h"
#include "session/session.h"
#include "tools/session_import.h"

namespace sluice::tools {

class TrafficLoader {
 public:
  // `sink`: one of the ring's that no worker has.
  TrafficLoader(capture::Ring& ring, flow::Sink& sink) : ring_(ring), sink_(sink) {}

  enum class Mode { kReplace, kAppend };
  // `wanted`: empty, or asked of each host and port. Where the file cannot be read nothing was changed: kInvalid,
  // kTooLarge, kCancelled, kTimeout, kIo.
  Result<ImportSummary> load(const File& file, session::Store& sessions, Mode mode, const ImportReading& reading,
                             const std::function<bool(std::string_view host, std::uint16_t port)>& wanted);

 private:
  Status emit_all(const session::Reader& reader);
  flow::Loaded loaded_of(const session::Reader& reader, flow::Exchange exchange);
  void keep_pace(ByteCount octets);

  capture::Ring& ring_;
  flow::Sink& sink_;
  std::mutex mutex_;
  std::uint64_t connections_ = 0;  // of its own, beyond those of workers
  ByteCount emitted_ = 0;          // since the ring was waited for
};

}  // namespace sluice::tools
