// A resource of our own, as MCP lists it.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "base/json.h"
#include "base/result.h"
#include "tools/services.h"

namespace sluice::gateway {

struct Resource {
  std::string uri;
  std::string_view name, title, description, mime_type;
  // The text's value: an object is written as two-space JSON, a string as it is. May wait for the disk.
  std::function<Result<Json>(const tools::Services& services)> read;
};

// One of each recording: `uri` with the session's id in the place of {session_id}.
struct SessionTemplate {
  std::string_view uri, name, title, description;
  Result<Json> (*read)(const tools::Services& services, const std::string& session);
};

}  // namespace sluice::gateway
