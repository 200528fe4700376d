// `sluice policy scan`: a policy to begin with, from our own tools or from the list of a server that is started or
// asked for it. What a server says is bounded, and nothing of it reaches the terminal unescaped.
#include <fmt/format.h>

#include <array>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <csignal>
#include <set>

#include "app/commands.h"
#include "app/gateway_core.h"
#include "app/policy_simulate.h"
#include "base/json_spelling.h"
#include "base/text.h"
#include "gateway/era_messages.h"
#include "gateway/visible_text.h"
#include "mcp/client_session.h"

namespace sluice::app {
namespace {

namespace asio = boost::asio;
using gateway::visible_text;

constexpr std::size_t kMostTools = 5'000, kMostNotices = 10, kMostTitle = 60;
constexpr ByteCount kMostOctets = 64 * kMiB;  // that the server says, all together
constexpr ByteCount kMostPolicy = 1 * kMiB;   // as much as a policy may have

struct Listed {
  std::string server;  // what it calls itself, shown
  Json tools = Json::array();
};

// One list of tools from one server: opened in the legacy era, or asked in the modern one where it does not know that.
class Scan {
 public:
  explicit Scan(const Config& config, Home home) : config_(config), core_(config, std::move(home), io_) {}

  Result<Listed> run() {
    SLUICE_CHECK(core_.prepare_upstream());
    SLUICE_TRY(upstream_, core_.connect(events()));
    timer_.expires_after(std::chrono::seconds(config_.policy_wait));
    timer_.async_wait([this](const boost::system::error_code& error) {
      if (!error)
        end(fail(Code::kTimeout,
                 fmt::format("the server did not answer {} within {} s (--wait)", asked_, config_.policy_wait)));
    });
    signals_.async_wait([this](const boost::system::error_code& error, int) {
      if (!error) end(fail(Code::kCancelled, "interrupted"));
    });
    ask("initialize", Json{{"protocolVersion", "2025-11-25"},
                           {"capabilities", capabilities()},
                           {"clientInfo", {{"name", "sluice"}, {"version", SLUICE_VERSION}}}});
    io_.run();
    return std::move(*result_);
  }

 private:
  // Some servers have other tools for clients that can be asked.
  static Json capabilities() {
    return parse_json(
               R"({"sampling": {"tools": {}}, "elicitation": {"form": {}, "url": {}}, "roots": {"listChanged": true},
        "tasks": {"requests": {"sampling": {"createMessage": {}}, "elicitation": {"create": {}}}}})")
        .value();
  }

  gateway::UpstreamEvents events() {
    gateway::UpstreamEvents events;
    events.message = [this](std::string_view text, mcp::SentKey) { take(text); };
    events.too_long = [this] { end(fail(Code::kTooLarge, "the server's answer is too long")); };
    events.waits = [this](mcp::SentKey key) { return key == sent_; };
    events.lost = [this](mcp::SentKey key, const mcp::RpcError& error, bool unsent) {
      if (key != sent_) return;  // it is answered
      // A server of the modern era alone may refuse the handshake by an HTTP status.
      if (opening_ && !unsent) return on_answer({key, true, Json{{"code", error.code}, {"message", error.message}}});
      end(fail(Code::kUnavailable, shown(error.message)));
    };
    events.session_lost = [this] { end(fail(Code::kUnavailable, "the server has forgotten the session")); };
    events.hears = [](bool) {};
    events.ended = [this] {
      end(fail(Code::kUnavailable, fmt::format("the server ended before it answered {}", asked_)));
    };
    events.drained = [] {};
    events.tool = [](std::string_view) { return nullptr; };
    events.notice = [](std::string_view text) { GatewayCore::notice(visible_text(text)); };
    return events;
  }

  static std::string shown(std::string_view text) { return visible_text(utf16_prefix(text, 300)); }

  void ask(std::string method, Json params) {
    asked_ = "`" + method + "`";
    auto sent = session_.request(method, std::move(params));
    if (!sent) return end(tl::unexpected(sent.error()));
    sent_ = sent->key;
    upstream_->send(std::move(sent->text));
  }

  void take(std::string_view text) {
    if (result_) return;
    octets_ += text.size();
    if (octets_ > kMostOctets) return end(fail(Code::kTooLarge, "the server says more than 64 MiB"));
    auto event = session_.feed(text);
    if (auto* answered = std::get_if<mcp::ClientSession::Answered>(&event)) return on_answer(std::move(*answered));
    if (const auto* asked = std::get_if<mcp::ClientSession::Asked>(&event)) return on_asked(*asked);
    if (auto* ignored = std::get_if<mcp::ClientSession::Ignored>(&event); ignored && ignored->answer) {
      upstream_->send(*std::move(ignored->answer));
    }
  }

  // There is no client whom it could ask.
  void on_asked(const mcp::ClientSession::Asked& asked) {
    std::optional<std::string> text;
    if (asked.method == "ping") {
      text = session_.answer(asked.key, Json::object());
    } else if (asked.method == "roots/list") {
      text = session_.answer(asked.key, Json{{"roots", Json::array()}});
    } else {
      text =
          session_.refuse(asked.key, mcp::RpcError{mcp::rpc::kMethodNotFound, "nobody is here to be asked", nullptr});
    }
    if (text) upstream_->send(*std::move(text));
  }

  void on_answer(mcp::ClientSession::Answered answered) {
    if (answered.key != sent_) return;
    sent_ = {};
    if (std::exchange(opening_, false)) return opened(std::move(answered));
    if (answered.is_error) {
      return end(fail(Code::kUnavailable, fmt::format("the server refused {}: {}", asked_,
                                                      shown(answered.body["message"].get<std::string>()))));
    }
    if (modern_ && listed_.server.empty()) name_server(answered.body);
    if (const Status added = reader_.add(plain_json(answered.body)); !added) return end(tl::unexpected(added.error()));
    if (reader_.cursor()) return list();
    listed_.tools = reader_.take()["tools"];
    end(std::move(listed_));
  }

  void opened(mcp::ClientSession::Answered answered) {
    modern_ = answered.is_error;
    if (!modern_) {
      name_server(answered.body);
      upstream_->send(mcp::ClientSession::notify("notifications/initialized", Json::object()));
    }
    list();
  }

  void list() {
    Json params = Json::object();
    if (modern_) {
      params["_meta"] = Json{{std::string(gateway::era::kVersion), "2026-07-28"},
                             {"io.modelcontextprotocol/clientCapabilities", capabilities()},
                             {"io.modelcontextprotocol/clientInfo", {{"name", "sluice"}, {"version", SLUICE_VERSION}}}};
    }
    if (reader_.cursor()) params["cursor"] = *reader_.cursor();
    ask("tools/list", std::move(params));
  }

  void name_server(const Json& body) {
    const Json* info = find_member(body, "serverInfo");
    for (const char* member : {"name", "version"}) {
      const Json* text = info ? find_member(*info, member) : nullptr;
      if (!text || !text->is_string()) continue;
      listed_.server += (listed_.server.empty() ? "" : " ") +
                        visible_text(utf16_prefix(text->get_ref<const std::string&>(), kMostTitle));
    }
  }

  // Once; the child is ended before run() returns.
  void end(Result<Listed> result) {
    if (result_) return;
    result_ = std::move(result);
    timer_.cancel();
    asio::post(io_, [this] {
      upstream_->close([this] {
        signals_.cancel();
        io_.stop();
      });
    });
  }

  const Config& config_;
  asio::io_context io_{1};
  GatewayCore core_;
  asio::steady_timer timer_{io_};
  asio::signal_set signals_{io_, SIGINT, SIGTERM, SIGHUP};
  std::shared_ptr<gateway::Upstream> upstream_;
  mcp::ClientSession session_;
  mcp::SentKey sent_;
  mcp::PageReader reader_{"tools"};
  std::string asked_;
  ByteCount octets_ = 0;
  bool opening_ = true, modern_ = false;
  Listed listed_;
  std::optional<Result<Listed>> result_;
};

// What its annotations say; a tool that says nothing of both is unclassified.
std::string_view risk_of(const Json& tool) {
  const Json* hints = find_member(tool, "annotations");
  const auto hint = [&](const char* name) -> std::optional<bool> {
    const Json* value = hints ? find_member(*hints, name) : nullptr;
    return value && value->is_boolean() ? std::optional(value->get<bool>()) : std::nullopt;
  };
  const auto reads = hint("readOnlyHint"), destroys = hint("destructiveHint");
  if (reads == true && destroys != true) return "read";
  if (destroys) return *destroys ? "destructive" : "write";
  return "unclassified";
}

constexpr std::array<std::string_view, 4> kGroups = {"read", "write", "unclassified", "destructive"};

Json limits_of(std::string_view tool, int max) {
  return Json::array(
      {{{"counter", std::string(tool) + "_rate"}, {"window", "minute"}, {"max", max}, {"scope", "grant"}}});
}

// Its good names by group, each once, in the server's order.
Result<std::map<std::string_view, std::vector<std::string>>> group(const Json& tools) {
  std::map<std::string_view, std::vector<std::string>> groups;
  std::set<std::string> seen;
  std::size_t odd = 0;
  for (const Json& tool : tools) {
    const Json* member = find_member(tool, "name");
    const std::string name = member && member->is_string() ? member->get<std::string>() : "";
    if (gateway::is_tool_name(name) && seen.insert(name).second) {
      groups[risk_of(tool)].push_back(name);
    } else if (++odd <= kMostNotices) {
      GatewayCore::notice(fmt::format("a tool is left out: its name is {}: \"{}\"",
                                      seen.contains(name) ? "there twice" : "none that MCP allows",
                                      visible_text(utf16_prefix(name, kMostTitle))));
    }
  }
  if (odd > kMostNotices) GatewayCore::notice(fmt::format("{} more tools are left out", odd - kMostNotices));
  if (seen.size() > kMostTools) {
    return fail(Code::kTooLarge,
                fmt::format("the server lists {} tools; a policy is made of {} at most", seen.size(), kMostTools));
  }
  return groups;
}

int scan_server(const Config& config) {
  SystemFileSystem files;
  auto home = Home::open(files, config.home);
  if (!home) return report(home.error());
  auto listed = Scan(config, *std::move(home)).run();
  if (!listed) return report(listed.error());
  const auto groups = group(listed->tools);
  if (!groups) return report(groups.error());
  Json hide = Json::array(), entries = Json::object(), risk = Json::object();
  std::string counts;
  for (const std::string_view name : kGroups) {
    const auto found = groups->find(name);
    if (found == groups->end()) continue;
    counts += fmt::format("{}{} {}", counts.empty() ? "" : ", ", found->second.size(), name);
    for (const std::string& tool : found->second) {
      if (name != "unclassified") risk[tool] = name;
      if (name == "destructive") {
        hide.push_back(tool);
      } else if (name == "unclassified") {
        entries[tool] = Json{{"require_approval", {{"message", "The server does not say what this tool changes."}}}};
      } else {
        entries[tool] = name == "read" ? Json::object() : Json{{"limits", limits_of(tool, 30)}};
      }
    }
  }
  const std::string server = listed->server.empty() ? "the server" : listed->server;
  const std::string text = dump_json(
      Json{{"version", "1"},
           {"description",
            fmt::format("Tools of {} by what it says of them ({}): reading is allowed, writing is counted, what "
                        "it says nothing of needs a person, the rest is hidden",
                        server, counts.empty() ? "none" : counts)},
           {"default", "deny"},
           {"args", "closed"},
           {"hide", hide},
           {"risk", risk},
           {"tools", entries}},
      JsonStyle::kIndented);
  if (text.size() >= kMostPolicy)
    return report({Code::kTooLarge, "a policy of all these tools would be longer than 1 MiB"});
  fmt::print("{}\n", text);
  GatewayCore::notice(
      fmt::format("{}: {} by its own annotations, which prove nothing: read it before it is put in force", server,
                  counts.empty() ? "no tools" : counts));
  return 0;
}

// What policy.md 1.12 advises for each class.
int scan_ours(const Config& config) {
  Json hide = Json::array(), entries = Json::object();
  std::vector<tools::Tool> all = tools::all_tools();
  std::erase_if(all, [&](const tools::Tool& tool) { return !belongs_to(tool, config.engine.toolset); });
  for (const tools::Risk risk : {tools::Risk::kRead, tools::Risk::kWrite, tools::Risk::kExecute}) {
    for (const tools::Tool& tool : all) {
      if (tool.risk != risk) continue;
      Json entry = Json::object();
      if (risk != tools::Risk::kRead) entry["limits"] = limits_of(tool.name, risk == tools::Risk::kWrite ? 30 : 10);
      entries[std::string(tool.name)] = std::move(entry);
    }
  }
  for (const tools::Tool& tool : all) {
    if (tool.risk == tools::Risk::kDestructive) hide.push_back(tool.name);
  }
  fmt::print("{}\n",
             dump_json(Json{{"version", "1"},
                            {"description", fmt::format("{} tools of Sluice {} by their class: reading is allowed, "
                                                        "writing and executing are counted, the rest is hidden",
                                                        all.size(), SLUICE_VERSION)},
                            {"default", "deny"},
                            {"hide", hide},
                            {"tools", entries}},
                       JsonStyle::kIndented));
  return 0;
}

}  // namespace

int scan_policy(const Config& config) {
  const bool named = !config.engine.upstream.empty(), started = !config.server_command.empty();
  std::string wrong = wrong_upstream(config);
  if (!config.arguments.empty()) {
    wrong = fmt::format(
        "`policy scan` takes no '{}': a server's command stands behind -- (-- CMD ARGS…), its URL behind --upstream",
        visible_text(config.arguments.front()));
  }
  if (named && started) wrong = "`policy scan` asks one server: -- CMD ARGS…, or --upstream URL";
  if ((named || started) && config.engine.toolset != Config().engine.toolset)
    wrong = "--toolset is of Sluice's own tools";
  if (!wrong.empty()) {
    fmt::print(stderr, "sluice: {} (see `sluice policy --help`)\n", wrong);
    return 2;
  }
  return named || started ? scan_server(config) : scan_ours(config);
}

}  // namespace sluice::app
