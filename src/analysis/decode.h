// What a body says, taken out of its wrappings one after the other: base64, gzip inside it, JSON, forms, multipart,
// JWT, MessagePack, CBOR, protocol buffers, gRPC, GraphQL. What was recognised is named in order; what was said to be
// something and is not gets a reason instead of a value. Pure; bounded by DecodeLimits; masked where a Redactor is
// given.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/json.h"
#include "base/redact.h"

namespace sluice::analysis {

inline constexpr ByteCount kMostDecodeInput = 4 * kMiB;  // of a body with its codings off; a tree takes many times that
inline constexpr std::size_t kMostWrappings = 6;         // base64 in base64 in …

enum class DecodeAs { kDetect, kBase64, kCbor, kForm, kGraphql, kGrpc, kJson, kJwt, kMsgpack, kMultipart, kProtobuf };
std::string_view to_string(DecodeAs as);  // "json"; "" for kDetect
std::optional<DecodeAs> find_decoding(std::string_view name);

struct DecodeOptions {
  std::string_view content_type;
  std::string_view grpc_encoding;      // the header field: how messages are compressed
  DecodeAs as = DecodeAs::kDetect;     // what it shall be taken for, whatever its type says
  const Redactor* redactor = nullptr;  // null: everything is visible
};

struct Decoding {
  std::vector<std::string> chain;  // {"base64", "json"}; empty: nothing was recognised
  Json value;                      // null: nothing was recognised
  std::string problem;             // why not, or what is missing; mostly empty
};

Decoding decode(Bytes octets, const DecodeOptions& options);

// A window of what is an array, an object or a string on its top level; anything else stays whole.
struct DecodedWindow {
  Json value;
  std::size_t total = 1;                   // items, members, or octets of a string
  std::optional<std::size_t> next_offset;  // there is more
};
DecodedWindow window_of(Json value, std::size_t offset, std::size_t limit);

}  // namespace sluice::analysis
