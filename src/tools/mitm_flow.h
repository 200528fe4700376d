// Flows as the toolset `mitmproxy` answers them (mitm-tools.json), with what it says of them beyond the contract: all
// header fields in order, what a body is without a cut, and what rules did. Private to this folder.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "tools/mitm_subjects.h"

namespace sluice::tools {

inline constexpr std::size_t kPreviewCharacters = 2'000;  // mitm-tools.json; UTF-16 units

struct BodyView {
  std::string_view name = "body_preview";  // of the member
  ByteCount offset = 0;
  ByteCount limit = 4 * kPreviewCharacters;  // octets
  std::size_t units = kPreviewCharacters;    // of text
};

// {name: text|null, total_bytes, truncated, offset?, next_offset?, body_base64?, problem?} put into `message`: text
// where it is UTF-8, else null and base64. Decoded; masked where the context says so.
Status put_body(Json& message, const flow::Exchange& exchange, flow::Direction direction, const BodyView& view,
                const CallContext& context);
std::vector<ResultField> body_result(std::string_view name);

// Names as they came; the values of one name joined by ", ", each masked before it is. Null: unmasked.
Json header_map(const http::FieldList& fields, const Redactor* redactor);
Json header_pairs(const http::FieldList& fields);  // [[name, value], …]
http::FieldList fields_of(const flow::Exchange& exchange, flow::Direction direction);

Json started_seconds(const flow::Exchange& exchange);
Json status_or_null(const flow::Exchange& exchange);
std::string content_type_or_unknown(const flow::Exchange& exchange, flow::Direction direction);
// Decoded octets of the answer; reads at most `budget` of them, and takes what it read off.
ByteCount decoded_size(const flow::Exchange& exchange, ByteCount& budget, const CallContext& context);
// A line that does the request again; masked where the context says so. A comment where no command can.
std::string curl_command(const flow::Exchange& exchange, const CallContext& context);

// request, response, curl_command, rule_ids and so on of inspect_flow.
Result<Json> flow_detail(const flow::Exchange& exchange, const BodyView& view, const CallContext& context);
std::vector<ResultField> flow_detail_result();

}  // namespace sluice::tools
