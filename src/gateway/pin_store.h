// What an upstream server's tools were when somebody last agreed to them, in state.db (gate.md 6): name, description,
// schemas and annotations as one canonical text each, by server name and by the command or URL behind it. What is new
// or has changed since is quarantined until it is accepted. One thread at a time; shared with other processes.
#pragma once

#include <cstdint>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "gateway/gate_db.h"

namespace sluice::gateway {

struct Pin {
  std::string server, target, tool;
  std::string accepted;  // the text that was agreed to; empty: none
  std::string seen;      // the newest one
  std::string rejected;  // the one that was refused; empty: none
  std::int64_t changed_ms = 0;
  bool is_quarantined() const { return accepted != seen; }
};

class PinStore {
 public:
  explicit PinStore(GateDb& db) : db_(db) {}

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
  };
  Result<Checked> check(const std::string& server, const std::string& target, std::span<const Seen> tools, First first,
                        std::int64_t now_ms);

  Result<std::vector<Pin>> load();
  // Of one server's quarantined tools those that are named, all if none is. How many; kNotFound: one is not there.
  Result<std::size_t> accept(const std::string& server, const std::vector<std::string>& tools);
  Result<std::size_t> reject(const std::string& server, const std::vector<std::string>& tools);
  Result<std::int64_t> revision() { return db_.revision(GateDb::Part::kPins); }

 private:
  Result<std::size_t> settle(const std::string& server, const std::vector<std::string>& tools, const char* set);
  Result<std::vector<Pin>> select(const std::string& server, const std::string& target);
  Status write(const Pin& pin);

  GateDb& db_;
};

}  // namespace sluice::gateway
