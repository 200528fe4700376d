#include "gateway/pin_store.h"

#include <algorithm>
#include <map>

#include "base/json_spelling.h"
#include "policy/canonical.h"

namespace sluice::gateway {
namespace {

constexpr const char* kColumns = "server, target, tool, accepted, seen, rejected, changed_ms";
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

Result<std::vector<Pin>> PinStore::select(const std::string& server, const std::string& target) {
  std::vector<Pin> pins;
  SLUICE_TRY(const bool present, db_.open_if_present());
  if (!present) return pins;
  const bool all = server.empty();
  Statement rows(db_.file(), (std::string("SELECT ") + kColumns + " FROM gate_pins " +
                              (all ? "" : "WHERE server = ?1 AND target = ?2 ") + "ORDER BY server, target, tool")
                                 .c_str());
  if (!all) {
    rows.bind_text(1, server);
    rows.bind_text(2, target);
  }
  auto step = rows.step();
  for (; step == Statement::Step::kRow; step = rows.step()) {
    pins.push_back(
        {rows.text(0), rows.text(1), rows.text(2), rows.text(3), rows.text(4), rows.text(5), rows.integer(6)});
  }
  if (step != Statement::Step::kDone) return fail(db_.file().error("read"));
  return pins;
}

Status PinStore::write(const Pin& pin) {
  Statement put(db_.file(), "INSERT OR REPLACE INTO gate_pins VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)");
  put.bind_text(1, pin.server);
  put.bind_text(2, pin.target);
  put.bind_text(3, pin.tool);
  put.bind_text(4, pin.accepted);
  put.bind_text(5, pin.seen);
  put.bind_text(6, pin.rejected);
  put.bind(7, pin.changed_ms);
  return put.run() ? Status() : fail(db_.file().error("written"));
}

Result<PinStore::Checked> PinStore::check(const std::string& server, const std::string& target,
                                          std::span<const Seen> tools, First first, std::int64_t now_ms) {
  SLUICE_CHECK(db_.open());
  return db_.file().transact([&]() -> Result<Checked> {
    SLUICE_TRY(const std::vector<Pin> known, select(server, target));
    Checked checked;
    checked.first = known.empty();
    if (checked.first) SLUICE_CHECK(write({server, target, kContact, "", "", "", now_ms}));
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
      SLUICE_CHECK(write(pin));
    }
    return checked;
  });
}

Result<std::vector<Pin>> PinStore::load() {
  SLUICE_TRY(std::vector<Pin> pins, select("", ""));
  std::erase_if(pins, [](const Pin& pin) { return pin.tool == kContact; });
  return pins;
}

Result<std::size_t> PinStore::settle(const std::string& server, const std::vector<std::string>& tools,
                                     const char* set) {
  return db_.change(GateDb::Part::kPins, [&]() -> Result<std::size_t> {
    std::size_t count = 0;
    std::vector<std::string> names = tools;
    if (names.empty()) {
      SLUICE_TRY(const std::vector<Pin> all, load());
      for (const Pin& pin : all) {
        if (pin.server == server && pin.is_quarantined()) names.push_back(pin.tool);
      }
      std::sort(names.begin(), names.end());
      names.erase(std::unique(names.begin(), names.end()), names.end());
    }
    for (const std::string& name : names) {
      Statement change(db_.file(), (std::string("UPDATE gate_pins SET ") + set +
                                    " WHERE server = ?1 AND tool = ?2 AND tool <> '' AND accepted <> seen")
                                       .c_str());
      change.bind_text(1, server);
      change.bind_text(2, name);
      if (!change.run()) return fail(db_.file().error("written"));
      const auto changed = static_cast<std::size_t>(db_.file().changes());
      if (changed == 0) {
        return fail(Code::kNotFound, "no tool '" + name + "' of '" + server + "' is in quarantine");
      }
      count += changed;
    }
    return count;
  });
}

Result<std::size_t> PinStore::accept(const std::string& server, const std::vector<std::string>& tools) {
  return settle(server, tools, "accepted = seen, rejected = ''");
}

Result<std::size_t> PinStore::reject(const std::string& server, const std::vector<std::string>& tools) {
  return settle(server, tools, "rejected = seen");
}

}  // namespace sluice::gateway
