// JSON Web Tokens (RFC 7519; signed: RFC 7515, encrypted: RFC 7516) taken apart. The signature is never answered, only
// its length: with it the token could be put together again. Pure.
#pragma once

#include <string_view>

#include "base/json.h"
#include "base/redact.h"
#include "base/result.h"

namespace sluice::analysis {

bool looks_like_jwt(std::string_view text);
// {header, claims, signatureBytes}, or {header, encrypted: true}. kInvalid with the part that is wrong.
Result<Json> parse_jwt(std::string_view text);
// Claims about a person, a session or the token itself (OpenID Connect Core §5.1 and the like) are masked as secrets
// are.
void mask_personal_claims(Json& jwt, const Redactor& redactor);

}  // namespace sluice::analysis
