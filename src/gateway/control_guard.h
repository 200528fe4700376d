// Who may speak to the control port: Host and Origin against DNS rebinding and foreign pages, the token against
// everyone else. Pure; thread-safe. engine.md 8, gate.md 10, MCP 2026-07-28 "Security".
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
    std::string token;                     // empty: none is asked for
    std::vector<std::string> allow_hosts;  // beside the loopback names and the address connected to
    bool check_host = true;                // false on a local socket, which no browser reaches
  };
  explicit ControlGuard(Options options);

  // A refusal, in this order: 400 for a missing or doubled Host, 403 for a Host or Origin that is not ours, 401 without
  // the token. `local_address` is the address that the client connected to.
  std::optional<HttpAnswer> judge(const http::RequestHead& head, const std::string& local_address) const;
  // Host and Origin alone, for paths that need no token.
  std::optional<HttpAnswer> judge_origin(const http::RequestHead& head, const std::string& local_address) const;

 private:
  bool is_ours(std::string_view host, const std::string& local_address) const;

  Options options_;
};

HttpAnswer text_answer(int status, std::string_view text);

}  // namespace sluice::gateway
