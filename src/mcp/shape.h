// Makes a result, written for the newest revision, right for the client's: private to this folder.
// Pure; thread-safe.
#pragma once

#include <string_view>

#include "base/json.h"
#include "mcp/revision.h"
#include "mcp/server_session.h"

namespace sluice::mcp {

// The member of this method's result that is cut into pages; empty if it is no list.
std::string_view list_array(std::string_view method);

// Takes out what the revision does not know:
//   before 2026-07-28  resultType, ttlMs, cacheScope
//   before 2025-11-25  icons, execution
//   before 2025-06-18  title, outputSchema, structuredContent, `_meta` of listed things; resource links become text
Json fit_result(std::string_view method, Revision revision, Json result);

// serverInfo for this revision.
Json fit_implementation(Revision revision, Json info);

Json write_capabilities(const Capabilities& capabilities);

// Puts in what 2026-07-28 demands of every result, unless it is there: resultType, the server's name in `_meta`, and
// the caching hints where the method has them and the result is complete.
Json complete_modern(std::string_view method, const ServerProfile& profile, Json result);

}  // namespace sluice::mcp
