#include "analysis/filter_terms.h"

#include <algorithm>
#include <array>

namespace sluice::analysis {
namespace {

using Argument = TermArgument;
using Kind = TermKind;
using Side = TermSide;

// mitmproxy's spelling where mitmproxy has the term.
constexpr auto kTerms = std::to_array<FilterTerm>({
    {"a", Kind::kAsset, Argument::kNone},
    {"all", Kind::kAll, Argument::kNone},
    {"anomaly", Kind::kAnomaly, Argument::kPattern},
    {"b", Kind::kBody, Argument::kPattern},
    {"bq", Kind::kBody, Argument::kPattern, Side::kRequest},
    {"bs", Kind::kBody, Argument::kPattern, Side::kResponse},
    {"c", Kind::kStatus, Argument::kStatus},
    {"d", Kind::kHost, Argument::kPattern},
    {"dst", Kind::kDestination, Argument::kPattern},
    {"dur", Kind::kDuration, Argument::kDuration},
    {"e", Kind::kError, Argument::kNone},
    {"grpc", Kind::kGrpc, Argument::kNone},
    {"h", Kind::kHeader, Argument::kPattern},
    {"hq", Kind::kHeader, Argument::kPattern, Side::kRequest},
    {"hs", Kind::kHeader, Argument::kPattern, Side::kResponse},
    {"http", Kind::kHttp, Argument::kNone},
    {"ja3", Kind::kJa3, Argument::kPattern},
    {"ja4", Kind::kJa4, Argument::kPattern},
    {"m", Kind::kMethod, Argument::kPattern},
    {"q", Kind::kUnanswered, Argument::kNone},
    {"replay", Kind::kReplay, Argument::kNone},
    {"rule", Kind::kRule, Argument::kRule},
    {"s", Kind::kAnswered, Argument::kNone},
    {"size", Kind::kSize, Argument::kSize},
    {"sizeq", Kind::kSize, Argument::kSize, Side::kRequest},
    {"sizes", Kind::kSize, Argument::kSize, Side::kResponse},
    {"src", Kind::kSource, Argument::kPattern},
    {"sse", Kind::kSse, Argument::kNone},
    {"t", Kind::kType, Argument::kPattern},
    {"tcp", Kind::kTcp, Argument::kNone},
    {"tls", Kind::kTls, Argument::kNone},
    {"tq", Kind::kType, Argument::kPattern, Side::kRequest},
    {"ts", Kind::kType, Argument::kPattern, Side::kResponse},
    {"u", Kind::kUrl, Argument::kPattern},
    {"websocket", Kind::kWebSocket, Argument::kNone},
});

}  // namespace

std::span<const FilterTerm> filter_terms() { return kTerms; }

const FilterTerm* find_filter_term(std::string_view code) {
  const auto found =
      std::find_if(kTerms.begin(), kTerms.end(), [&](const FilterTerm& term) { return term.code == code; });
  return found == kTerms.end() ? nullptr : &*found;
}

}  // namespace sluice::analysis
