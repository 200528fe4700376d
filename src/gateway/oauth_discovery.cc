#include "gateway/oauth_discovery.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/asio/ip/address.hpp>

#include "base/text.h"
#include "gateway/http_client.h"
#include "http/fields.h"

namespace sluice::gateway {
namespace {

constexpr std::size_t kMaxUrl = 2'000, kMaxScope = 1'000, kMaxNames = 100;

bool is_plain(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return c > 0x20 && c < 0x7F; });
}

// token / quoted-string (RFC 9110 §5.6.4) at the front of `rest`; nullopt: neither.
std::optional<std::string> take_value(std::string_view& rest) {
  std::string value;
  if (!rest.starts_with('"')) {
    std::size_t end = 0;
    while (end < rest.size() && http::is_token(rest.substr(end, 1))) ++end;
    value = rest.substr(0, end);
    rest.remove_prefix(end);
    return value.empty() ? std::nullopt : std::optional(value);
  }
  for (std::size_t at = 1; at < rest.size(); ++at) {
    if (rest[at] == '"') {
      rest.remove_prefix(at + 1);
      return value;
    }
    if (rest[at] == '\\' && ++at == rest.size()) break;
    value += rest[at];
  }
  return std::nullopt;
}

void skip(std::string_view& rest, std::string_view what) {
  rest.remove_prefix(std::min(rest.find_first_not_of(what), rest.size()));
}

std::string origin_of(const Url& url) {
  return url.scheme + "://" + authority_text(url.host, url.port, default_port(url.scheme));
}

std::string path_of(const Url& url) {
  std::string path = url.target.substr(0, url.target.find('?'));
  while (path.ends_with('/')) path.pop_back();
  return path;
}

std::string text_of(const Json& object, std::string_view member) {
  const Json* value = find_member(object, member);
  return value && value->is_string() ? value->get<std::string>() : "";
}

// Texts alone, so many at most.
std::vector<std::string> list_of(const Json& object, std::string_view member) {
  std::vector<std::string> list;
  const Json* value = find_member(object, member);
  if (!value || !value->is_array()) return list;
  for (const Json& one : *value) {
    if (one.is_string() && list.size() < kMaxNames) list.push_back(one.get<std::string>());
  }
  return list;
}

bool has(const std::vector<std::string>& list, std::string_view one) {
  return std::find(list.begin(), list.end(), one) != list.end();
}

Result<Json> parse_document(std::string_view text, std::string_view what) {
  auto json = parse_json(text);
  if (!json || !json->is_object()) return fail(Code::kInvalid, fmt::format("{} are no JSON object", what));
  return json;
}

}  // namespace

Reach reach_of(const Url& server) { return is_loopback_name(server.host) ? Reach::kThisMachine : Reach::kElsewhere; }

Result<Url> check_oauth_url(std::string_view text, Reach reach, std::string_view what) {
  const auto no = [&](std::string_view why) { return fail(Code::kRefused, fmt::format("{} {}", what, why)); };
  if (text.empty() || text.size() > kMaxUrl || !is_plain(text) || text.find('#') != text.npos) {
    return no("is no URL that can be used");
  }
  auto url = parse_url(text);
  if (!url || (url->scheme != "http" && url->scheme != "https")) return no("is no https URL");
  const bool loopback = is_loopback_name(url->host);
  if (url->scheme == "http" && !(loopback && reach == Reach::kThisMachine)) return no("is not https");
  if (loopback && reach != Reach::kThisMachine) return no("leads to this machine");
  boost::system::error_code error;
  const auto address = boost::asio::ip::make_address(url->host, error);
  if (!error && is_link_local(address)) return no("is a link-local address");
  if (!error && reach != Reach::kThisMachine && is_this_machine(address)) return no("leads to this machine");
  return *std::move(url);
}

std::optional<BearerChallenge> parse_bearer_challenge(std::string_view rest) {
  std::optional<BearerChallenge> best;
  BearerChallenge now;
  bool bearer = false;
  const auto end = [&] {
    if (bearer && (!best || (best->resource_metadata.empty() && !now.resource_metadata.empty()))) best = now;
    now = {};
  };
  for (skip(rest, " \t,"); !rest.empty(); skip(rest, " \t,")) {
    const auto name = take_value(rest);
    if (!name) break;
    const bool blank = rest.starts_with(' ') || rest.starts_with('\t');
    skip(rest, " \t");
    if (rest.starts_with('=')) {
      rest.remove_prefix(1);
      skip(rest, " \t");
      if (rest.empty() || rest.starts_with('=') || rest.starts_with(',')) {  // of a scheme with one text alone
        rest.remove_prefix(std::min(rest.find(','), rest.size()));
        continue;
      }
      auto value = take_value(rest);
      if (!value) break;
      if (!bearer) continue;
      std::string* const into = iequals(*name, "resource_metadata") ? &now.resource_metadata
                                : iequals(*name, "scope")           ? &now.scope
                                : iequals(*name, "error")           ? &now.error
                                                                    : nullptr;
      if (into && into->empty()) *into = *std::move(value);
    } else {
      if (!blank && !rest.empty() && !rest.starts_with(',')) break;
      end();
      bearer = iequals(*name, "bearer");
    }
  }
  end();
  if (best && !is_scope(best->scope)) best->scope.clear();
  return best;
}

bool is_scope(std::string_view text) {
  if (text.size() > kMaxScope || text.starts_with(' ') || text.ends_with(' ')) return false;
  return text.find("  ") == text.npos &&
         std::all_of(text.begin(), text.end(), [](char c) { return c >= 0x20 && c < 0x7F && c != '"' && c != '\\'; });
}

std::vector<std::string> resource_metadata_urls(const Url& server) {
  const std::string root = origin_of(server) + "/.well-known/oauth-protected-resource";
  const std::string path = path_of(server);
  if (path.empty()) return {root};
  return {root + path, root};
}

std::vector<std::string> issuer_metadata_urls(const Url& issuer) {
  const std::string origin = origin_of(issuer), path = path_of(issuer);
  std::vector<std::string> urls{origin + "/.well-known/oauth-authorization-server" + path,
                                origin + "/.well-known/openid-configuration" + path};
  if (!path.empty()) urls.push_back(origin + path + "/.well-known/openid-configuration");
  return urls;
}

std::string resource_of(const Url& server) { return origin_of(server) + path_of(server); }

Result<ResourceMetadata> parse_resource_metadata(std::string_view text, const Url& server) {
  SLUICE_TRY(const Json json, parse_document(text, "the server's metadata"));
  ResourceMetadata read;
  read.resource = text_of(json, "resource");
  const auto resource = parse_url(read.resource);
  if (!resource || read.resource.size() > kMaxUrl || !is_plain(read.resource) ||
      read.resource.find('#') != std::string::npos) {
    return fail(Code::kInvalid, "the server's metadata do not say what they are of (`resource`)");
  }
  // The whole of an origin may speak for what lies beneath it, nobody else (RFC 9728 §3.3).
  const std::string above = path_of(*resource), ours = path_of(server);
  const bool beneath = ours == above || ours.starts_with(above + "/");
  if (origin_of(*resource) != origin_of(server) || !beneath) {
    return fail(Code::kRefused, "the server's metadata are of another server (`resource`)");
  }
  read.issuers = list_of(json, "authorization_servers");
  if (read.issuers.empty()) return fail(Code::kInvalid, "the server's metadata name no authorization server");
  for (const std::string& one : list_of(json, "scopes_supported")) read.scope += (read.scope.empty() ? "" : " ") + one;
  if (!is_scope(read.scope)) read.scope.clear();
  return read;
}

Result<IssuerMetadata> parse_issuer_metadata(std::string_view text, const std::string& issuer, Reach reach) {
  constexpr std::string_view kWhat = "the authorization server's metadata";
  SLUICE_TRY(const Json json, parse_document(text, kWhat));
  IssuerMetadata read;
  read.issuer = text_of(json, "issuer");
  if (read.issuer != issuer) return fail(Code::kRefused, fmt::format("{} are another one's (`issuer`)", kWhat));
  if (!has(list_of(json, "code_challenge_methods_supported"), "S256")) {
    return fail(Code::kRefused, "the authorization server does not say that it knows PKCE with S256");
  }
  for (const auto& [member, wanted] :
       {std::pair("response_types_supported", "code"), std::pair("grant_types_supported", "authorization_code")}) {
    if (find_member(json, member) && !has(list_of(json, member), wanted)) {
      return fail(Code::kRefused, fmt::format("the authorization server does not offer `{}`", wanted));
    }
  }
  for (const auto& [member, into] : {std::pair("authorization_endpoint", &read.authorization_endpoint),
                                     std::pair("token_endpoint", &read.token_endpoint),
                                     std::pair("registration_endpoint", &read.registration_endpoint)}) {
    *into = text_of(json, member);
    if (into->empty() && into == &read.registration_endpoint) continue;
    const auto url = check_oauth_url(*into, reach, fmt::format("the authorization server's {}", member));
    if (!url) return fail(url.error());
  }
  read.token_auth_methods = list_of(json, "token_endpoint_auth_methods_supported");
  const Json* says = find_member(json, "authorization_response_iss_parameter_supported");
  read.says_issuer = says && says->is_boolean() && says->get<bool>();
  read.offline_access = has(list_of(json, "scopes_supported"), "offline_access");
  return read;
}

}  // namespace sluice::gateway
