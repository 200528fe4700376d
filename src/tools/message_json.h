// Messages of an exchange as tools answer them (engine.md 5). Private to this folder.
#pragma once

#include "analysis/messages.h"
#include "base/json.h"
#include "tools/tool.h"

namespace sluice::tools {

inline constexpr std::size_t kDefaultMessages = 50, kMostMessages = 1'000;

// {kind, offset, total, complete, nextOffset?, problem?, status?, items}; null for an exchange that is not made of
// messages.
Result<Json> messages_json(const capture::BodySource& ring, const flow::Exchange& exchange,
                           const analysis::MessageQuery& query);
std::vector<ResultField> messages_result();

}  // namespace sluice::tools
