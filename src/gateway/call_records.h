// Reading what CallRecorder wrote. Values; a reader belongs to one thread.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/file.h"
#include "base/result.h"
#include "base/secret.h"

namespace sluice::gateway {

struct CallRecord {
  std::int64_t time_ms = 0;
  std::string grant, server, method, tool, decision, approver;
  std::string risk;                      // empty: another server's tool
  std::optional<std::string> arguments;  // JSON, as the call spelled its numbers; nothing: they were never read
};

struct CallRecords {
  std::vector<CallRecord> calls;  // by time
  // The newest of each server's tool, JSON.
  std::map<std::pair<std::string, std::string>, std::string> schemas;
  std::uint64_t lost = 0;  // calls that could not be written
};

// Of a folder's files. A last line that is not whole is left out: it is being written. kRefused: a line that was not
// sealed with this key, or was altered; kNotFound: there are none.
Result<CallRecords> read_calls(FileSystem& files, const std::string& directory, const Secret& key);

}  // namespace sluice::gateway
