// One flow as inference reads it (authentication, API patterns, OpenAPI, code): its heads taken apart, its bodies on
// demand. The answer is the origin's, before rules changed it. Made for one look: holds references to the exchange and
// the reader. Not thread-safe.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "base/redact.h"
#include "flow/exchange.h"
#include "http/fields.h"

namespace sluice::analysis {

struct NameValue {
  std::string name, value;
  friend bool operator==(const NameValue&, const NameValue&) = default;
};

inline constexpr std::size_t kMostPairs = 200;  // parameters or cookies of one request that are looked at

// "a=1&b=%20+": decoded; a name without "=" has an empty value. UTF-8 is repaired.
std::vector<NameValue> parse_pairs(std::string_view text);
// All Cookie fields (RFC 6265 §5.4).
std::vector<NameValue> parse_cookies(const http::FieldList& request);
// "Application/JSON; charset=x" → "application/json".
std::string media_type_of(const http::FieldList& fields);
bool is_json_media(std::string_view media);  // application/json, text/json, …+json
// A field's value as it is shown, masked where there is a redactor; and those of one name joined by ", ", each masked
// before it is: where a secret begins can no longer be seen in what is joined.
std::string shown_value(const http::FieldList& fields, std::size_t at, const Redactor* redactor);
std::optional<std::string> shown_field(const http::FieldList& fields, std::string_view name, const Redactor* redactor);
// "userId", "user-id", "USER_ID" → {"user", "id"}; "inside" is one word.
std::vector<std::string> name_words(std::string_view name);

// A decoded body, or its beginning; empty: there is none, or it cannot be had.
using BodyReader = std::function<std::string(const flow::Exchange&, flow::Direction)>;

struct FlowView {
  FlowView(const flow::Exchange& of, const BodyReader& bodies);

  const flow::Exchange& exchange;
  const BodyReader& read_body;
  http::FieldList request, response;
  std::string_view path, query;  // of the target, as they stood
  std::string authority;         // host, and the port where it is not the scheme's

  std::string request_body() const { return read_body(exchange, flow::Direction::kRequest); }
  std::string response_body() const { return read_body(exchange, flow::Direction::kResponse); }
  bool accepted() const { return exchange.status >= 200 && exchange.status < 400; }
  bool refused() const { return exchange.status == 401 || exchange.status == 403; }
};

// Not a request of a client to its origin: a replay or probe of ours, a mock, a page of Sluice's own.
bool is_generated(const flow::Exchange& exchange);
// What an HTTP request and its answer are: not a tunnel, a raw TLS or TCP connection.
bool is_request(const flow::Exchange& exchange);

}  // namespace sluice::analysis
