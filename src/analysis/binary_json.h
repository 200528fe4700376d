// MessagePack and CBOR as JSON. What JSON lacks is written as text: octets as "base64:…" (so that a value under a
// secret name is masked like any other), NaN and infinities by name, extensions as "ext(TYPE):base64…"; keys that are
// no text by their value. Several values behind each other become an array. Pure; nothing recurses deeper than the
// limit. Errors: kInvalid with the octet (from 1) and the reason, kTooLarge; never the content.
#pragma once

#include <cstddef>
#include <string>

#include "base/bytes.h"
#include "base/json.h"
#include "base/result.h"

namespace sluice::analysis {

struct BinaryLimits {
  std::size_t depth = 60;       // below JSON's, so that what was built can be printed and masked
  std::size_t items = 100'000;  // values in all, keys counted
};

Result<Json> parse_msgpack(Bytes octets, const BinaryLimits& limits = {});  // the specification of 2017
Result<Json> parse_cbor(Bytes octets, const BinaryLimits& limits = {});     // RFC 8949, sequences by RFC 8742

// "base64:…"
std::string octets_text(Bytes octets);

}  // namespace sluice::analysis
