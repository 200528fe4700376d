#include "gateway/pin_store.h"

#include <algorithm>
#include <map>
#include <tuple>

#include "base/json_spelling.h"
#include "policy/canonical.h"

namespace sluice::gateway {
namespace {

// The row that remembers that a server was seen at all, also where it had no tools.
const std::string kContact;
// In it, once it was told that not all of what is new is kept.
constexpr const char* kFull = "full";

// What a row holds that nobody accepted.
struct Unaccepted {
  std::size_t rows = 0;
  ByteCount text = 0;
};

Unaccepted unaccepted_in(const Pin& pin) {
  const ByteCount seen = pin.is_quarantined() ? pin.seen.size() : 0;
  const ByteCount rejected = pin.rejected != pin.seen ? pin.rejected.size() : 0;
  return {pin.accepted.empty() ? 1u : 0u, seen + rejected};
}

// Changes of tools that were accepted have room of their own, so that no invented names crowd them out.
enum class Of { kNewTools, kAcceptedTools };
Of kind_of(const Pin& pin) { return pin.accepted.empty() ? Of::kNewTools : Of::kAcceptedTools; }

// How much of it a server's rows hold, and those that may go: of tools that its list does not have any more.
class Room {
 public:
  Room(Of kind, const std::vector<Pin>& known, const std::set<std::string>& listed) {
    for (const Pin& pin : known) {
      const Unaccepted its = unaccepted_in(pin);
      if (pin.tool == kContact || kind_of(pin) != kind) continue;
      add(used_, its);
      if (listed.contains(pin.tool) || (its.rows == 0 && its.text == 0)) continue;
      add(gone_, its);
      may_go_.push_back(&pin);
    }
    // The last one goes first: what was rejected is a person's word, and stays the longest.
    std::sort(may_go_.begin(), may_go_.end(), [](const Pin* a, const Pin* b) {
      return std::tuple(a->rejected.empty(), b->changed_ms) < std::tuple(b->rejected.empty(), a->changed_ms);
    });
  }

  bool is_ample() const { return used_.rows <= PinStore::kMostNew / 2 && used_.text <= PinStore::kMostText / 2; }
  // Whether `after` may stand in place of `before`; what has to go for that is put into `state`.
  Result<bool> take(GateRows& state, const Unaccepted& before, const Unaccepted& after) {
    if (after.rows <= before.rows && after.text <= before.text) return give(before, after);
    const auto fits = [&](const Unaccepted& freed) {
      return used_.rows - freed.rows - before.rows + after.rows <= PinStore::kMostNew &&
             used_.text - freed.text - before.text + after.text <= PinStore::kMostText;
    };
    if (!fits(gone_)) return false;
    while (!fits({})) {
      Pin pin = *may_go_.back();
      may_go_.pop_back();
      const Unaccepted its = unaccepted_in(pin);
      remove(gone_, its);
      remove(used_, its);
      if (pin.accepted.empty()) {
        SLUICE_CHECK(state.erase(pin));
        continue;
      }
      pin.seen = pin.accepted;
      pin.rejected.clear();
      SLUICE_CHECK(state.put(pin));
    }
    return give(before, after);
  }

 private:
  static void add(Unaccepted& to, const Unaccepted& one) {
    to.rows += one.rows;
    to.text += one.text;
  }
  static void remove(Unaccepted& from, const Unaccepted& one) {
    from.rows -= one.rows;
    from.text -= one.text;
  }
  bool give(const Unaccepted& before, const Unaccepted& after) {
    remove(used_, before);
    add(used_, after);
    return true;
  }

  Unaccepted used_, gone_;
  std::vector<const Pin*> may_go_;
};

}  // namespace

std::string PinStore::text_of(const Json& entry) {
  Json pinned = Json::object();
  for (const char* member : {"name", "title", "description", "inputSchema", "outputSchema", "annotations"}) {
    if (const Json* value = find_member(entry, member)) pinned[member] = *value;
  }
  return policy::canonical_json(pinned);
}

Result<PinStore::Checked> PinStore::check(const std::string& server, const std::string& target,
                                          std::span<const Seen> tools, First first, std::int64_t now_ms) {
  return state_.change(std::nullopt, [&]() -> Result<Checked> {
    SLUICE_TRY(const std::vector<Pin> known, state_.pins(server, target));
    Checked checked;
    checked.first = known.empty();
    std::map<std::string, Pin> by_tool;
    for (const Pin& pin : known) by_tool.emplace(pin.tool, pin);
    std::set<std::string> listed;
    for (const Seen& tool : tools) listed.insert(tool.tool);
    Room for_new(Of::kNewTools, known, listed), for_accepted(Of::kAcceptedTools, known, listed);
    bool all_fit = true;
    for (const Seen& tool : tools) {
      const auto found = by_tool.find(tool.tool);
      const bool is_new = found == by_tool.end();
      Pin pin = is_new ? Pin{server, target, tool.tool, "", "", "", now_ms} : found->second;
      const Unaccepted before = is_new ? Unaccepted() : unaccepted_in(pin);
      const bool changed = pin.seen != tool.text;
      pin.seen = tool.text;
      if (checked.first && first == First::kAccept) pin.accepted = tool.text;
      if (pin.is_quarantined()) checked.quarantined.insert(tool.tool);
      if (!changed) continue;
      const Of kind = kind_of(pin);
      Room& room = kind == Of::kNewTools ? for_new : for_accepted;
      SLUICE_TRY(const bool fits, room.take(state_, before, unaccepted_in(pin)));
      all_fit &= fits;
      if (!fits && kind == Of::kAcceptedTools) checked.unkept.push_back(tool.tool);
      if (!fits) continue;
      if (pin.is_quarantined()) checked.news.push_back(tool.tool);
      pin.changed_ms = now_ms;
      SLUICE_CHECK(state_.put(pin));
    }
    const auto kept = by_tool.find(kContact);
    Pin contact = kept == by_tool.end() ? Pin{server, target, kContact, "", "", "", now_ms} : kept->second;
    const bool was_told = contact.rejected == kFull;
    checked.full = !all_fit && !was_told;
    if (was_told) checked.unkept.clear();
    // Others may have seen a shorter list: only room that somebody made counts.
    const bool is_told = !all_fit || (was_told && !(for_new.is_ample() && for_accepted.is_ample()));
    contact.rejected = is_told ? kFull : "";
    if (kept == by_tool.end() || is_told != was_told) SLUICE_CHECK(state_.put(contact));
    return checked;
  });
}

Result<std::vector<Pin>> PinStore::load() {
  SLUICE_TRY(std::vector<Pin> pins, state_.pins("", ""));
  std::erase_if(pins, [](const Pin& pin) { return pin.tool == kContact; });
  return pins;
}

Result<std::size_t> PinStore::settle(const std::string& server, const std::vector<std::string>& tools,
                                     const std::function<void(Pin&)>& set) {
  return state_.change(GateRows::Part::kPins, [&]() -> Result<std::size_t> {
    SLUICE_TRY(const std::vector<Pin> all, state_.pins(server, ""));
    std::size_t count = 0;
    std::set<std::string> missing(tools.begin(), tools.end());
    for (Pin pin : all) {
      const bool meant = tools.empty() || std::find(tools.begin(), tools.end(), pin.tool) != tools.end();
      if (!meant || pin.tool == kContact || !pin.is_quarantined()) continue;
      set(pin);
      SLUICE_CHECK(state_.put(pin));
      missing.erase(pin.tool);
      ++count;
    }
    if (missing.empty()) return count;
    return fail(Code::kNotFound, "no tool '" + *missing.begin() + "' of '" + server + "' is in quarantine");
  });
}

Result<std::size_t> PinStore::accept(const std::string& server, const std::vector<std::string>& tools) {
  return settle(server, tools, [](Pin& pin) {
    pin.accepted = pin.seen;
    pin.rejected.clear();
  });
}

Result<std::size_t> PinStore::reject(const std::string& server, const std::vector<std::string>& tools) {
  return settle(server, tools, [](Pin& pin) { pin.rejected = pin.seen; });
}

}  // namespace sluice::gateway
