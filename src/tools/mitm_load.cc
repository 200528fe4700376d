// load_traffic_file: HAR and flow files of mitmproxy as traffic (mitm-tools.json; mitm.md W16). The file is read whole
// before anything is replaced.
#include <fmt/format.h>

#include <algorithm>

#include "analysis/domain.h"
#include "base/text.h"
#include "tools/mitm_subjects.h"
#include "tools/traffic_filter.h"
#include "tools/traffic_loader.h"

namespace sluice::tools {
namespace {

bool has_known_suffix(const std::string& path) {
  const std::string lower = to_lower(path);
  return lower.ends_with(".har") || lower.ends_with(".mitm") || lower.ends_with(".flow");
}

Result<std::vector<analysis::Domain>> scope_of(const Json& arguments) {
  std::vector<analysis::Domain> domains;
  for (const std::string& text : comma_list(text_argument(arguments, "scope").value_or(""))) {
    SLUICE_TRY(analysis::Domain domain, analysis::parse_domain(text));
    domains.push_back(std::move(domain));
  }
  return domains;
}

ToolResult load_traffic_file(const Json& arguments, CallContext& context) {
  const Services& services = *context.services;
  if (!services.loader || !services.sessions || !services.roots)
    return fail(Code::kUnavailable, "No files are loaded here.");
  const std::string path = *text_argument(arguments, "file_path");
  if (!has_known_suffix(path)) return fail(Code::kInvalid, "file_path must end in .har, .mitm or .flow.");
  SLUICE_TRY(const auto domains, scope_of(arguments));
  SLUICE_TRY(const Place place, services.roots->file(path, "file_path"));
  SLUICE_TRY(const auto file, place.files->open(place.path, OpenMode::kRead));
  std::function<bool(std::string_view, std::uint16_t)> wanted;
  if (!domains.empty()) {
    wanted = [&domains](std::string_view host, std::uint16_t port) {
      return std::any_of(domains.begin(), domains.end(), [&](const auto& domain) { return domain.holds(host, port); });
    };
  }
  const ImportReading reading{false, services.clock, context.stop, deadline_passed(context), {}};
  const auto mode = flag_argument(arguments, "append") ? TrafficLoader::Mode::kAppend : TrafficLoader::Mode::kReplace;
  SLUICE_TRY(const ImportSummary summary, services.loader->load(*file, *services.sessions, mode, reading, wanted));
  Json answer = {
      {"status", "ok"}, {"imported", summary.imported}, {"skipped", summary.left_out}, {"errors", summary.errors}};
  if (!summary.warnings.empty()) answer["warnings"] = summary.warnings;
  return answer;
}

}  // namespace

Tool load_traffic_tool() {
  return {
      .name = "load_traffic_file",
      .title = "Load a traffic file",
      .summary =
          "Take the flows of a HAR or mitmproxy file as traffic, in place of what is there or beside it. The file is "
          "read first: one that cannot be read changes nothing; damaged flows are counted and named.",
      .group = "traffic",
      .risk = Risk::kDestructive,
      .hints = kMitmproxy | kSlow,
      .fields = {{.name = "file_path",
                  .meaning = "A .har, .mitm or .flow file under an allowed root.",
                  .required = true},
                 {.name = "append",
                  .type = FieldType::kBoolean,
                  .meaning = "Keep the traffic that is there.",
                  .default_value = false},
                 {.name = "scope", .meaning = "Only these domains and what is below them, as a.com,b.org."}},
      .result = {{"status", "string", "ok"},
                 {"imported", "number", ""},
                 {"skipped", "number", "not HTTP, or out of scope"},
                 {"errors", "number", "damaged flows"},
                 {"warnings", "string[]", "the first hundred", true}},
      .function = load_traffic_file};
}

}  // namespace sluice::tools
