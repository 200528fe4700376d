// What a rule may hold besides patterns: tokens, hosts, field names and values, statuses, sizes. Private to this
// folder. Pure. Errors: kInvalid or kTooLarge, one sentence that begins with the member.
#pragma once

#include <string_view>

#include "base/bytes.h"
#include "base/result.h"
#include "rules/rule.h"

namespace sluice::rules {

inline constexpr std::size_t kMaxHeaders = 1'000;  // of one matcher, mock or transform: as many as a head may hold
inline constexpr std::size_t kMaxHeaderOctets = 256u << 10;  // of the same: as large as a head may be
inline constexpr std::size_t kMaxBodyEdits = 1'000;          // pairs of one transform
inline constexpr std::size_t kMaxText = 16u << 20;           // octets of a body or a replacement: above any MCP message

Status check_host(std::string_view member, std::string_view host);
Status check_matcher(const Matcher& matcher);  // all but hosts and patterns
ByteCount text_size(const RuleSpec& spec);     // octets of everything that the rule holds
Status check_handler(const Handler& handler);  // forwardTo and statuses included

}  // namespace sluice::rules
