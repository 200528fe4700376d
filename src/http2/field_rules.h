// What RFC 9113 §8.2 and §8.3 say of one field alone. Each answers with a sentence that names the rule broken, or
// with nothing. Pure.
#pragma once

#include <optional>
#include <string_view>

#include "base/bytes.h"

namespace sluice::http2 {

// A name that is not a pseudo-header field's.
std::string_view check_name(std::string_view name);
std::string_view check_value(std::string_view value);
// Connection-specific fields, which have no place in HTTP/2 (RFC 9113 §8.2.2); `te` may only say "trailers".
bool is_connection_field(std::string_view name, std::string_view value);
std::string_view check_method(std::string_view value);
std::string_view check_scheme(std::string_view value);
std::string_view check_path(std::string_view value);
std::string_view check_authority(std::string_view value);
std::optional<int> parse_status(std::string_view value);
std::optional<ByteCount> parse_length(std::string_view value);

}  // namespace sluice::http2
