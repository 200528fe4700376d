// The document's top, its entries, and the words of its vocabulary.
#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "base/text.h"
#include "policy/intercept.h"
#include "policy/operators.h"
#include "policy/parse_reader.h"
#include "policy/yaml_source.h"

namespace sluice::policy {
namespace {

constexpr std::array<std::string_view, 5> kRisks{"read", "write", "execute", "financial", "destructive"};
constexpr std::array<std::string_view, 11> kMethods{
    "resources/list", "resources/templates/list", "resources/read",   "resources/subscribe",    "prompts/list",
    "prompts/get",    "completion/complete",      "logging/setLevel", "sampling/createMessage", "elicitation/create",
    "roots/list"};
// `subscriptions/listen` is cut to what it may hear of.
constexpr std::array<std::string_view, 10> kOpenMethods{"initialize",
                                                        "ping",
                                                        "server/discover",
                                                        "tools/list",
                                                        "tools/call",
                                                        "subscriptions/listen",
                                                        "resources/unsubscribe",
                                                        "notifications/initialized",
                                                        "notifications/cancelled",
                                                        "notifications/progress"};

void parse_risk(Reader& reader, const Place& place, Document& document) {
  if (!reader.expect(place, Node::Kind::kObject)) return;
  for (std::size_t i = 0; i < place.node.names.size(); ++i) {
    const Node::Name& name = place.node.names[i];
    const auto found = reader.choice(place.member(i), kRisks);
    if (found) document.risk.push_back({{name.text, name.line}, static_cast<RiskClass>(*found)});
  }
}

void parse_methods(Reader& reader, const Place& place, Document& document) {
  if (!reader.object(place, kMethods)) return;
  for (const Node::Name& name : place.node.names) {
    const auto found = reader.choice(place.at(name.text), {"allow", "deny"});
    if (found) document.methods.push_back({{name.text, name.line}, *found == 0});
  }
}

void parse_egress(Reader& reader, const Place& place, Document& document) {
  if (!reader.object(place, {"host_in", "ports", "cidr"})) return;
  Egress egress;
  if (reader.has(place, "host_in")) {
    egress.host_in = reader.strings(place.at("host_in"));
    const auto set = HostSet::compile(*egress.host_in);
    if (!set) reader.error(place.at("host_in"), set.error().message);
  }
  if (reader.has(place, "cidr")) {
    egress.cidr = reader.strings(place.at("cidr"));
    const auto set = AddressSet::compile(*egress.cidr);
    if (!set) reader.error(place.at("cidr"), set.error().message);
  }
  if (reader.has(place, "ports") && reader.expect(place.at("ports"), Node::Kind::kArray)) {
    const Place list = place.at("ports");
    egress.ports.emplace();
    for (std::size_t i = 0; i < list.node.items.size(); ++i) {
      if (const auto port = reader.integer(list.at(i), 1, 65'535)) {
        egress.ports->push_back(static_cast<std::uint16_t>(*port));
      }
    }
  }
  document.egress = std::move(egress);
}

void check_entry_name(Reader& reader, std::size_t line, const std::string& path, std::string_view name) {
  if (trim(name).empty()) return reader.error_at(line, path, "a tool's name is empty");
  if (!name.starts_with("risk:")) return;
  const std::string_view risk = name.substr(5);
  if (find_risk(risk)) return;
  const auto near = nearest(risk, kRisks);
  reader.error_at(line, path,
                  fmt::format("unknown class{}", near ? fmt::format(", did you mean \"risk:{}\"?", *near)
                                                      : std::string(": risk:read, risk:write, risk:execute, "
                                                                    "risk:financial, risk:destructive")));
}

void parse_tools(Reader& reader, const Place& place, Document& document) {
  if (!reader.expect(place, Node::Kind::kObject)) return;
  for (std::size_t i = 0; i < place.node.names.size(); ++i) {
    const Node::Name& name = place.node.names[i];
    const Place at = place.member(i);
    check_entry_name(reader, name.line, at.path, name.text);
    if (!reader.object(at, {"require", "deny_if", "require_approval", "limits", "result"})) continue;
    Entry entry;
    entry.name = name.text;
    entry.line = name.line;
    if (reader.has(at, "require")) entry.require = parse_rules(reader, at.at("require"));
    if (reader.has(at, "deny_if")) entry.deny_if = parse_rules(reader, at.at("deny_if"));
    if (reader.has(at, "require_approval")) entry.approval = parse_approval(reader, at.at("require_approval"));
    if (reader.has(at, "limits")) entry.limits = parse_limits(reader, at.at("limits"), false);
    if (reader.has(at, "result")) entry.result = parse_result(reader, at.at("result"));
    document.tools.push_back(std::move(entry));
  }
}

void parse_bounds(Reader& reader, const Place& root, Document& document) {
  if (reader.has(root, "max_in_flight")) {
    if (const auto most = reader.integer(root.at("max_in_flight"), 1, 10'000)) {
      document.max_in_flight = static_cast<std::uint32_t>(*most);
    }
  }
  if (reader.has(root, "max_denials") && reader.object(root.at("max_denials"), {"window", "max"})) {
    const Place place = root.at("max_denials");
    MaxDenials denials;
    if (!reader.has(place, "window") || !reader.has(place, "max")) reader.error(place, "needs \"window\" and \"max\"");
    if (reader.has(place, "window")) denials.window = parse_window(reader, place.at("window")).value_or(denials.window);
    if (reader.has(place, "max")) {
      denials.max = static_cast<std::uint64_t>(reader.integer(place.at("max"), 1, 1'000'000).value_or(1));
    }
    document.max_denials = denials;
  }
  if (reader.has(root, "all_tools") && reader.object(root.at("all_tools"), {"limits"}) &&
      reader.has(root.at("all_tools"), "limits")) {
    document.limits = parse_limits(reader, root.at("all_tools").at("limits"), true);
  }
}

void parse_switches(Reader& reader, const Place& root, Document& document) {
  document.description = reader.text(root, "description");
  if (!reader.has(root, "version")) {
    reader.error(root, "needs \"version\": \"1\"");
  } else if (!root.node.find("version")->is(Node::Kind::kString) || root.node.find("version")->text != "1") {
    reader.error(root.at("version"), "the version is the string \"1\"");
  }
  if (!reader.has(root, "default")) {
    reader.error(root, "needs \"default\": \"allow\" or \"deny\"");
  } else if (const auto found = reader.choice(root.at("default"), {"allow", "deny"})) {
    document.otherwise = static_cast<Default>(*found);
  }
  const auto choose = [&](std::string_view name, std::initializer_list<std::string_view> words) -> std::size_t {
    return reader.has(root, name) ? reader.choice(root.at(name), words).value_or(0) : 0;
  };
  document.mode = static_cast<Mode>(choose("mode", {"enforce", "monitor"}));
  document.hidden_reply = static_cast<HiddenReply>(choose("hidden_reply", {"denied", "unknown"}));
  document.closed_args = choose("args", {"open", "closed"}) == 1;
  if (reader.has(root, "pins")) {
    constexpr std::array<std::string_view, 3> kPins{"off", "warn", "enforce"};
    document.pins = std::string(kPins[choose("pins", {"off", "warn", "enforce"})]);
  }
  document.own_only = reader.flag(root, "own_only", false);
  document.handles = reader.flag(root, "handles", false);
}

}  // namespace

std::string_view article_of(Window window) { return window == Window::kHour ? "an " : "a "; }

std::string_view to_string(Window window) {
  return window == Window::kMinute ? "minute" : window == Window::kHour ? "hour" : "day";
}
std::string_view to_string(Scope scope) {
  return scope == Scope::kGrant ? "grant" : scope == Scope::kServer ? "server" : "all";
}
std::string_view to_string(RiskClass risk) {
  return risk == RiskClass::kUnclassified ? "unclassified" : kRisks[static_cast<std::size_t>(risk)];
}
std::optional<RiskClass> find_risk(std::string_view name) {
  const auto found = std::find(kRisks.begin(), kRisks.end(), name);
  if (found == kRisks.end()) return std::nullopt;
  return static_cast<RiskClass>(found - kRisks.begin());
}

bool is_governed_method(std::string_view method) {
  return std::find(kMethods.begin(), kMethods.end(), method) != kMethods.end();
}

bool is_open_method(std::string_view method) {
  return std::find(kOpenMethods.begin(), kOpenMethods.end(), method) != kOpenMethods.end();
}

std::string to_string(const Problem& problem, std::string_view file) {
  return printable(fmt::format("{}:{}: {}{}{}", file, problem.line, problem.path, problem.path.empty() ? "" : ": ",
                               problem.message));
}

std::string printable(std::string text) {
  for (char& c : text) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = '?';
  }
  return text;
}

bool matches_name(std::string_view pattern, std::string_view name) {
  std::size_t p = 0, n = 0, star = std::string_view::npos, retry = 0;
  while (n < name.size()) {
    if (p < pattern.size() && pattern[p] == '*') {
      star = p++;
      retry = n;
    } else if (p < pattern.size() && pattern[p] == name[n]) {
      ++p;
      ++n;
    } else if (star != std::string_view::npos) {
      p = star + 1;
      n = ++retry;
    } else {
      return false;
    }
  }
  while (p < pattern.size() && pattern[p] == '*') ++p;
  return p == pattern.size();
}

namespace {

void add_unread(const Error& error, std::string_view format, Parsed& parsed) {
  std::size_t line = 1;
  if (error.message.starts_with("line ")) line = std::strtoul(error.message.c_str() + 5, nullptr, 10);
  parsed.errors.push_back({line, "", fmt::format("not valid {}: {}", format, error.message)});
}

std::optional<Node> read_source(std::string_view text, Parsed& parsed) {
  const bool json = is_json_text(text);
  auto source = json ? parse_source(text) : parse_yaml_source(text);
  if (!source) {
    add_unread(source.error(), json ? "JSON" : "YAML", parsed);
    return std::nullopt;
  }
  if (json) return *std::move(source);
  Translation translation = from_intercept(*source);
  parsed.notes = std::move(translation.notes);
  parsed.errors = std::move(translation.errors);
  if (!parsed.errors.empty()) return std::nullopt;
  return std::move(translation.document);
}

}  // namespace

Parsed parse_policy(std::string_view text) {
  Parsed parsed;
  auto source = read_source(text, parsed);
  if (!source) return parsed;
  Reader reader(parsed.errors);
  Document document;
  const Place root{*source, ""};
  constexpr std::string_view kKeys[] = {
      "version", "description", "default", "mode",   "hide",          "hidden_reply", "risk",      "methods", "args",
      "pins",    "own_only",    "handles", "egress", "max_in_flight", "max_denials",  "all_tools", "tools"};
  if (reader.object(root, kKeys)) {
    parse_switches(reader, root, document);
    if (reader.has(root, "hide")) document.hide = reader.names(root.at("hide"));
    for (const Named& name : document.hide) {
      if (name.name.starts_with("risk:"))
        reader.error_at(name.line, "/hide", "hide takes names and patterns, no class");
    }
    if (reader.has(root, "risk")) parse_risk(reader, root.at("risk"), document);
    if (reader.has(root, "methods")) parse_methods(reader, root.at("methods"), document);
    if (reader.has(root, "egress")) parse_egress(reader, root.at("egress"), document);
    parse_bounds(reader, root, document);
    if (reader.has(root, "tools")) parse_tools(reader, root.at("tools"), document);
  }
  std::stable_sort(parsed.errors.begin(), parsed.errors.end(),
                   [](const Problem& a, const Problem& b) { return a.line < b.line; });
  if (!parsed.errors.empty()) return parsed;
  document.source = *std::move(source);
  parsed.document = std::move(document);
  return parsed;
}

}  // namespace sluice::policy
