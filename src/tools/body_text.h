// Captured bodies as tools answer them: as text or base64 (engine.md 5). Private to this folder.
#pragma once

#include <string>

#include "analysis/body.h"
#include "base/json.h"

namespace sluice::tools {

inline constexpr ByteCount kRuleBody = 8 * kMiB;    // what a rule would have been given (engine.md 6)
inline constexpr std::size_t kPreviewUnits = 4096;  // UTF-16 units of a bodyPreview
inline constexpr ByteCount kDefaultBodyLimit = 16 * kKiB;

// Decoded, repaired, at most kPreviewUnits and then "...".
std::string body_preview(const capture::BodySource& ring, const flow::Exchange& exchange, flow::Direction direction,
                         const Redactor* redactor);
// {text|base64, contentType, codings, offset, bytes, total, complete, nextOffset?, problem?}. kRefused: masking was
// asked for and coded octets too, which cannot be masked.
Result<Json> body_json(const capture::BodySource& ring, const flow::Exchange& exchange, flow::Direction direction,
                       const analysis::BodyOptions& options);

}  // namespace sluice::tools
