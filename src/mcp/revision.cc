#include "mcp/revision.h"

namespace sluice::mcp {

std::string_view to_string(Revision revision) {
  switch (revision) {
    case Revision::k2025_03_26:
      return "2025-03-26";
    case Revision::k2025_06_18:
      return "2025-06-18";
    case Revision::k2025_11_25:
      return "2025-11-25";
    case Revision::k2026_07_28:
      return "2026-07-28";
  }
  return "";
}

std::optional<Revision> find_revision(std::string_view name) {
  for (const Revision revision : kRevisions) {
    if (to_string(revision) == name) return revision;
  }
  return std::nullopt;
}

Revision negotiate(std::string_view asked) {
  const auto revision = find_revision(asked);
  return revision && era_of(*revision) == Era::kLegacy ? *revision : kNewestLegacy;
}

bool claims_modern(std::string_view version) {
  if (version == "2024-11-05") return false;
  const auto revision = find_revision(version);
  return !revision || era_of(*revision) == Era::kModern;
}

}  // namespace sluice::mcp
