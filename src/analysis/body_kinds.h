// One kind of body each: octets to JSON, masked. Private to this folder.
#pragma once

#include "analysis/binary_json.h"
#include "analysis/decode.h"
#include "analysis/jwt.h"
#include "base/result.h"

namespace sluice::analysis {

// kInvalid, kTooLarge: why it is not. Not for kDetect and kBase64.
Result<Json> read_body_kind(DecodeAs as, Bytes octets, const DecodeOptions& options);
// {operations, …} for a GraphQL request in JSON, or an array of them for a batch; nullopt: it is none.
std::optional<Json> graphql_of_json(const Json& json);

}  // namespace sluice::analysis
