// The tools of one upstream server as its list names them, whole, kept until the server says that they changed; each
// with whether it may be used at all (gate.md 6, A5, A39). Control thread only.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/clock.h"
#include "base/json.h"
#include "gateway/pin_store.h"
#include "gateway/policy.h"
#include "gateway/state_lane.h"
#include "mcp/client_session.h"
#include "mcp/http_headers.h"

namespace sluice::gateway {

// A5: 1 to 128 of A-Z a-z 0-9 _ . / -; what looks like another name is none.
bool is_tool_name(std::string_view name);

struct UpstreamTool {
  Json entry;   // as the server gave it, with spellings
  Json schema;  // its inputSchema with ordinary numbers; null: none
  std::string name;
  bool quarantined = false;
  std::vector<mcp::ParamHeader> headers = {};  // arguments that HTTP clients say beside the body, too
};

// Whose tools, and where what was agreed to is kept.
struct UpstreamName {
  std::string server;  // gate.md 2
  std::string target;  // the command or URL
};

class UpstreamTools {
 public:
  struct Deps {
    const Clock& clock;
    PinStore& pins;  // outlives it
    UpstreamName name;
    PinStore::First first = PinStore::First::kAccept;
    // One page: answers later, or from within, unless the connection ends.
    std::function<void(Json params, std::function<void(mcp::ClientSession::Answered)> done)> fetch;
    bool over_http = false;  // a tool whose schema no HTTP client may follow is left out
    std::function<Policy::Pins()> mode;
    std::function<void(std::string_view)> notice;  // for the person who runs the gateway
    std::function<void()> listed = {};             // a whole list is there
    StateLane* lane = nullptr;                     // where pins are asked for; null: here and now
  };
  explicit UpstreamTools(Deps deps) : deps_(std::move(deps)) {}

  // An upstream's error, or why its list cannot be used.
  using Failure = std::optional<Json>;
  enum class Freshness { kKept, kNew };
  // `ready` is called with the list there, or why not. `meta`: what a modern request must carry.
  void want(Freshness freshness, const Json& meta, std::function<void(const Failure&)> ready);
  bool is_known() const { return known_; }
  // How old the list may be: nullopt: for as long as the server says nothing.
  bool is_kept(bool tells_of_changes) const;

  std::shared_ptr<const UpstreamTool> find(std::string_view name) const;
  // The result of tools/list with those that `shown` says, as JSON text: written once for a list and a choice. Valid
  // until the next call of a member.
  const std::string& list_text(const std::function<bool(const UpstreamTool&)>& shown);
  const std::vector<std::shared_ptr<UpstreamTool>>& all() const { return tools_; }

  // The server says that its list changed.
  void forget() {
    known_ = false;
    outdated_ = fetching_;
  }
  // Pins were accepted, or the policy says otherwise of them. `then` is called once that is known, from within or
  // later.
  void check_pins(std::function<void()> then);

 private:
  void read_page(Json meta, std::shared_ptr<mcp::PageReader> reader);
  void take(Json result);
  void end(const Failure& failure);
  void look_at_pins(std::function<void()> then);
  void settle_pins(Policy::Pins mode, const Result<PinStore::Checked>& checked);
  void bar(const std::set<std::string>& quarantined);

  Deps deps_;
  bool known_ = false, fetching_ = false, outdated_ = false;
  Json whole_ = nullptr;  // the result, its list empty
  std::vector<std::shared_ptr<UpstreamTool>> tools_;
  std::unordered_map<std::string, std::size_t> by_name_;
  std::vector<std::function<void(const Failure&)>> waiting_;
  MonoTime fetched_{};
  Duration ttl_{};
  std::vector<bool> listed_;                      // of tools_, those in text_
  std::string text_;                              // empty: not written yet
  std::uint64_t looks_ = 0;                       // at pins
  std::optional<std::set<std::string>> settled_;  // what pins said of this list when they could be read last
  const std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace sluice::gateway
