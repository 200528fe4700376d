// Takes a whole head apart into a RequestHead or ResponseHead that can be written again octet for octet. Pure.
// Errors: kInvalid, with the RFC's section in the sentence. RFC 9112 §2.3, 3, 4, 5.
#pragma once

#include <cstdint>
#include <span>

#include "base/bytes.h"
#include "base/result.h"
#include "http/message.h"

namespace sluice::http1 {

// Who sent it: what is refused in a request may pass in an answer, where it cannot smuggle one.
enum class Side : std::uint8_t { kRequest, kAnswer };

// `head` is a start line, field lines and the empty line; `line_ends` as HeadGatherer gives them. The result is what
// was odd.
Result<http::AnomalySet> parse_request_head(Bytes head, std::span<const std::uint32_t> line_ends,
                                            http::RequestHead& out);
Result<http::AnomalySet> parse_response_head(Bytes head, std::span<const std::uint32_t> line_ends,
                                             http::ResponseHead& out);
// All lines but the first and the last (empty) one: the fields of a head, or of a trailer section whose first line is
// the last chunk's.
Result<http::AnomalySet> parse_field_lines(Bytes section, std::span<const std::uint32_t> line_ends, Side side,
                                           http::FieldList& out);

}  // namespace sluice::http1
