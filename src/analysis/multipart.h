// The parts of a multipart body (RFC 2046 §5.1, RFC 7578). Forgiving: a last part without its end is one that is cut.
// Pure; views into the octets given.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"

namespace sluice::analysis {

inline constexpr std::size_t kMostParts = 1'000;
inline constexpr std::size_t kMostBoundary = 200;  // octets; RFC 2046 allows 70

struct BodyPart {
  Bytes head;  // its fields, raw, without the empty line
  Bytes content;
  bool complete = true;  // false: the body ended before the next boundary
};

struct Multipart {
  std::vector<BodyPart> parts;
  bool cut = false;  // more than kMostParts
};

// The value of a parameter of a field like `form-data; name="a\"b"`, unquoted (RFC 9110 §5.6.6); nullopt: there is
// none.
std::optional<std::string> field_parameter(std::string_view field, std::string_view name);

// kInvalid: there is no boundary, or no line that begins with it.
Result<Multipart> parse_multipart(Bytes octets, std::string_view boundary);

}  // namespace sluice::analysis
