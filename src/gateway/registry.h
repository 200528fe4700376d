// The tools and resources of one process as MCP lists them. Immutable after construction; thread-safe.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "base/json.h"
#include "gateway/callee.h"
#include "tools/services.h"
#include "tools/tool.h"

namespace sluice::gateway {

class Registry {
 public:
  explicit Registry(tools::Toolset toolset) : Registry(toolset, tools::all_tools()) {}
  Registry(tools::Toolset toolset, std::vector<tools::Tool> tools);

  // Tools outside the toolset are unknown.
  const tools::Tool* find_tool(std::string_view name) const;
  // One of these, or one that only another toolset has.
  bool is_a_tool(std::string_view name) const { return names_.contains(name); }
  // A fixed one, or one of a recording, which may turn out not to be there. nullptr: neither.
  std::shared_ptr<const Resource> find_resource(std::string_view uri) const;
  bool is_fixed(std::string_view uri) const;  // it can be watched
  // What they are to the dispatcher: live as long as the registry.
  static CalleePtr callee_of(const tools::Tool& tool);
  static CalleePtr callee_of(std::shared_ptr<const Resource> resource);
  const std::vector<tools::Tool>& tools() const { return tools_; }
  const std::vector<Resource>& resources() const { return resources_; }

  // One entry of tools/list, with schemas and annotations.
  const Json& tool_entry(const tools::Tool& tool) const;
  static Json resource_entry(const Resource& resource);
  // Entries of resources/templates/list.
  static Json template_entries();
  // The next two look at the disk, with the services of the call.
  // {resources: …}: the fixed ones, then those of the newest hundred recordings.
  CalleePtr resource_listing() const;
  // What begins with `value`, of the argument of a template: {completion: …}. kNotFound: it has none of that name.
  static CalleePtr completion(std::string uri_template, std::string argument, std::string value);

 private:
  std::vector<tools::Tool> tools_;
  std::vector<Json> entries_;
  std::unordered_map<std::string_view, std::size_t> by_name_;
  std::unordered_set<std::string_view> names_;
  std::vector<Resource> resources_;
};

}  // namespace sluice::gateway
