// Any octets as a body of any kind: a value with the chain that led to it, or a reason; and what is masked holds no
// more than what is not.
#include <array>
#include <cstdint>
#include <cstdlib>

#include "analysis/decode.h"

namespace {

using namespace sluice;
using namespace sluice::analysis;

void require(bool holds) {
  if (!holds) std::abort();
}

constexpr auto kTypes = std::to_array<std::string_view>(
    {"", "text/plain", "application/json", "application/x-www-form-urlencoded", "multipart/form-data; boundary=b",
     "application/jwt", "application/msgpack", "application/cbor", "application/x-protobuf", "application/grpc",
     "application/grpc-web-text", "application/graphql"});

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2) return 0;
  static SeededEntropy entropy{3};
  static const Redactor redactor(entropy);
  DecodeOptions options{.content_type = kTypes[data[0] % kTypes.size()],
                        .grpc_encoding = "gzip",
                        .as = static_cast<DecodeAs>(data[1] % 11)};
  const Bytes body(reinterpret_cast<const char*>(data) + 2, size - 2);
  const Decoding open = decode(body, options);
  require(!open.chain.empty() || !open.problem.empty());
  require(open.chain.size() <= kMostWrappings + 2);
  options.redactor = &redactor;
  const Decoding shut = decode(body, options);
  require(!shut.chain.empty() || !shut.problem.empty());
  const std::string text = dump_json(shut.value);
  require(parse_json(text, {.max_depth = 80, .max_members = SIZE_MAX, .refuse_duplicate_keys = false}).has_value());
  const DecodedWindow window = window_of(open.value, data[0], data[1]);
  require(!window.next_offset || (*window.next_offset > data[0] || data[1] == 0) || window.value.is_string());
  return 0;
}
