// What an upstream server's tools were when somebody last agreed to them (gate.md 6): name, description, schemas and
// annotations as one canonical text each, by server name and by the command or URL behind it. What is new or has
// changed since is quarantined until it is accepted. Over rows wherever they lie (gate_rows.h, whose errors these are,
// and those named below), shared with other processes. One thread at a time.
//
// A server that invents names fills nothing: of what nobody accepted only so much is kept for each server, and as much
// again of changes to what was accepted. What the server's list does not have any more makes room; what does not fit is
// in quarantine all the same, without a row that could be accepted. What was accepted stays.
#pragma once

#include <cstdint>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "base/limits.h"
#include "gateway/gate_rows.h"

namespace sluice::gateway {

class PinStore {
 public:
  static constexpr std::size_t kMostNew = 1'000;    // rows of tools that were never accepted; a server's own are fewer
  static constexpr ByteCount kMostText = 8 * kMiB;  // of texts that nobody accepted; 1,000 tools have about 1 MiB

  explicit PinStore(GateRows& state) : state_(state) {}

  // The text of one entry of tools/list.
  static std::string text_of(const Json& entry);

  struct Seen {
    std::string tool, text;
  };
  enum class First { kAccept, kQuarantine };  // what becomes of the first list from a server
  struct Checked {
    std::set<std::string> quarantined;
    std::vector<std::string> news;  // of them, those that were not told before
    bool first = false;             // nothing was known of this server
    // Changed since they were accepted, and there was no room for that. Told once, with `full`.
    std::vector<std::string> unkept;
    bool full = false;  // more is new than is kept; told once, until there is ample room
  };
  Result<Checked> check(const std::string& server, const std::string& target, std::span<const Seen> tools, First first,
                        std::int64_t now_ms);

  Result<std::vector<Pin>> load();
  // Of one server's quarantined tools those that are named, all if none is. How many; kNotFound: one is not there.
  Result<std::size_t> accept(const std::string& server, const std::vector<std::string>& tools);
  Result<std::size_t> reject(const std::string& server, const std::vector<std::string>& tools);
  Result<std::int64_t> revision() { return state_.revision(GateRows::Part::kPins); }

 private:
  Result<std::size_t> settle(const std::string& server, const std::vector<std::string>& tools,
                             const std::function<void(Pin&)>& set);
  GateRows& state_;
};

}  // namespace sluice::gateway
