// Captured exchanges in the contract's shapes (proxy.md c) with our additions (engine.md 5). Private to this folder
// and to the resources of the gateway.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "analysis/messages.h"
#include "base/json.h"
#include "tools/body_text.h"
#include "tools/tool.h"

namespace sluice::tools {

enum Include : unsigned {
  kRequestBody = 1u << 0,
  kResponseBody = 1u << 1,
  kOriginal = 1u << 2,
  kRawHead = 1u << 3,
  kTimings = 1u << 4,
  kConnection = 1u << 5,
  kMessages = 1u << 6,
};

struct ExchangeView {
  unsigned include = 0;             // Include bits
  analysis::BodyOptions body;       // for the included bodies; its redactor for previews too
  analysis::MessageQuery messages;  // for included messages
  bool server_tls = true;           // tls.server is shown
};

// Whole milliseconds from request start to answer sent; nullopt without an answer.
std::optional<std::int64_t> duration_ms(const flow::Exchange& exchange);

// Names in lower case, the values of one name joined by ", ": each masked before, since what they are joined to hides
// where a secret begins. Null: unmasked.
Json headers_json(const http::FieldList& fields, const Redactor* redactor);
// [{name, value}], order, case and duplicates as they came.
Json raw_headers_json(const http::FieldList& fields);

Json list_row(const flow::Exchange& exchange);
Json search_row(const flow::Exchange& exchange);
Result<Json> exchange_json(const capture::BodySource& ring, const flow::Exchange& exchange, const ExchangeView& view);
// {client, server}, or null if nothing of TLS is known. `server`: shown if known.
Json tls_json(const flow::Exchange& exchange, bool server);

std::vector<ResultField> list_row_result();
std::vector<ResultField> exchange_result();
std::vector<ResultField> tls_result();

}  // namespace sluice::tools
