#include "gateway/login_bearer.h"

#include <fmt/format.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace sluice::gateway {

using net::Task;

namespace {

constexpr std::chrono::seconds kLook{1};
constexpr std::chrono::milliseconds kWait{20};
constexpr std::int64_t kMarginMs = 60'000;  // a token is refreshed so long before its end, or a quarter of its time

}  // namespace

LoginBearer::LoginBearer(OAuthWay way, LoginStore store, Options options)
    : way_(std::move(way)), store_(std::move(store)), options_(std::move(options)) {}

std::string LoginBearer::advice(const std::optional<BearerChallenge>& challenge) const {
  const bool more = challenge && challenge->error == "insufficient_scope" && !challenge->scope.empty();
  return fmt::format("run `sluice gateway login {} --upstream {}{}`", options_.server, options_.url,
                     more ? " --scope \"" + challenge->scope + "\"" : "");
}

void LoginBearer::say(const std::string& what) {
  if (what != said_) options_.notice(what);
  said_ = what;
}

void LoginBearer::reload() {
  stamp_ = store_.stamp(options_.server, options_.url);
  auto loaded = store_.load(options_.server, options_.url);
  if (loaded) {
    damaged_.clear();
    const bool older = *loaded && login_ && !unsaved_over_.empty() && (*loaded)->access_token == unsaved_over_;
    if (!older) login_ = *std::move(loaded);
  } else {
    login_.reset();
    damaged_ = loaded.error().message;
    say(damaged_);
  }
}

void LoginBearer::look() {
  const MonoTime now = way_.clock.mono();
  if (looked_ && now < *looked_ + kLook) return;
  const bool same = looked_ && stamp_ && store_.stamp(options_.server, options_.url) == stamp_;
  looked_ = now;
  if (!same) reload();
}

bool LoginBearer::is_due() const {
  if (!login_ || login_->expires_ms == 0) return false;
  const std::int64_t lifetime = login_->expires_ms - login_->issued_ms;
  return now_ms() >= login_->expires_ms - std::min(kMarginMs, lifetime / 4);
}

bool LoginBearer::is_over() const { return login_ && login_->expires_ms != 0 && now_ms() >= login_->expires_ms; }

Task<Result<std::string>> LoginBearer::token() {
  look();
  if (!damaged_.empty()) co_return fail(Code::kRefused, damaged_);
  if (!login_) co_return std::string();
  if (is_due()) {
    const Status done = co_await refresh(login_->access_token);
    // Until its end it is as good as it was.
    if (!done && is_over()) co_return fail(done.error());
  }
  co_return login_ ? login_->access_token : std::string();
}

Task<bool> LoginBearer::renew(std::string refused) {
  looked_.reset();
  look();  // somebody may have logged in
  const auto is_another = [&] { return login_ && login_->access_token != refused; };
  if (is_another()) co_return true;
  if (!login_) {
    say("the server wants a login: " + advice(std::nullopt));
    co_return false;
  }
  const Status done = co_await refresh(std::move(refused));
  co_return done.has_value() && login_.has_value();
}

Task<void> LoginBearer::pause(std::chrono::milliseconds time) {
  boost::asio::steady_timer timer(way_.io);
  timer.expires_after(time);
  co_await timer.async_wait(boost::asio::as_tuple(boost::asio::use_awaitable));
}

Task<Status> LoginBearer::refresh(std::string old) {
  while (busy_) co_await pause(kWait);
  if (!login_ || login_->access_token != old) co_return Status{};  // another one has done it
  busy_ = true;
  Status done;
  try {
    done = co_await refresh_alone(std::move(old));
  } catch (...) {
    busy_ = false;
    throw;
  }
  busy_ = false;
  if (done) {
    said_.clear();
  } else {
    say(done.error().message);
  }
  co_return done;
}

Task<Status> LoginBearer::refresh_alone(std::string old) {
  const std::string over = "the login at " + login_->issuer + " has ended: " + advice(std::nullopt);
  if (login_->refresh_token.empty()) co_return fail(Code::kRefused, over);
  if (ended_ == old) co_return fail(Code::kRefused, failed_);
  if (way_.clock.mono() < not_before_) co_return fail(Code::kUnavailable, failed_);
  const MonoTime until = way_.clock.mono() + options_.lock_patience;
  std::unique_ptr<File> lock;
  while (!lock) {
    auto taken = store_.lock(options_.server, options_.url);
    if (taken) {
      lock = *std::move(taken);
    } else if (taken.error().code != Code::kConflict || way_.clock.mono() >= until) {
      co_return fail(std::move(taken.error()).with_context("the login cannot be refreshed"));
    } else {
      co_await pause(kWait);
    }
  }
  reload();  // another process may have refreshed it, or logged out
  if (!damaged_.empty()) co_return fail(Code::kRefused, damaged_);
  if (!login_ || login_->access_token != old) co_return Status{};
  const TokenRequest made = refresh_request(login_->client, login_->refresh_token, login_->resource);
  OAuthRequest request{"POST", login_->token_endpoint, "application/x-www-form-urlencoded", made.body,
                       made.authorization};
  const auto answer = co_await oauth_fetch(way_, std::move(request), "refreshing the login");
  const auto later = [&](const std::string& why) {
    not_before_ = way_.clock.mono() + options_.retry;
    failed_ = why;
    return fail(Code::kUnavailable, why);
  };
  if (!login_) co_return Status{};
  if (!answer) co_return later(answer.error().message);
  if (answer->status == 400 || answer->status == 401) {
    // What it says of the request itself will be said of the next one, too.
    ended_ = old;
    const std::string error = parse_token_error(answer->body);
    failed_ = over + (error.empty() ? "" : " (" + error + ")");
    co_return fail(Code::kRefused, failed_);
  }
  if (answer->status != 200) co_return later(fmt::format("refreshing the login: HTTP {}", answer->status));
  const auto tokens = parse_tokens(answer->body);
  if (!tokens) co_return later("refreshing the login: " + tokens.error().message);
  co_return take(*tokens);
}

Status LoginBearer::take(const Tokens& tokens) {
  const std::string old = std::exchange(login_->access_token, tokens.access);
  if (!tokens.refresh.empty()) login_->refresh_token = tokens.refresh;
  if (!tokens.scope.empty()) login_->scope = tokens.scope;
  login_->issued_ms = now_ms();
  login_->expires_ms = tokens.lifetime_s == 0 ? 0 : login_->issued_ms + tokens.lifetime_s * 1'000;
  const Status saved = store_.save(*login_);
  stamp_ = store_.stamp(options_.server, options_.url);
  if (saved) {
    unsaved_over_.clear();
  } else {
    // It serves as long as this process runs.
    if (unsaved_over_.empty()) unsaved_over_ = old;
    options_.notice("the refreshed login cannot be kept: " + saved.error().message);
  }
  return {};
}

}  // namespace sluice::gateway
