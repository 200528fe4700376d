// Logins at servers over HTTP: one sealed file for each name and URL, <home>/logins/NAME.<hash of the URL>, which the
// processes of a home share (base/sealed_file.h: AES-256-GCM; each writing has a key of its own). Control thread.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "base/sealed_file.h"
#include "gateway/oauth_messages.h"

namespace sluice::gateway {

struct Login {
  std::string server, url;  // whose: a name of ours, and the URL word for word
  std::string resource, issuer, token_endpoint;
  OAuthClient client;  // as that issuer knows it, and nobody else
  std::string scope;
  std::string access_token, refresh_token;     // the latter may be empty
  std::int64_t issued_ms = 0, expires_ms = 0;  // Unix; expires_ms 0: nobody knows
};

class LoginStore {
 public:
  // `key` is asked for kKeySize octets when there is something to open or to seal.
  using Key = std::function<Result<Secret>()>;
  LoginStore(std::shared_ptr<FileSystem> files, std::string directory, Key key);

  // nullopt: nobody has logged in. kIo: what is there was altered, or is another one's.
  Result<std::optional<Login>> load(const std::string& server, const std::string& url);
  // Replaced at once or not at all.
  Status save(const Login& login);
  // All of this name, or (with `url`) that one; how many there were. kConflict: another process changes one.
  Result<std::size_t> remove(const std::string& server, const std::string& url);
  // Until it ends no other process changes this login; kConflict: one does.
  Result<std::unique_ptr<File>> lock(const std::string& server, const std::string& url);
  // Whether it may have been written since; as FileSystem::stamp().
  std::optional<FileStamp> stamp(const std::string& server, const std::string& url);
  bool exists(const std::string& server, const std::string& url);

 private:
  Result<SealedFiles*> sealed();
  Result<std::unique_ptr<File>> lock_path(const std::string& path);
  std::string path_of(const std::string& server, const std::string& url) const;

  const std::shared_ptr<FileSystem> files_;
  const std::string directory_;
  const Key key_;
  std::unique_ptr<SealedFiles> sealed_;  // null: the key was not needed yet
};

}  // namespace sluice::gateway
