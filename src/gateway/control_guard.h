// Which requests the control port looks at: Host and Origin against DNS rebinding and foreign pages. Who they come from
// is identity.h's. Pure; thread-safe. engine.md 8, gate.md 10, MCP 2026-07-28 "Security".
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "gateway/http_reply.h"
#include "http/message.h"

namespace sluice::gateway {

class ControlGuard {
 public:
  struct Options {
    std::vector<std::string> allow_hosts;  // beside the loopback names and the address connected to
    bool check_host = true;                // false on a local socket, which no browser reaches
  };
  explicit ControlGuard(Options options);

  // A refusal: 400 for a missing or doubled Host, 403 for a Host or Origin that is not ours. `local_address` is the
  // address that the client connected to.
  std::optional<HttpAnswer> judge(const http::RequestHead& head, const std::string& local_address) const;

 private:
  bool is_ours(std::string_view host, const std::string& local_address) const;

  Options options_;
};

// The token of the one Authorization field; nullopt: there is none, there are two, or it is of another scheme.
std::optional<std::string_view> bearer_token(const http::RequestHead& head);
// 401, the same for every reason, without resource metadata, so that SDK clients stop instead of starting OAuth.
HttpAnswer unauthorized();
// Of who is not recognised: that, or 503 where grants cannot be read (Identities::unusable), so that nobody throws a
// good token away.
HttpAnswer unrecognised(std::string_view unusable);
HttpAnswer text_answer(int status, std::string_view text);

}  // namespace sluice::gateway
