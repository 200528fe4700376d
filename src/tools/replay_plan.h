// What proxy_replay_session is asked for, as a plan: which exchanges, in which order, as which requests; what is left
// out, and why. Private to this folder.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "analysis/variables.h"
#include "base/entropy.h"
#include "regex/regex.h"
#include "replay/request.h"
#include "replay/runner.h"
#include "session/session.h"
#include "tools/replaying.h"
#include "tools/services.h"
#include "tools/tool.h"

namespace sluice::tools {

inline constexpr std::size_t kLeastChained = 8;  // octets of a value that is looked for in requests (analysis.md)

// A value that an answer gives to the requests behind it.
struct ReplayExtract {
  std::string name;
  std::string exchange_id;  // whose answer
  enum class From { kPointer, kPattern, kHeader } from = From::kPointer;
  std::string pointer, header;
  std::optional<regex::Regex> pattern;  // of the body, or of a field named `header`
};

struct ReplayOptions {
  std::optional<std::string> target_base;  // as given, with its variables
  std::vector<std::pair<std::string, std::optional<std::string>>> fields;
  analysis::Variables variables;
  std::vector<ReplayExtract> extracts;
  std::vector<std::string> ignore;
  std::chrono::milliseconds timeout{15'000};
  bool allow_unsafe = false;  // or named by the caller
  bool substitute_captured = false;
  bool chain = false;  // recorded values that extracts find in recorded answers give way to the new ones
  bool direct = true;
  bool paced = false;
  replay::Pace pace;
};

struct ReplayStep {
  session::Row row;
  std::string target_url;  // where it goes; before values of answers are known
  std::string skipped;     // why; empty: it is sent
};

// kInvalid: with the argument's name.
Result<ReplayOptions> read_replay_options(const Json& arguments);
std::vector<Field> replay_fields();
// All of proxy_replay_session's but `mode`.
std::vector<Field> replay_selection_fields();
ToolResult replay_session(const Json& arguments, CallContext& context);

// kNotFound: an exchange that was named is not there.
Result<std::vector<ReplayStep>> plan_replay(const session::Reader& reader, const Json& arguments,
                                            ReplayOptions& options, CallContext& context);

// Puts variables into one request; knows what answers gave. One thread.
class ReplayValues {
 public:
  ReplayValues(const ReplayOptions& options, const CallContext& context)
      : options_(options), context_(context), clock_(context.services->clock) {}

  // The request for this exchange, with its values put in.
  Result<proxy::SendRequest> request(const flow::Exchange& exchange, std::string content);
  // Only where it goes.
  Result<std::optional<Url>> target(const flow::Exchange& exchange);
  // Of chain: what the extracts find in the recorded answers. The names of those that find nothing that can be told
  // from other text (kLeastChained).
  std::vector<std::string> know_recorded(const session::Reader& reader, const std::stop_token& stop);
  // What extracts want of this answer. The names of those that found nothing.
  std::vector<std::string> take(const std::string& exchange_id, const proxy::SendResult& sent);
  const std::vector<std::string>& unresolved() const { return unresolved_; }  // names, each once

 private:
  Result<std::string> put(std::string_view text, const analysis::SubstituteOptions& options);
  Result<std::string> put_captured(std::string_view text, analysis::VariablePlace place);
  void refresh();

  const ReplayOptions& options_;
  const CallContext& context_;
  const Clock& clock_;
  SystemEntropy entropy_;
  analysis::Variables values_ = options_.variables;
  std::vector<std::string> unresolved_;
  std::vector<ChainedValue> recorded_;  // as the recorded answers had it; the longest first
};

}  // namespace sluice::tools
