// What of a recording is worth a look, beyond the contract's three lists: docs/sessions.md. Private to this folder.
#pragma once

#include <map>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/json.h"
#include "base/redact.h"
#include "session/session.h"

namespace sluice::tools {

// Looks at each row, and at the heads of the first kMostHeads that may say something.
class MoreFindings {
 public:
  static constexpr std::size_t kMostHeads = 5'000;

  MoreFindings(const session::Reader& reader, const Redactor* redactor) : reader_(reader), redactor_(redactor) {}
  void take(const session::Row& row);  // in the order of time
  // Adds its lists, of ten at most, to {highErrorEndpoints, …}.
  void add_to(Json& findings) const;

 private:
  struct Endpoint {
    std::uint64_t count = 0, timed = 0, duration = 0;
    ByteCount octets = 0;
  };
  struct Duplicate {
    std::int64_t last_ms = 0;
    std::uint64_t count = 0;
  };
  struct Burst {
    std::string host;
    std::int64_t begin_ms = 0, end_ms = 0;
    std::uint64_t errors = 0;
  };
  void take_error(const session::Row& row);
  void take_heads(const session::Row& row);
  void take_cookies(const session::Row& row, const http::FieldList& fields);
  void take_page(const session::Row& row, const http::FieldList& fields);

  const session::Reader& reader_;
  const Redactor* const redactor_;
  std::unordered_map<std::string, Endpoint> endpoints_;
  std::unordered_map<std::string, Duplicate> duplicates_;
  std::unordered_map<std::string, Burst> bursts_;  // the last of each host
  std::vector<Burst> ended_bursts_;
  std::map<std::string, Json> cookies_, pages_, mixed_;
  std::size_t heads_ = 0;
};

}  // namespace sluice::tools
