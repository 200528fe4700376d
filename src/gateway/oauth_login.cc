#include "gateway/oauth_login.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/text.h"
#include "gateway/oauth_redirect.h"
#include "gateway/visible_text.h"

namespace sluice::gateway {

using net::Task;

namespace {

constexpr std::size_t kState = 32;  // octets
constexpr std::string_view kForm = "application/x-www-form-urlencoded", kJson = "application/json";
// Answered by nobody who wants a login first; and no session is made by it.
constexpr std::string_view kProbe = R"({"jsonrpc":"2.0","id":1,"method":"ping"})";

class LoginFlow {
 public:
  LoginFlow(OAuthWay way, Entropy& entropy, OAuthLoginOptions options, Url server)
      : way_(std::move(way)), entropy_(entropy), options_(std::move(options)), server_(std::move(server)) {}

  Task<Result<Login>> run() {
    if (const Status found = co_await find_issuer(); !found) co_return fail(found.error());
    if (const Status read = co_await read_issuer(); !read) co_return fail(read.error());
    attempt_.state = random_token(entropy_, kState);
    attempt_.pkce = make_pkce(entropy_);
    OAuthRedirect redirect(way_.io, attempt_.state);
    auto place = redirect.open(options_.redirect_port);
    if (!place) co_return fail(std::move(place.error()));
    attempt_.redirect_uri = *std::move(place);
    if (const Status known = co_await find_client(); !known) co_return fail(known.error());
    options_.show(authorization_url(issuer_, client_, attempt_));
    const auto answer = co_await redirect.wait(options_.patience);
    if (!answer) co_return fail(answer.error());
    auto login = co_await redeem(*answer);
    co_await redirect.linger();
    co_return login;
  }

 private:
  // What the server says at the door, then its metadata where it says, or where they usually lie.
  Task<Status> find_issuer() {
    OAuthRequest probe{"POST", options_.url, std::string(kJson), std::string(kProbe), ""};
    const auto door = co_await oauth_fetch(way_, std::move(probe), "the server");
    if (!door) co_return fail(door.error());
    std::optional<BearerChallenge> challenge;
    if (door->status == 401 || door->status == 403) challenge = parse_bearer_challenge(door->challenge);
    std::vector<std::string> places = resource_metadata_urls(server_);
    if (challenge && !challenge->resource_metadata.empty()) places = {challenge->resource_metadata};
    Result<ResourceMetadata> found = fail(Code::kNotFound, "");
    for (const std::string& place : places) {
      const auto answer = co_await oauth_fetch(way_, {"GET", place, "", "", ""}, "the server's metadata");
      if (!answer) co_return fail(answer.error());
      if (answer->status != 200) continue;
      found = parse_resource_metadata(answer->body, server_);
      break;
    }
    attempt_.resource = found ? found->resource : resource_of(server_);
    attempt_.scope = !options_.scope.empty()                  ? options_.scope
                     : challenge && !challenge->scope.empty() ? challenge->scope
                     : found                                  ? found->scope
                                                              : "";
    const bool nothing = !found && found.error().message.empty();
    if (!found && !(nothing && !options_.issuer.empty())) {
      if (!nothing) co_return fail(found.error());
      co_return fail(Code::kNotFound,
                     door->status == 401
                         ? "the server does not say where its authorization server is: name it by --issuer URL"
                         : fmt::format("the server wants no login (it answered HTTP {})", door->status));
    }
    issuer_.issuer = options_.issuer;
    if (issuer_.issuer.empty()) issuer_.issuer = found->issuers.front();
    const bool named =
        !found || std::find(found->issuers.begin(), found->issuers.end(), issuer_.issuer) != found->issuers.end();
    if (!named) co_return fail(Code::kRefused, "the server does not name --issuer as its authorization server");
    co_return Status{};
  }

  Task<Status> read_issuer() {
    constexpr const char* kWhat = "the authorization server's metadata";
    const std::string issuer = issuer_.issuer;
    const auto url = check_oauth_url(issuer, way_.reach, "the authorization server");
    if (!url) co_return fail(url.error());
    if (url->target.find('?') != std::string::npos)
      co_return fail(Code::kRefused, "the authorization server has a query");
    for (const std::string& place : issuer_metadata_urls(*url)) {
      const auto answer = co_await oauth_fetch(way_, {"GET", place, "", "", ""}, kWhat);
      if (!answer) co_return fail(answer.error());
      if (answer->status != 200) continue;
      auto read = parse_issuer_metadata(answer->body, issuer, way_.reach);
      if (!read) co_return fail(std::move(read.error()));
      issuer_ = *std::move(read);
      if (issuer_.offline_access && !attempt_.scope.empty() && !has_offline_access())
        attempt_.scope += " offline_access";
      co_return Status{};
    }
    co_return fail(Code::kNotFound, fmt::format("{} are nowhere that they may be", kWhat));
  }

  bool has_offline_access() const {
    const auto names = split(attempt_.scope, ' ');
    return std::find(names.begin(), names.end(), "offline_access") != names.end();
  }

  Task<Status> find_client() {
    if (!options_.client_id.empty()) {
      client_.id = options_.client_id;
      client_.secret = std::string(options_.client_secret.view());
      const auto auth = client_auth_for(issuer_, !client_.secret.empty());
      if (!auth) co_return fail(auth.error());
      client_.auth = *auth;
      co_return Status{};
    }
    if (issuer_.registration_endpoint.empty()) {
      co_return fail(Code::kRefused,
                     "the authorization server registers nobody by itself: register Sluice there, with the redirect "
                     "URI http://127.0.0.1/callback, and give --client-id");
    }
    OAuthRequest request{"POST", issuer_.registration_endpoint, std::string(kJson),
                         registration_request(attempt_.redirect_uri, attempt_.scope), ""};
    const auto answer = co_await oauth_fetch(way_, std::move(request), "the registration");
    if (!answer) co_return fail(answer.error());
    if (answer->status != 201 && answer->status != 200) {
      const std::string error = parse_token_error(answer->body);
      co_return fail(Code::kRefused, fmt::format("the authorization server refuses to register Sluice (HTTP {}{}{}); "
                                                 "register it there and give --client-id",
                                                 answer->status, error.empty() ? "" : ", ", error));
    }
    auto client = parse_registration(answer->body);
    if (!client) co_return fail(std::move(client.error()));
    client_ = *std::move(client);
    co_return Status{};
  }

  Task<Result<Login>> redeem(const Redirect& redirect) {
    const auto code = accept_redirect(redirect, issuer_);
    if (!code) co_return fail(code.error());
    const TokenRequest made = code_request(client_, attempt_, *code);
    OAuthRequest request{"POST", issuer_.token_endpoint, std::string(kForm), made.body, made.authorization};
    const auto answer = co_await oauth_fetch(way_, std::move(request), "the token endpoint");
    if (!answer) co_return fail(answer.error());
    if (answer->status != 200) {
      const std::string error = parse_token_error(answer->body);
      co_return fail(Code::kRefused, fmt::format("the authorization server gave no token (HTTP {}{}{})", answer->status,
                                                 error.empty() ? "" : ", ", error));
    }
    const auto tokens = parse_tokens(answer->body);
    if (!tokens) co_return fail(Error(tokens.error()).with_context("the token endpoint"));
    Login login{options_.server,
                options_.url,
                attempt_.resource,
                issuer_.issuer,
                issuer_.token_endpoint,
                client_,
                tokens->scope.empty() ? attempt_.scope : tokens->scope,
                tokens->access,
                tokens->refresh};
    login.issued_ms = unix_ms(way_.clock.wall());
    if (tokens->lifetime_s != 0) login.expires_ms = login.issued_ms + tokens->lifetime_s * 1'000;
    co_return login;
  }

  const OAuthWay way_;
  Entropy& entropy_;
  const OAuthLoginOptions options_;
  const Url server_;
  IssuerMetadata issuer_;
  OAuthClient client_;
  LoginAttempt attempt_;
};

}  // namespace

Task<Result<Login>> log_in(OAuthWay way, Entropy& entropy, OAuthLoginOptions options) {
  auto url = check_oauth_url(options.url, way.reach, "the server's URL");
  if (!url) co_return fail(url.error());
  LoginFlow flow(std::move(way), entropy, std::move(options), *std::move(url));
  co_return co_await flow.run();
}

}  // namespace sluice::gateway
