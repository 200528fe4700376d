// What a GraphQL document asks for: its operations' types and names (GraphQL specification, October 2021, §2.2, §2.3).
// Reads tokens, not the grammar: enough to name an operation, forgiving otherwise. Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace sluice::analysis {

struct GraphqlOperation {
  std::string type;  // "query", "mutation", "subscription"
  std::string name;  // empty: anonymous
};

inline constexpr std::size_t kMostOperations = 100;

// nullopt: not a GraphQL document. In the order of the document.
std::optional<std::vector<GraphqlOperation>> graphql_operations(std::string_view document);

}  // namespace sluice::analysis
