#include "gateway/upstream_tools.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/json_spelling.h"
#include "gateway/visible_text.h"

namespace sluice::gateway {
namespace {

constexpr std::size_t kMaxName = 128;
constexpr std::chrono::minutes kLongestTtl{1};  // gate.md 9

Json failure(std::string_view text) { return Json{{"code", mcp::rpc::kInternalError}, {"message", text}}; }

}  // namespace

bool is_tool_name(std::string_view name) {
  const auto good = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '.' ||
           c == '/' || c == '-';
  };
  return !name.empty() && name.size() <= kMaxName && std::all_of(name.begin(), name.end(), good);
}

bool UpstreamTools::is_kept(bool tells_of_changes) const {
  return known_ && (tells_of_changes || deps_.clock.mono() - fetched_ < ttl_);
}

void UpstreamTools::want(Freshness freshness, const Json& meta, std::function<void(const Failure&)> ready) {
  if (known_ && freshness == Freshness::kKept) return ready(std::nullopt);
  waiting_.push_back(std::move(ready));
  if (fetching_) return;  // that answer is as new as another would be
  fetching_ = true;
  outdated_ = false;
  read_page(meta, std::make_shared<mcp::PageReader>("tools"));
}

void UpstreamTools::read_page(Json meta, std::shared_ptr<mcp::PageReader> reader) {
  Json params = Json::object();
  if (!meta.is_null()) params["_meta"] = meta;
  if (reader->cursor()) params["cursor"] = *reader->cursor();
  deps_.fetch(std::move(params), [this, meta = std::move(meta), reader](mcp::ClientSession::Answered answered) mutable {
    if (answered.is_error) return end(std::move(answered.body));
    if (const Status added = reader->add(std::move(answered.body)); !added) return end(failure(added.error().message));
    if (reader->cursor()) return read_page(std::move(meta), std::move(reader));
    take(reader->take());
  });
}

void UpstreamTools::take(Json result) {
  Json& list = result["tools"];
  tools_.clear();
  by_name_.clear();
  text_.clear();
  for (Json& entry : list) {
    const Json* name = find_member(entry, "name");
    const bool named = name && name->is_string() && is_tool_name(name->get_ref<const std::string&>());
    if (!named || by_name_.contains(name->get<std::string>())) {
      deps_.notice(fmt::format("a tool of {} is left out: its name is {}", deps_.name.server,
                               named ? "there twice" : "none that MCP allows"));
      continue;
    }
    auto tool = std::make_shared<UpstreamTool>();
    tool->name = name->get<std::string>();
    if (const Json* schema = find_member(entry, "inputSchema")) tool->schema = plain_json(*schema);
    if (auto headers = mcp::find_param_headers(tool->schema)) {
      tool->headers = *std::move(headers);
    } else if (deps_.over_http) {
      deps_.notice(fmt::format("{} of {} is left out: {}", tool->name, deps_.name.server, headers.error().message));
      continue;
    }
    tool->entry = std::move(entry);
    by_name_.emplace(tool->name, tools_.size());
    tools_.push_back(std::move(tool));
  }
  list = Json::array();
  const Json* ttl = find_member(result, "ttlMs");
  ttl_ = Duration::zero();
  if (ttl && ttl->is_number_unsigned()) {
    const auto most = static_cast<std::uint64_t>(std::chrono::milliseconds(kLongestTtl).count());
    ttl_ = std::chrono::milliseconds(std::min(ttl->get<std::uint64_t>(), most));
    result["ttlMs"] = std::min(ttl->get<std::uint64_t>(), most);
  }
  if (result.contains("cacheScope")) result["cacheScope"] = "private";  // it is this caller's list
  whole_ = std::move(result);
  fetched_ = deps_.clock.mono();
  known_ = false;  // until it is known which of them may be used
  settled_.reset();
  look_at_pins([this] {
    known_ = true;
    if (deps_.listed) deps_.listed();
    end(std::nullopt);
  });
}

void UpstreamTools::end(const Failure& failed) {
  fetching_ = false;
  for (const auto& ready : std::exchange(waiting_, {})) ready(failed);
  if (std::exchange(outdated_, false)) known_ = false;
}

void UpstreamTools::check_pins(std::function<void()> then) {
  if (!known_) return then();
  look_at_pins(std::move(then));
}

void UpstreamTools::look_at_pins(std::function<void()> then) {
  const Policy::Pins mode = deps_.mode();
  const std::uint64_t look = ++looks_;
  if (mode == Policy::Pins::kOff) {
    bar({});
    return then();
  }
  std::vector<PinStore::Seen> seen;
  for (const auto& tool : tools_) seen.push_back({tool->name, PinStore::text_of(tool->entry)});
  const auto check = [pins = &deps_.pins, name = deps_.name, first = deps_.first, seen = std::move(seen),
                      now = unix_ms(deps_.clock.wall())] {
    return pins->check(name.server, name.target, seen, first, now);
  };
  if (!deps_.lane) {
    settle_pins(mode, check());
    return then();
  }
  const auto checked = std::make_shared<Result<PinStore::Checked>>(PinStore::Checked());
  StateLane::Piece piece;
  piece.work = [check, checked] { *checked = check(); };
  piece.done = [this, alive = std::weak_ptr(alive_), look, mode, checked, then = std::move(then)](Status done) {
    if (alive.expired() || look != looks_) return;  // of a list that was there before this one
    settle_pins(mode, done ? *checked : Result<PinStore::Checked>(fail(std::move(done).error())));
    then();
  };
  deps_.lane->submit(StateLane::Kind::kCall, std::move(piece));
}

void UpstreamTools::settle_pins(Policy::Pins mode, const Result<PinStore::Checked>& checked) {
  if (!checked && settled_) {  // what was agreed to of this very list stays agreed to
    return bar(mode == Policy::Pins::kWarn ? std::set<std::string>() : *settled_);
  }
  if (!checked) {
    deps_.notice("pins cannot be used, so no tool is: " + checked.error().message);
    std::set<std::string> all;
    for (const auto& tool : tools_) all.insert(tool->name);
    return bar(all);
  }
  if (checked->first && deps_.first == PinStore::First::kAccept) {
    deps_.notice(
        fmt::format("{} was not seen before: its {} tools are accepted as they are", deps_.name.server, tools_.size()));
  }
  if (checked->full) {
    deps_.notice(fmt::format("{} has more tools that nobody accepted than are kept ({} tools, {} MiB): {}",
                             deps_.name.server, PinStore::kMostNew, PinStore::kMostText / kMiB,
                             mode == Policy::Pins::kEnforce ? "the others are in quarantine until there is room"
                                                            : "nothing is said of the others"));
    for (const std::string& name : checked->unkept) {
      deps_.notice(fmt::format("{} of {} has changed since it was accepted", name, deps_.name.server));
    }
  }
  for (const std::string& name : checked->news) {
    deps_.notice(fmt::format("{} of {} is new or has changed since it was accepted{}: `sluice gateway pins diff`", name,
                             deps_.name.server, mode == Policy::Pins::kEnforce ? " and is in quarantine" : ""));
  }
  settled_ = checked->quarantined;
  bar(mode == Policy::Pins::kWarn ? std::set<std::string>() : checked->quarantined);
}

void UpstreamTools::bar(const std::set<std::string>& quarantined) {
  for (const auto& tool : tools_) tool->quarantined = quarantined.contains(tool->name);
}

std::shared_ptr<const UpstreamTool> UpstreamTools::find(std::string_view name) const {
  const auto found = by_name_.find(std::string(name));
  return known_ && found != by_name_.end() ? tools_[found->second] : nullptr;
}

const std::string& UpstreamTools::list_text(const std::function<bool(const UpstreamTool&)>& shown) {
  std::vector<bool> listed;
  for (const auto& tool : tools_) listed.push_back(shown(*tool));
  if (!text_.empty() && listed == listed_) return text_;
  Json result = whole_;
  auto& list = result["tools"].get_ref<Json::array_t&>();
  for (std::size_t i = 0; i < tools_.size(); ++i) {
    if (listed[i]) list.push_back(tools_[i]->entry);
  }
  text_ = dump_spelled_json(result);
  listed_ = std::move(listed);
  return text_;
}

}  // namespace sluice::gateway
