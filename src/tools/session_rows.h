// Rows of a recording that pass a query and a filter expression: what the tools that read and replay recordings share.
// Private to this folder.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "analysis/filtered.h"
#include "session/session.h"
#include "tools/tool.h"

namespace sluice::tools {

struct FoundRows {
  std::uint64_t total = 0, with_tls = 0;
  std::uint64_t offset = 0;  // how many pass before the first of `rows`
  std::vector<session::Row> rows;
  std::optional<std::uint64_t> searched;  // time ran out after so many
};

// What passes the query and is shown to this caller: of what stands under a mask nobody finds out by asking.
Result<std::shared_ptr<const session::Matches>> match_visible(const session::Reader& reader,
                                                              const session::Query& query, CallContext& context);

// A page of what passes the query and is shown to this caller, and how many do in all. For a filter expression
// exchanges are looked at one by one. `after`: what comes behind this row, in place of the offset.
Result<FoundRows> find_rows(const session::Reader& reader, const session::Query& query,
                            const std::optional<analysis::FilterExpression>& expression, std::uint64_t offset,
                            std::uint64_t limit, CallContext& context,
                            const std::optional<session::Matches::Match>& after = std::nullopt);

}  // namespace sluice::tools
