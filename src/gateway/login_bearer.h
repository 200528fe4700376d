// The token of a login (login_store.h): refreshed before it expires, and once where the server refuses it; one refresh
// at a time, of all processes. A login or logout meanwhile counts within a second. Control thread; held by shared_ptr.
#pragma once

#include <boost/asio/steady_timer.hpp>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "gateway/bearer.h"
#include "gateway/login_store.h"
#include "gateway/oauth_fetch.h"

namespace sluice::gateway {

class LoginBearer final : public Bearer {
 public:
  struct Options {
    std::string server, url;
    std::function<void(std::string_view)> notice;  // for the person who runs the gateway; never a token
    std::chrono::milliseconds lock_patience{30'000};
    std::chrono::milliseconds retry{5'000};  // after a refresh that failed and may yet succeed
  };
  LoginBearer(OAuthWay way, LoginStore store, Options options);

  net::Task<Result<std::string>> token() override;
  net::Task<bool> renew(std::string refused) override;
  std::string present() const override { return login_ ? login_->access_token : ""; }
  std::string advice(const std::optional<BearerChallenge>& challenge) const override;

 private:
  void look();  // whether the file is another one
  void reload();
  bool is_due() const;
  bool is_over() const;
  net::Task<void> pause(std::chrono::milliseconds time);
  // Leaves another token than `old`, or says why not.
  net::Task<Status> refresh(std::string old);
  net::Task<Status> refresh_alone(std::string old);
  Status take(const Tokens& tokens);
  void say(const std::string& what);
  std::int64_t now_ms() const { return unix_ms(way_.clock.wall()); }

  const OAuthWay way_;
  LoginStore store_;
  const Options options_;
  std::optional<Login> login_;
  std::optional<FileStamp> stamp_;
  std::optional<MonoTime> looked_;
  bool busy_ = false;         // one refreshes
  std::string ended_;         // the token whose refresh token was refused
  MonoTime not_before_{};     // of the next refresh
  std::string unsaved_over_;  // the token that the disk still has, since it did not take the next one
  std::string said_, damaged_, failed_;
};

}  // namespace sluice::gateway
