// What a fuzzed request's answer says, against answers to the request as it was: several of them, so that what differs
// by itself is no finding. Pure.
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "analysis/fuzz_payloads.h"
#include "http/fields.h"

namespace sluice::analysis {

struct FuzzAnswer {
  int status = 0;
  ByteCount size = 0;  // decoded
  std::chrono::microseconds time{0};
  http::FieldList fields;
  std::string text;  // the beginning of the content, decoded
};

class FuzzBaseline {
 public:
  void add(const FuzzAnswer& answer);
  bool empty() const { return statuses_.empty(); }
  int status() const { return statuses_.front(); }
  ByteCount size() const;                  // the median
  std::chrono::microseconds time() const;  // the median
  bool has_status(int status) const;
  bool is_usual_size(ByteCount size) const;  // within 20 %, or within what the samples themselves spread over
  bool holds(std::string_view text) const;   // one of them has it
  // Still the same page: to be asked when the request as it was is sent again.
  bool is_like(const FuzzAnswer& answer) const { return has_status(answer.status) && is_usual_size(answer.size); }

 private:
  std::vector<int> statuses_;
  std::vector<ByteCount> sizes_;
  std::vector<std::chrono::microseconds> times_;
  std::vector<std::string> texts_;
};

struct FuzzFinding {
  std::string kind;      // "server_error", "status", "length", "time", "reflection", "error_signature", "proof"
  std::string message;   // one sentence
  std::string evidence;  // of the answer; short; may hold what must be masked
};

// Empty: nothing odd.
std::vector<FuzzFinding> judge(const FuzzBaseline& baseline, const FuzzPayload& payload, const FuzzAnswer& answer);

}  // namespace sluice::analysis
