// What a recorded request becomes when it is sent again: its octets as they were, but for what the caller changes.
// Pure; thread-safe.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/result.h"
#include "base/url.h"
#include "flow/exchange.h"
#include "proxy/sender.h"

namespace sluice::replay {

struct Overrides {
  std::optional<Url> url;  // in place of the recorded one
  std::optional<std::string> method;
  // Set, or removed where there is no value; in this order. Framing fields are not the caller's to set.
  std::vector<std::pair<std::string, std::optional<std::string>>> fields;
  std::optional<std::string> content;  // in place of the recorded one; "" for none
};

// kRefused: it is no request that can be sent by itself (a socket, a tunnel), or its recorded body is not whole and
// is not replaced. Sees no body: whether one is needed is has_content().
Status check_replayable(const flow::Exchange& exchange, const Overrides& overrides);
// `content`: as it was on the wire; ignored where the overrides have their own. kInvalid: a field or a method that
// cannot be.
Result<proxy::SendRequest> make_request(const flow::Exchange& exchange, std::string content,
                                        const Overrides& overrides);
// What `base` makes of a recorded URL: its scheme, host and port, its path in front of the recorded path.
Url rebased(const flow::Exchange& exchange, const Url& base);
Url recorded_url(const flow::Exchange& exchange);

// RFC 9110 §9.2.1: sending it again changes nothing.
bool is_safe_method(std::string_view method);

}  // namespace sluice::replay
