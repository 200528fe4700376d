// What the switchboard puts together: the handshake, lists, and whose a URI is.
#include <fmt/format.h>

#include <utility>

#include "base/text.h"
#include "gateway/era_messages.h"
#include "gateway/relay_rules.h"
#include "gateway/switchboard.h"
#include "gateway/visible_text.h"
#include "mcp/error_map.h"

namespace sluice::gateway {
namespace {

constexpr const char* kTasks = "io.modelcontextprotocol/tasks";
constexpr std::size_t kMaxShown = 256;  // of a name or a message, for the person

// What a list is called in the answer, and under which capability it is offered.
struct ListNames {
  std::string_view key, capability;
};
ListNames names_of(std::string_view method) {
  if (method == "tools/list") return {"tools", "tools"};
  if (method == "prompts/list") return {"prompts", "prompts"};
  if (method == "tasks/list") return {"tasks", "tasks"};
  if (method == "resources/list") return {"resources", "resources"};
  return {"resourceTemplates", "resources"};
}

// Of params that go to several servers: progress of none of them is the client's.
Json without_token(Json params) {
  const auto meta = params.find("_meta");
  if (meta != params.end() && meta->is_object()) meta->erase("progressToken");
  return params;
}

// What each request of a modern client says, for one of our own in its name.
Json meta_alone(const Json& params) {
  Json meta = connection_meta(params);
  return meta.is_null() ? Json::object() : Json{{"_meta", std::move(meta)}};
}

int code_of(const Json& error) {
  const Json* code = find_member(error, "code");
  return code && code->is_number_integer() ? code->get<int>() : mcp::rpc::kInternalError;
}

std::string shown(const std::string& text) { return visible_text(utf16_prefix(text, kMaxShown)); }

std::string message_of(const Json& error) {
  const Json* message = find_member(error, "message");
  return message && message->is_string() ? shown(message->get<std::string>()) : "an error";
}

const std::string* text_of(const Json& object, std::string_view member) {
  const Json* value = find_member(object, member);
  return value && value->is_string() ? &value->get_ref<const std::string&>() : nullptr;
}

bool is_true(const Json* capability, std::string_view member) {
  const Json* value = capability ? find_member(*capability, member) : nullptr;
  return value && *value == true;
}

// In the client's era.
void add_tasks(const Json& offers, bool modern, Json& all) {
  const Json* extensions = modern ? find_member(offers, "extensions") : nullptr;
  if (extensions && find_member(*extensions, kTasks)) all["extensions"][kTasks] = Json::object();
  const Json* tasks = modern ? nullptr : find_member(offers, "tasks");
  if (!tasks) return;
  Json& known = all["tasks"];
  if (known.is_null()) known = Json::object();
  for (const char* name : {"list", "cancel"}) {
    if (find_member(*tasks, name)) known[name] = Json::object();
  }
  const Json* requests = find_member(*tasks, "requests");
  const Json* tools = requests ? find_member(*requests, "tools") : nullptr;
  if (tools && find_member(*tools, "call")) known["requests"]["tools"]["call"] = Json::object();
}

// Whether another server may know what this one does not.
bool knows_not(const Json& error) {
  const int code = code_of(error);
  return code == mcp::rpc::kResourceNotFound || code == mcp::rpc::kInvalidParams || code == mcp::rpc::kMethodNotFound;
}

}  // namespace

struct Switchboard::Opening {
  std::uint64_t serial = 0;
  std::size_t left = 0;
  MonoTime until{};
};

struct Switchboard::Listing {
  struct Part {
    Lane lane = 0;
    mcp::PageReader pages;
    std::optional<Json> whole = std::nullopt;
    Json error = nullptr;
  };
  std::string method;
  std::uint64_t serial = 0;
  Done done;
  std::vector<Part> parts;
  std::size_t left = 0;
};

// --- the handshake ---

void Switchboard::initialize(const mcp::Request& request, std::uint64_t serial) {
  if (!hello_.is_null()) {
    return refuse(serial, {mcp::rpc::kInvalidRequest, "this session is initialized already", nullptr});
  }
  hello_ = without_token(request.params);
  begin_opening(serial);
}

// `serial`: who waits for it with its `initialize`; 0: nobody.
void Switchboard::begin_opening(std::uint64_t serial) {
  opening_ = std::make_shared<Opening>();
  opening_->serial = serial;
  opening_->until = deps_.clock.mono() + kMaxOpening;
  std::vector<Lane> lanes;
  for (Lane lane = 0; lane < servers_.size(); ++lane) {
    Server& server = servers_[lane];
    if (server.state != State::kNew) continue;
    server.state = server.session ? State::kOpening : State::kGone;
    if (server.session) lanes.push_back(lane);
  }
  opening_->left = lanes.size();
  for (const Lane lane : lanes) open(lane);
  if (lanes.empty()) end_opening();
}

void Switchboard::open(Lane lane) {
  const char* method = modern_ ? "server/discover" : "initialize";
  send(lane, method, hello_, 0, [this, lane](Answer answer) { opened(lane, std::move(answer)); });
}

void Switchboard::opened(Lane lane, Answer answer) {
  Server& server = servers_[lane];
  const Json* offers = find_member(answer.body, "capabilities");
  const std::string* version = text_of(answer.body, "protocolVersion");
  if (answer.is_error || !offers || !offers->is_object() || (!version && !modern_)) {
    if (server.state != State::kGone) {
      note(lane, "does not open: " + (answer.is_error ? message_of(answer.body) : "its answer is malformed"));
    }
    lane_ended(lane);
    deps_.let_go(lane);
  } else if (server.state == State::kOpening) {
    server.state = State::kReady;
    server.offers = *offers;
    // Revisions are dates. The oldest is what all of them speak.
    if (opening_ && version && (version_.empty() || *version < version_)) version_ = *version;
    if (const std::string* text = text_of(answer.body, "instructions"); text && opening_) {
      instructions_ += fmt::format("{}{}: {}", instructions_.empty() ? "" : "\n\n", server.name, *text);
    }
    if (ready_) {
      server.session->take(mcp::write_notification("notifications/initialized", Json::object()));
      tell_of_lists(lane);
    }
    if (modern_) {
      listen_for_all(lane);
      tell_of_lists(lane);
    }
  }
  if (opening_ && opening_->left > 0 && --opening_->left == 0) end_opening();
}

Json Switchboard::merged_offers() const {
  Json offers{{"tools", {{"listChanged", true}}}};
  bool any = false;
  for (const Server& server : servers_) {
    if (server.state != State::kReady) continue;
    any = true;
    add_tasks(server.offers, modern_, offers);
    for (const char* name : {"prompts", "resources", "logging", "completions"}) {
      const Json* its = find_member(server.offers, name);
      if (!its) continue;
      Json& all = offers[name];
      if (all.is_null()) all = Json::object();
      // Its list changes when a server comes late or goes.
      if (std::string_view(name) == "prompts" || std::string_view(name) == "resources") all["listChanged"] = true;
      if (is_true(its, "subscribe")) all["subscribe"] = true;
    }
  }
  return any ? offers : Json(nullptr);
}

Json Switchboard::merged_hello() const {
  Json result{{"protocolVersion", version_},
              {"capabilities", merged_offers()},
              {"serverInfo", {{"name", "sluice-gateway"}, {"title", "Sluice gateway"}, {"version", deps_.version}}}};
  if (!instructions_.empty()) result["instructions"] = instructions_;
  return result;
}

mcp::RpcError Switchboard::none_opened() {
  return {mcp::rpc::kInternalError, "none of the gateway's servers has opened", nullptr};
}

void Switchboard::end_opening() {
  const std::shared_ptr<Opening> opening = std::exchange(opening_, nullptr);
  for (auto& [request, serial] : std::exchange(parked_, {})) {
    if (is_pending(serial)) route_modern(std::move(request), serial);
  }
  if (opening->serial == 0) return;
  if (merged_offers().is_null()) return refuse(opening->serial, none_opened());
  answer(opening->serial, {false, merged_hello()});
}

void Switchboard::tick() {
  tick_listeners();
  if (!opening_ || deps_.clock.mono() < opening_->until) return;
  bool any = false;
  for (Lane lane = 0; lane < servers_.size(); ++lane) {
    any = any || servers_[lane].state == State::kReady;
  }
  if (!any) return;
  for (Lane lane = 0; lane < servers_.size(); ++lane) {
    if (servers_[lane].state == State::kOpening) note(lane, "is slow to open; its tools come when it does");
  }
  end_opening();
}

void Switchboard::lane_reset(Lane lane) {
  Server& server = servers_[lane];
  if (closed_ || server.state != State::kReady) return;
  if (++server.reopened > kMaxReopened) {
    note(lane, "forgets its session again and again");
    lane_ended(lane);
    return deps_.let_go(lane);
  }
  note(lane, "has forgotten its session, and is opened again");
  server.state = State::kOpening;
  open(lane);
}

void Switchboard::tell_of_lists(Lane lane) {
  for (const std::string name : {"tools", "prompts", "resources"}) {
    if (!find_member(servers_[lane].offers, name)) continue;
    const std::string method = "notifications/" + name + "/list_changed";
    if (ready_) tell(mcp::write_notification(method, Json::object()));
    for (const auto& [serial, one] : listeners_) {
      if (!one.acknowledged || !one.lists.contains(name + "ListChanged")) continue;
      Json params = Json::object();
      params["_meta"][std::string(mcp::kSubscriptionIdMember)] = requests_.at(serial).shown.to_json();
      tell(mcp::write_notification(method, std::move(params)), about(serial));
    }
  }
}

// --- lists ---

void Switchboard::list(std::string_view method, const Json& params, std::uint64_t serial, Done done) {
  const auto listing = std::make_shared<Listing>();
  listing->method = method;
  listing->serial = serial;
  listing->done = std::move(done);
  const ListNames names = names_of(method);
  for (const Lane lane : ready_with(names.capability)) {
    listing->parts.push_back({lane, mcp::PageReader(std::string(names.key))});
  }
  listing->left = listing->parts.size();
  if (listing->parts.empty()) return merge(*listing);
  const Json whole = without_token(params);
  for (std::size_t part = 0; part < listing->parts.size(); ++part) list_of(listing, part, whole);
}

void Switchboard::list_of(const std::shared_ptr<Listing>& listing, std::size_t at, Json params) {
  const auto done = [this, listing, at, params](Answer answer) mutable {
    Listing::Part& part = listing->parts[at];
    if (answer.is_error) {
      part.error = std::move(answer.body);
    } else if (const Status added = part.pages.add(std::move(answer.body)); !added) {
      part.error = {{"code", mcp::rpc::kInternalError}, {"message", added.error().message}};
    } else if (part.pages.cursor()) {
      params["cursor"] = *part.pages.cursor();
      return list_of(listing, at, std::move(params));
    } else {
      part.whole = part.pages.take();
    }
    if (!part.error.is_null() && code_of(part.error) != mcp::rpc::kMethodNotFound) {
      note(part.lane, fmt::format("does not answer {}: {}", listing->method, message_of(part.error)));
    }
    if (--listing->left == 0) merge(*listing);
  };
  send(listing->parts[at].lane, listing->method, std::move(params), listing->serial, done);
}

void Switchboard::merge(Listing& listing) {
  const ListNames names = names_of(listing.method);
  Json all = Json::array();
  bool any = listing.parts.empty();
  const Json* failed = nullptr;
  for (Listing::Part& part : listing.parts) {
    if (!part.whole) {
      if (code_of(part.error) == mcp::rpc::kMethodNotFound) any = true;  // it has no such list
      if (!failed) failed = &part.error;
      continue;
    }
    any = true;
    merge_part(listing, part.lane, (*part.whole)[std::string(names.key)], all);
  }
  if (!any) return listing.done({true, *failed});
  Json result = Json::object();
  result[std::string(names.key)] = std::move(all);
  if (modern_) make_modern_result(listing.method, result);
  listing.done({false, std::move(result)});
}

void Switchboard::merge_part(const Listing& listing, Lane lane, Json& items, Json& all) {
  const bool by_name = listing.method == "tools/list" || listing.method == "prompts/list";
  const bool templates = listing.method == "resources/templates/list";
  const bool tasks = listing.method == "tasks/list";
  auto& owners = templates ? templates_ : owners_;
  if (!by_name && !tasks) std::erase_if(owners, [lane](const auto& one) { return one.second == lane; });
  for (Json& item : items) {
    const std::string* key = text_of(item, by_name ? "name" : tasks ? "taskId" : templates ? "uriTemplate" : "uri");
    if (!key) continue;  // nobody could ask for it
    if (by_name) {
      std::string name = servers_[lane].name + "__" + *key;
      if (name.size() > kMaxToolName) {
        note(lane, fmt::format("{} is left out: its name is too long behind the server's", shown(*key)));
        continue;
      }
      item["name"] = std::move(name);
    } else if (const auto [owner, added] = tasks ? std::pair{owners.end(), true} : owners.emplace(*key, lane); !added) {
      if (told_.size() < kMaxNotices && told_.insert(*key).second) {
        note(lane, fmt::format("{} is left out: {} has it, too", shown(*key), servers_[owner->second].name));
      }
      continue;
    }
    all.push_back(std::move(item));
  }
}

// --- by URI ---

std::optional<Switchboard::Lane> Switchboard::owner_of(const std::string& uri) const {
  for (const auto* known : {&owners_, &templates_}) {
    if (const auto found = known->find(uri); found != known->end()) return found->second;
  }
  // The template that says the most before its first variable.
  std::optional<Lane> owner;
  std::size_t most = 0;
  for (const auto& [text, lane] : templates_) {
    const std::string_view fixed = std::string_view(text).substr(0, text.find('{'));
    if (fixed.size() <= most || !uri.starts_with(fixed)) continue;
    most = fixed.size();
    owner = lane;
  }
  return owner;
}

void Switchboard::by_uri(mcp::Request request, std::uint64_t serial, bool listed) {
  const std::string* uri = text_of(request.params, "uri");
  if (!uri) return refuse(serial, {mcp::rpc::kInvalidParams, "`uri` must be a string", nullptr});
  if (const auto owner = owner_of(*uri)) {
    return send(*owner, request.method, std::move(request.params), serial, to_answer(serial));
  }
  std::vector<Lane> lanes = ready_with("resources");
  if (lanes.empty()) return refuse(serial, mcp::method_not_found(request.method));
  if (listed || lanes.size() == 1) return try_uri(std::move(request), serial, std::move(lanes), {});
  Json meta = meta_alone(request.params);
  learn_owners(std::move(meta), serial,
               [this, request = std::move(request), serial] { by_uri(request, serial, true); });
}

void Switchboard::learn_owners(Json params, std::uint64_t serial, std::function<void()> then) {
  const Json kept = params;
  list("resources/list", kept, serial, [this, kept, serial, then = std::move(then)](const Answer&) {
    if (!is_pending(serial)) return;
    list("resources/templates/list", kept, serial, [this, serial, then](const Answer&) {
      if (is_pending(serial)) then();
    });
  });
}

// `last`: what the first one said that does not know it.
void Switchboard::try_uri(mcp::Request request, std::uint64_t serial, std::vector<Lane> lanes, Answer last) {
  if (lanes.empty()) return answer(serial, std::move(last));
  const Lane lane = lanes.front();
  lanes.erase(lanes.begin());
  Json params = request.params;
  const std::string method = request.method;
  send(lane, method, std::move(params), serial,
       [this, request = std::move(request), serial, lanes = std::move(lanes), last = std::move(last)](Answer one) {
         if (!one.is_error || !knows_not(one.body)) return answer(serial, std::move(one));
         if (is_pending(serial)) try_uri(request, serial, lanes, last.is_error ? last : std::move(one));
       });
}

}  // namespace sluice::gateway
