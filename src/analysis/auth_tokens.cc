// OAuth 2.0 (RFC 6749), OpenID Connect, and tokens that answers hand out.
#include <algorithm>
#include <array>

#include "analysis/auth_book.h"
#include "analysis/jwt.h"
#include "base/text.h"
#include "base/url.h"

namespace sluice::analysis {
namespace {

constexpr std::size_t kMostGrants = 20;
constexpr std::size_t kMostScopes = 50;
constexpr ByteCount kMostAnswer = 256 * kKiB;

constexpr std::array<std::string_view, 5> kGrants = {"authorization_code", "client_credentials", "password",
                                                     "refresh_token", "implicit"};

const std::string* value_of(const std::vector<NameValue>& pairs, std::string_view name) {
  const auto found = std::find_if(pairs.begin(), pairs.end(), [&](const NameValue& each) { return each.name == name; });
  return found == pairs.end() || found->value.empty() ? nullptr : &found->value;
}

std::string url_without_query(const FlowView& flow) {
  return flow.exchange.scheme + "://" + flow.authority + std::string(flow.path);
}

AuthScheme* oauth(AuthBook& book, const FlowView& flow) {
  return book.scheme(AuthType::kOauth2, flow.authority, "body", "");
}

// {grant_type, token_url, authorization_url, scopes}
Json* grant_of(AuthScheme* scheme, std::string_view type) {
  if (!scheme) return nullptr;
  Json& grants = scheme->details["grants"];
  for (Json& grant : grants) {
    if (grant["grant_type"] == type) return &grant;
  }
  if (grants.size() >= kMostGrants) return nullptr;
  grants.push_back({{"grant_type", type}});
  return &grants.back();
}

void add_scopes(Json* grant, const std::string* scopes) {
  if (!grant || !scopes) return;
  Json& list = (*grant)["scopes"];
  if (!list.is_array()) list = Json::array();
  for (const std::string_view scope : split(*scopes, ' ')) {
    if (scope.empty() || list.size() >= kMostScopes || std::find(list.begin(), list.end(), scope) != list.end())
      continue;
    list.push_back(std::string(scope));
  }
}

void look_at_token_request(AuthBook& book, const FlowView& flow, const std::vector<NameValue>& body) {
  const std::string* const type = value_of(body, "grant_type");
  if (!type || flow.exchange.method != "POST") return;
  const bool known = std::find(kGrants.begin(), kGrants.end(), *type) != kGrants.end();
  if (!known && !type->starts_with("urn:ietf:params:oauth:")) return;
  AuthScheme* const scheme = oauth(book, flow);
  book.note(scheme, "token_request", flow);
  if (*type == "refresh_token") book.note(scheme, "refresh", flow);
  if (Json* const grant = grant_of(scheme, *type)) {
    (*grant)["token_url"] = url_without_query(flow);
    add_scopes(grant, value_of(body, "scope"));
    if (const std::string* refresh = value_of(body, "refresh_token")) {
      if (const IssuedBy* by = book.issuer(*refresh)) (*grant)["refresh_token_from"] = by->flow;
    }
  }
  book.carries(scheme, flow);
}

void look_at_authorization_request(AuthBook& book, const FlowView& flow, const std::vector<NameValue>& query) {
  const std::string* const type = value_of(query, "response_type");
  if (!type || !value_of(query, "client_id")) return;
  AuthScheme* const scheme = oauth(book, flow);
  book.note(scheme, "authorization_request", flow);
  const bool implicit = type->starts_with("token") || type->starts_with("id_token");
  if (Json* const grant = grant_of(scheme, implicit ? "implicit" : "authorization_code")) {
    (*grant)["authorization_url"] = url_without_query(flow);
    add_scopes(grant, value_of(query, "scope"));
    if (value_of(query, "code_challenge")) (*grant)["pkce"] = true;
  }
  if (const std::string* scope = value_of(query, "scope")) {
    const auto scopes = split(*scope, ' ');
    if (std::find(scopes.begin(), scopes.end(), "openid") != scopes.end())
      book.note(book.scheme(AuthType::kOpenIdConnect, flow.authority, "body", ""), "scope", flow);
  }
}

// Location: https://client/callback?code=…&state=…
void look_at_redirect(AuthBook& book, const FlowView& flow) {
  if (flow.exchange.status < 300 || flow.exchange.status >= 400) return;
  const auto location = flow.response.find("location");
  if (!location) return;
  const std::size_t mark = location->find('?');
  if (mark == std::string_view::npos) return;
  const auto query = parse_pairs(location->substr(mark + 1, location->find('#') - mark - 1));
  if (value_of(query, "code") && value_of(query, "state")) {
    AuthScheme* const scheme = oauth(book, flow);
    book.note(scheme, "code_returned", flow);
  }
}

void issue_all(AuthBook& book, const FlowView& flow, const Json& value, const std::string& pointer, int depth) {
  if (depth > 4 || !value.is_object()) return;
  std::size_t looked = 0;
  for (const auto& [name, member] : value.items()) {
    if (++looked > 100) return;
    const std::string here = pointer + "/" + name;
    if (member.is_object()) issue_all(book, flow, member, here, depth + 1);
    if (!member.is_string()) continue;
    const auto words = name_words(name);
    const bool token = is_csrf_name(name) || is_api_key_name(name) || is_session_name(name) ||
                       std::find(words.begin(), words.end(), "token") != words.end() || iequals(name, "jwt");
    if (!token) continue;
    const auto& text = member.get_ref<const std::string&>();
    book.issue(text, {flow.exchange.id, here, flow.authority, std::string(flow.path)});
  }
}

void look_at_answer(AuthBook& book, const FlowView& flow, const std::vector<NameValue>& body) {
  const flow::Exchange& exchange = flow.exchange;
  if (!flow.accepted() || exchange.response.body.size == 0 || exchange.response.body.size > kMostAnswer ||
      !is_json_media(media_type_of(flow.response)) || !book.may_read_body())
    return;
  const std::string text = flow.response_body();
  const bool discovery = flow.path.ends_with("/.well-known/openid-configuration");
  if (text.size() > kMostAnswer ||
      (!discovery && ifind(text, "token") == std::string::npos && ifind(text, "csrf") == std::string::npos &&
       ifind(text, "jwt") == std::string::npos && ifind(text, "key") == std::string::npos))
    return;
  const auto json = parse_json(text, {.refuse_duplicate_keys = false});
  if (!json || !json->is_object()) return;
  issue_all(book, flow, *json, "", 0);
  const auto member = [&](std::string_view name) -> const std::string* {
    const Json* const found = find_member(*json, name);
    return found && found->is_string() ? found->get_ptr<const std::string*>() : nullptr;
  };
  if (discovery && member("issuer")) {
    AuthScheme* const scheme = book.scheme(AuthType::kOpenIdConnect, flow.authority, "body", "");
    book.note(scheme, "discovery", flow);
    if (scheme) scheme->details["discovery_url"] = url_without_query(flow);
  }
  if (member("access_token") && member("token_type")) {
    AuthScheme* const scheme = oauth(book, flow);
    book.note(scheme, "token_answer", flow);
    const std::string* const type = value_of(body, "grant_type");
    if (Json* const grant = type ? grant_of(scheme, *type) : nullptr) {
      (*grant)["issued_by"] = exchange.id;
      if (member("refresh_token")) (*grant)["refresh"] = true;
    }
  }
  if (const std::string* token = member("id_token"); token && looks_like_jwt(*token))
    book.note(book.scheme(AuthType::kOpenIdConnect, flow.authority, "body", ""), "id_token", flow);
}

}  // namespace

void look_at_oauth(AuthBook& book, const FlowView& flow, const std::vector<NameValue>& query,
                   const std::vector<NameValue>& body) {
  look_at_token_request(book, flow, body);
  look_at_authorization_request(book, flow, query);
  look_at_redirect(book, flow);
  look_at_answer(book, flow, body);
}

}  // namespace sluice::analysis
