// The place in a request where fuzzing puts its payloads: a query parameter, a path segment, a header, a cookie, a form
// field, a member of a JSON body. All other octets stay as they were. Pure.
#pragma once

#include <string>
#include <string_view>

#include "analysis/fuzz_payloads.h"
#include "base/result.h"
#include "http/fields.h"

namespace sluice::analysis {

enum class FuzzLocation { kQuery, kPath, kHeader, kCookie, kForm, kJson };
std::optional<FuzzLocation> find_fuzz_location(std::string_view name);  // "query", "path", …

struct FuzzPoint {
  FuzzLocation location = FuzzLocation::kQuery;
  // A parameter's, header's, cookie's or top-level member's name; of a path: its segment as text, or its number from 0.
  std::string name;
  std::string pointer;  // into a JSON body, in place of `name`
};

struct FuzzedRequest {
  std::string target;  // path and query
  http::FieldList fields;
  std::string content;  // not coded
};

// Puts the payload there; what is absent is added, but for path segments. kInvalid: the request has no such place, or
// the payload cannot stand there (a line break in a header).
Status put_payload(FuzzedRequest& request, const FuzzPoint& point, const FuzzPayload& payload);

}  // namespace sluice::analysis
