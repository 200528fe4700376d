// The small parts of a HAR entry (HAR 1.2 specification, §"entries"). Private to this folder. Pure.
#pragma once

#include "base/json.h"
#include "base/redact.h"
#include "flow/exchange.h"

namespace sluice::analysis {

Json har_headers(const http::FieldList& fields, const Redactor* redactor);  // [{name, value}]
Json har_query(std::string_view url);                                       // [{name, value}], decoded
Json har_request_cookies(const Json& headers);
Json har_response_cookies(const Json& headers);
// Milliseconds; -1: did not happen. `connect` holds `ssl`, as the specification wants it.
Json har_timings(const flow::Timings& timings);
double har_time(const Json& timings);  // their sum
// "HTTP/1.1" of a start line; `head` of an answer begins with it.
std::string har_version(Bytes head, bool is_response);
// Members of our own: ids, state, rules, TLS, fingerprints, anomalies.
void add_har_extras(Json& entry, const flow::Exchange& exchange);

}  // namespace sluice::analysis
