// What the program and the process that runs a script say to each other: a line of JSON each way, in turn, the script
// itself first. Pure; thread-safe.
#pragma once

#include <optional>
#include <string>

#include "pac/script.h"

namespace sluice::pac {

inline constexpr ByteCount kMostScript = 1 * kMiB;   // corporate scripts of thousands of hosts have some 200 KiB
inline constexpr ByteCount kMostRequest = 8 * kMiB;  // such a script, each octet of it escaped
inline constexpr ByteCount kMostReply = 64 * kKiB;   // the longest answer and all alerts, escaped

struct Request {
  std::optional<std::string> script;  // load this; else evaluate:
  std::string url, host;
};
struct Reply {
  Result<std::string> answer;  // of a load: ""
  Script::Alerts alerts;
  bool last = false;  // the process ends after this: another one should be asked next
};

// Without the line's end. Reading: kInvalid if it is not what the writer writes.
std::string write(const Request& request);
std::string write(const Reply& reply);
Result<Request> read_request(std::string_view line);
Result<Reply> read_reply(std::string_view line);

}  // namespace sluice::pac
