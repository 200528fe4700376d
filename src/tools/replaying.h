// What replays share: recorded requests read whole, answers as they can be compared, causes as they are told. Private
// to this folder.
#pragma once

#include <functional>
#include <map>
#include <span>

#include "analysis/variables.h"
#include "capture/capture.h"
#include "proxy/sender.h"
#include "replay/compare.h"
#include "replay/request.h"
#include "replay/runner.h"
#include "tools/tool.h"

namespace sluice::tools {

inline constexpr ByteCount kMostReplayed = 64 * kMiB;  // of a request's body
inline constexpr ByteCount kMostCompared = 1 * kMiB;   // of an answer's content, on the wire

// The request's content as it was on the wire. kTooLarge, kIo, kNotFound.
Result<std::string> recorded_content(const capture::BodySource& bodies, const flow::Exchange& exchange);
// A recorded message, its content decoded; of a request `status` is 0.
Result<replay::Answer> recorded_message(const capture::BodySource& bodies, const flow::Exchange& exchange,
                                        flow::Direction direction, const std::stop_token& stop);
// The recorded answer.
Result<replay::Answer> recorded_answer(const capture::BodySource& bodies, const flow::Exchange& exchange,
                                       const std::stop_token& stop);
replay::Answer received_answer(const proxy::SendResult& sent);

// What variables make of a captured text; only `${name}` counts there.
using PutCaptured = std::function<Result<std::string>(std::string_view text, analysis::VariablePlace place)>;
// Of a captured request's target, fields and content what holds variables goes into the overrides, unless the caller
// gave something in its place. A coded content stays as it is.
Status substitute_captured(const flow::Exchange& exchange, const std::string& content, const PutCaptured& put,
                           replay::Overrides& overrides);

analysis::VariablePlace place_of_content(const http::FieldList& fields);

// A value that an answer brought, under the name that it goes by.
class ChainedValue {
 public:
  ChainedValue(std::string name, std::string value) : name(std::move(name)), value(std::move(value)) {}
  std::string name, value;
  // As it may stand in a request: as the place spells it, and as it is.
  const std::vector<std::string>& spellings(analysis::VariablePlace place);

 private:
  std::map<analysis::VariablePlace, std::vector<std::string>> spelled_;  // as it was asked for
};

// Where the text says one of them; of two that overlap the earlier in `values`.
std::vector<analysis::Stretch> find_chained(std::string_view text, analysis::VariablePlace place,
                                            std::span<ChainedValue* const> values);

// Sends on behalf of the caller.
replay::Runner::Send sender_of(const CallContext& context);
// The denial, where the policy of a grant did not let it go there; said to the audit, too. nullopt: it did.
std::optional<Error> egress_denial(const proxy::SendResult& sent, const CallContext& context);

// {code, phase, message} of a request that got no whole answer.
Json cause_json(const flow::Failure& failure);
std::vector<ResultField> cause_result();

// The arguments of what lists items in pages.
Field item_limit_field();
Field item_offset_field();

}  // namespace sluice::tools
