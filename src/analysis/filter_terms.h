// The terms of the filter language, one table. Private to this folder but for filter_terms(), which docs are held
// against. Pure.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

namespace sluice::analysis {

enum class TermKind : std::uint8_t {
  kAll,
  kAnomaly,
  kAnswered,
  kAsset,
  kBody,
  kDestination,
  kDuration,
  kError,
  kGrpc,
  kHeader,
  kHost,
  kHttp,
  kJa3,
  kJa4,
  kMethod,
  kReplay,
  kRule,
  kSize,
  kSource,
  kSse,
  kStatus,
  kTcp,
  kTls,
  kType,
  kUnanswered,
  kUrl,
  kWebSocket,
};
// Which messages a term looks at.
enum class TermSide : std::uint8_t { kEither, kRequest, kResponse };
enum class TermArgument : std::uint8_t { kNone, kPattern, kStatus, kSize, kDuration, kRule };

struct FilterTerm {
  std::string_view code;  // without '~'
  TermKind kind;
  TermArgument argument;
  TermSide side = TermSide::kEither;
};

std::span<const FilterTerm> filter_terms();
const FilterTerm* find_filter_term(std::string_view code);  // case counts; nullptr: there is none

}  // namespace sluice::analysis
