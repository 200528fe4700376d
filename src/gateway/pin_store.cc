#include "gateway/pin_store.h"

#include <algorithm>
#include <map>

#include "base/json_spelling.h"
#include "policy/canonical.h"

namespace sluice::gateway {
namespace {

// The row that remembers that a server was seen at all, also where it had no tools.
const std::string kContact;

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
    if (checked.first) SLUICE_CHECK(state_.put(Pin{server, target, kContact, "", "", "", now_ms}));
    std::map<std::string, Pin> by_tool;
    for (const Pin& pin : known) by_tool.emplace(pin.tool, pin);
    for (const Seen& tool : tools) {
      const auto found = by_tool.find(tool.tool);
      Pin pin = found == by_tool.end() ? Pin{server, target, tool.tool, "", "", "", now_ms} : found->second;
      const bool changed = pin.seen != tool.text;
      pin.seen = tool.text;
      if (checked.first && first == First::kAccept) pin.accepted = tool.text;
      if (pin.is_quarantined()) {
        checked.quarantined.insert(tool.tool);
        if (changed) checked.news.push_back(tool.tool);
      }
      if (!changed) continue;
      pin.changed_ms = now_ms;
      SLUICE_CHECK(state_.put(pin));
    }
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
