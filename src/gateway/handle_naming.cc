#include "gateway/handle_naming.h"

#include "base/redact.h"
#include "session/manifest.h"
#include "tools/services.h"

namespace sluice::gateway {
namespace {

constexpr std::size_t kMostExchanges = 256;   // of one answer
constexpr std::size_t kMostIdsOfObject = 4;   // an exchange's own, its original's, a replay's
constexpr ByteCount kMostBodies = 16 * kMiB;  // read for one answer, on the wire

// A UUID, or a name with one in it: "replay_<uuid>", "har_<session>_<n>". What is no exchange's is found nowhere.
bool may_be_id(const std::string& text) {
  return (text.size() == 36 && text[8] == '-') || text.starts_with("replay_") || text.starts_with("har_");
}

}  // namespace

// How many ids the object added.
std::size_t HandleNaming::enter(const Json& object) {
  std::size_t count = 0;
  for (const auto& [name, member] : object.items()) {
    if (count == kMostIdsOfObject) break;
    if (!member.is_string()) continue;
    const auto& text = member.get_ref<const std::string&>();
    if (text.size() > 128 || !may_be_id(text)) continue;
    ids_.push_back(text);
    ++count;
  }
  return count;
}

void HandleNaming::put_handles(const Json& arguments, Json& answer) {
  budget_ = kMostBodies;
  if (const Json* session = find_member(arguments, "session_id"); session && session->is_string()) {
    session_ = session->get<std::string>();
  }
  enter(arguments);
  walk(answer);
  ids_.clear();
}

void HandleNaming::walk(Json& value) {
  if (value.is_string()) return put(value.get_ref<std::string&>());
  if (!value.is_structured()) return;
  const std::size_t entered = value.is_object() ? enter(value) : 0;
  for (auto& item : value) walk(item);
  ids_.resize(ids_.size() - entered);
}

tools::ExchangeSecrets* HandleNaming::secrets_of(const std::string& exchange) {
  const auto known = exchanges_.find(exchange);
  if (known != exchanges_.end()) return known->second ? &*known->second : nullptr;
  if (exchanges_.size() >= kMostExchanges) return nullptr;
  if (!source_) source_.emplace(services_, session_);
  const auto added = exchanges_.emplace(exchange, source_->load(exchange)).first;
  return added->second ? &*added->second : nullptr;
}

std::optional<std::string> HandleNaming::handle_for(std::string_view mask) {
  const std::string mark = tools::mark_of(mask);
  for (auto id = ids_.rbegin(); id != ids_.rend(); ++id) {
    tools::ExchangeSecrets* const secrets = secrets_of(*id);
    if (!secrets || !secrets->find(mark, budget_, stop_)) continue;
    return services_.handles->issue(grant_, {*id, session_, mark}, secrets->origin());
  }
  return std::nullopt;
}

void HandleNaming::put(std::string& text) {
  std::string made;
  std::size_t from = 0;
  for (MaskAt found = find_mask(text, 0); !found.mask.empty(); found = find_mask(text, found.at + found.mask.size())) {
    const auto handle = handle_for(found.mask);
    if (!handle) continue;
    made.append(text, from, found.at - from).append(*handle);
    from = found.at + found.mask.size();
  }
  if (from > 0) text = made.append(text, from);
}

}  // namespace sluice::gateway
