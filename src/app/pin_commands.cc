// `sluice gateway pins list|diff|accept|reject`: tools of servers that are new or have changed since somebody agreed to
// them (gate.md 6). A running gateway sees the answer within a second.
#include <fmt/format.h>

#include <algorithm>

#include "app/admin.h"
#include "app/commands.h"
#include "base/text.h"
#include "gateway/pin_store.h"
#include "gateway/visible_text.h"

namespace sluice::app {
namespace {

using gateway::Pin;
using gateway::visible_text;

std::string_view state_of(const Pin& pin) {
  if (!pin.is_quarantined()) return "accepted";
  if (pin.rejected == pin.seen) return "rejected";
  return pin.accepted.empty() ? "new" : "changed";
}

// What nobody sees, or what speaks to the model rather than of the tool, is worth a second look (A39).
std::string flags_of(const std::string& text) {
  std::string flags;
  const auto json = parse_json(text);
  const Json* description = json ? find_member(*json, "description") : nullptr;
  const std::string words = description && description->is_string() ? description->get<std::string>() : "";
  std::string plain = words;
  std::erase_if(plain, [](char c) { return c == '\n' || c == '\t' || c == '\r'; });
  if (visible_text(plain) != plain) flags += "  hidden characters";
  for (const std::string_view phrase : {"ignore ", "do not tell", "don't tell", "system prompt", "<important>",
                                        "before using this tool", "instead of", "must always", "secretly"}) {
    if (to_lower(words).find(phrase) == std::string::npos) continue;
    flags += "  reads like instructions";
    break;
  }
  return flags;
}

Json to_json(const Pin& pin) {
  return Json{{"server", pin.server},
              {"target", pin.target},
              {"tool", pin.tool},
              {"state", state_of(pin)},
              {"accepted", parse_json(pin.accepted).value_or(Json())},
              {"seen", parse_json(pin.seen).value_or(Json())},
              {"changed", iso8601_ms(WallTime(std::chrono::milliseconds(pin.changed_ms)))}};
}

// Lines of both without those that both begin and end with.
void print_lines(const std::string& before, const std::string& after) {
  const auto old_lines = split(before, '\n'), new_lines = split(after, '\n');
  std::size_t from = 0, to = 0;
  const std::size_t shorter = std::min(old_lines.size(), new_lines.size());
  while (from < shorter && old_lines[from] == new_lines[from]) ++from;
  while (from + to < shorter && old_lines[old_lines.size() - 1 - to] == new_lines[new_lines.size() - 1 - to]) ++to;
  for (std::size_t i = from; i + to < old_lines.size(); ++i) fmt::print("  - {}\n", visible_text(old_lines[i]));
  for (std::size_t i = from; i + to < new_lines.size(); ++i) fmt::print("  + {}\n", visible_text(new_lines[i]));
}

void print_diff(const Pin& pin) {
  fmt::print("{} of {} ({}){}\n", pin.tool, pin.server, state_of(pin), flags_of(pin.seen));
  const Json before = parse_json(pin.accepted).value_or(Json::object());
  const Json after = parse_json(pin.seen).value_or(Json::object());
  for (const char* member : {"title", "description", "inputSchema", "outputSchema", "annotations"}) {
    const Json* old_value = find_member(before, member);
    const Json* new_value = find_member(after, member);
    const auto text = [](const Json* value) { return value ? dump_json(*value, JsonStyle::kIndented) : ""; };
    if (text(old_value) == text(new_value)) continue;
    fmt::print(" {}\n", member);
    if (!old_value) {
      const std::string added = text(new_value);  // lives as long as the lines
      for (const auto line : split(added, '\n')) fmt::print("  + {}\n", visible_text(line));
    } else {
      print_lines(text(old_value), text(new_value));
    }
  }
}

bool is_meant(const Config& config, const Pin& pin) {
  const auto& names = config.pinned_tools;
  return pin.server == config.server_name &&
         (names.empty() || std::find(names.begin(), names.end(), pin.tool) != names.end());
}

int show(const AdminSession& session, gateway::PinStore& store) {
  const Config& config = session.config();
  const auto pins = store.load();
  if (!pins) return report(pins.error());
  Json rows = Json::array();
  const bool diff = config.action == "diff";
  for (const Pin& pin : *pins) {
    if (diff && (!is_meant(config, pin) || !pin.is_quarantined())) continue;
    if (config.json) {
      rows.push_back(to_json(pin));
    } else if (diff) {
      print_diff(pin);
    } else {
      fmt::print("{:<9} {:<16} {:<40} {}{}\n", state_of(pin), pin.server, pin.tool, visible_text(pin.target),
                 flags_of(pin.seen));
    }
  }
  if (config.json) fmt::print("{}\n", dump_json(rows, JsonStyle::kIndented));
  return 0;
}

int settle(AdminSession& session, gateway::PinStore& store, bool accept) {
  const Config& config = session.config();
  const std::string method = accept ? "pins/accept" : "pins/reject";
  const std::string& server = config.server_name;
  if (const Status proven = session.require_admin(method, server); !proven) return report(proven.error());
  if (const Status logged = session.record(method, server); !logged) return report(logged.error());
  const auto count = accept ? store.accept(server, config.pinned_tools) : store.reject(server, config.pinned_tools);
  if (!count) return report(count.error());
  if (config.json) {
    fmt::print("{}\n", dump_json(Json{{"server", server}, {accept ? "accepted" : "rejected", *count}}));
  } else {
    fmt::print("{} tools of {} are {}\n", *count, server, accept ? "accepted" : "rejected");
  }
  return 0;
}

}  // namespace

int run_pins(const Config& config) {
  auto session = AdminSession::open(config);
  if (!session) return report(session.error());
  gateway::PinStore store((*session)->state());
  if (config.action == "list" || config.action == "diff") return show(**session, store);
  return settle(**session, store, config.action == "accept");
}

}  // namespace sluice::app
