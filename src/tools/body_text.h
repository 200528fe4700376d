// Captured bodies as tools answer them: decoded, in pieces, as text or base64 (engine.md 5). Private to this folder.
#pragma once

#include <optional>
#include <stop_token>
#include <string>

#include "base/json.h"
#include "base/limits.h"
#include "base/redact.h"
#include "capture/capture.h"

namespace sluice::tools {

inline constexpr ByteCount kRuleBody = 8 * kMiB;      // what a rule would have been given (engine.md 6)
inline constexpr ByteCount kMaxDecoded = 256 * kMiB;  // decoding ends here: a bomb costs this much, once
inline constexpr std::size_t kPreviewUnits = 4096;    // UTF-16 units of a bodyPreview
inline constexpr ByteCount kDefaultBodyLimit = 16 * kKiB;

struct BodyRequest {
  ByteCount offset = 0;
  ByteCount limit = kDefaultBodyLimit;
  bool decoded = true;  // false: content codings stay on
  bool measure = true;  // decode to the end to know the total
  // Set: secrets are masked here, with the text around the window in view, since a value whose name lies outside
  // would pass. Offsets stay those of the raw text.
  const Redactor* redactor = nullptr;
  std::stop_token stop;
};

struct BodyPart {
  std::string octets;
  std::optional<ByteCount> total;  // of the body so decoded, as far as it is stored; nullopt: not measured
  bool more = false;               // there is something behind
  ByteCount raw_bytes = 0;         // of the window before masking; set by body_json's readers
  std::string problem;             // why decoding stopped early; empty if it did not
};

// The head that the exchange shows: the request as it came, the answer as it was sent (proxy.md c).
const std::string& shown_head(const flow::Exchange& exchange, flow::Direction direction);

// kNotFound: the body left the ring; kCancelled.
Result<BodyPart> read_part(const capture::Ring& ring, const flow::Exchange& exchange, flow::Direction direction,
                           const BodyRequest& request);
// As much as can be had of the beginning; never fails.
BodyPart decoded_prefix(const capture::Ring& ring, const flow::Exchange& exchange, flow::Direction direction,
                        ByteCount limit);

// Decoded, repaired, at most kPreviewUnits and then "...".
std::string body_preview(const capture::Ring& ring, const flow::Exchange& exchange, flow::Direction direction);
// {text|base64, contentType, codings, offset, bytes, total, complete, nextOffset?, problem?}. kRefused: masking was
// asked for and coded octets too, which cannot be masked.
Result<Json> body_json(const capture::Ring& ring, const flow::Exchange& exchange, flow::Direction direction,
                       const BodyRequest& request);

}  // namespace sluice::tools
