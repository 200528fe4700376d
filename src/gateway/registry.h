// The tools and resources of one process as MCP lists them. Immutable after construction; thread-safe.
#pragma once

#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/json.h"
#include "tools/services.h"
#include "tools/tool.h"

namespace sluice::gateway {

struct Resource {
  std::string_view uri, name, title, description, mime_type;
  // The text's value: an object is written as two-space JSON, a string as it is.
  Json (*read)(const tools::Services& services);
};

class Registry {
 public:
  explicit Registry(tools::Toolset toolset) : Registry(toolset, tools::all_tools()) {}
  Registry(tools::Toolset toolset, std::vector<tools::Tool> tools);

  // Tools outside the toolset are unknown.
  const tools::Tool* find_tool(std::string_view name) const;
  const Resource* find_resource(std::string_view uri) const;
  const std::vector<tools::Tool>& tools() const { return tools_; }
  const std::vector<Resource>& resources() const { return resources_; }

  // One entry of tools/list, with schemas and annotations.
  const Json& tool_entry(const tools::Tool& tool) const;
  static Json resource_entry(const Resource& resource);

 private:
  std::vector<tools::Tool> tools_;
  std::vector<Json> entries_;
  std::unordered_map<std::string_view, std::size_t> by_name_;
  std::vector<Resource> resources_;
};

}  // namespace sluice::gateway
