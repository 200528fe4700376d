#include "analysis/jwt.h"

#include <algorithm>
#include <array>

#include "base/text.h"

namespace sluice::analysis {
namespace {

constexpr std::size_t kSignedParts = 3, kEncryptedParts = 5;
constexpr auto kPersonal = std::to_array<std::string_view>({"address",     "at_hash",
                                                            "birthdate",   "c_hash",
                                                            "email",       "emails",
                                                            "family_name", "gender",
                                                            "given_name",  "ip",
                                                            "ipaddr",      "jti",
                                                            "login",       "middle_name",
                                                            "name",        "nickname",
                                                            "nonce",       "oid",
                                                            "phone",       "phone_number",
                                                            "picture",     "preferred_username",
                                                            "profile",     "sid",
                                                            "sub",         "unique_name",
                                                            "upn",         "uid",
                                                            "user",        "user_id",
                                                            "user_name",   "username",
                                                            "website"});

Result<Json> part(std::string_view text, std::string_view what) {
  const auto octets = text.empty() ? std::nullopt : base64_decode(text);
  auto json = octets ? parse_json(*octets, {.refuse_duplicate_keys = false}) : fail(Code::kInvalid, "");
  if (!json || !json->is_object()) {
    return fail(Code::kInvalid, "not a JWT: its " + std::string(what) + " is no JSON object in base64url");
  }
  return json;
}

void mask_all(Json& value, const Redactor& redactor) {
  if (value.is_structured()) {
    for (Json& item : value) mask_all(item, redactor);
  } else if (!value.is_boolean() && !value.is_null()) {
    value = redactor.mask("personal", value.is_string() ? value.get<std::string>() : dump_json(value));
  }
}

}  // namespace

bool looks_like_jwt(std::string_view text) {
  const auto belongs = [](char c) {
    return (c >= '0' && c <= '9') || (ascii_lower(c) >= 'a' && ascii_lower(c) <= 'z') || c == '-' || c == '_' ||
           c == '.';
  };
  const auto dots = std::count(text.begin(), text.end(), '.');
  return text.starts_with("eyJ") && (dots == 2 || dots == 4) && std::all_of(text.begin(), text.end(), belongs);
}

Result<Json> parse_jwt(std::string_view text) {
  const std::vector<std::string_view> parts = split(text, '.');
  if (parts.size() != kSignedParts && parts.size() != kEncryptedParts) {
    return fail(Code::kInvalid, "not a JWT: it has neither three parts nor five");
  }
  Json jwt = Json::object();
  SLUICE_TRY(jwt["header"], part(parts[0], "header"));
  if (parts.size() == kEncryptedParts) {
    jwt["encrypted"] = true;
    return jwt;
  }
  SLUICE_TRY(jwt["claims"], part(parts[1], "payload"));
  const auto signature = base64_decode(parts[2]);
  if (!signature) return fail(Code::kInvalid, "not a JWT: its signature is no base64url");
  jwt["signatureBytes"] = signature->size();
  return jwt;
}

void mask_personal_claims(Json& jwt, const Redactor& redactor) {
  const auto claims = jwt.find("claims");
  if (claims == jwt.end() || !claims->is_object()) return;
  for (auto& [name, value] : claims->get_ref<Json::object_t&>()) {
    if (std::find(kPersonal.begin(), kPersonal.end(), to_lower(name)) != kPersonal.end()) mask_all(value, redactor);
  }
}

}  // namespace sluice::analysis
