#include "gateway/login_store.h"

#include <openssl/evp.h>

#include "base/text.h"

namespace sluice::gateway {
namespace {

constexpr ByteCount kMaxFile = 128 * kKiB;
constexpr std::size_t kHashed = 16;  // octets
constexpr std::string_view kLock = ".lock";

std::string hash_of(std::string_view url) {
  unsigned char digest[EVP_MAX_MD_SIZE] = {};
  unsigned length = 0;
  EVP_Digest(url.data(), url.size(), digest, &length, EVP_sha256(), nullptr);
  return hex_encode(Bytes(reinterpret_cast<const char*>(digest), kHashed));
}

std::string text_of(const Json& object, std::string_view member) {
  const Json* value = find_member(object, member);
  return value && value->is_string() ? value->get<std::string>() : "";
}

std::int64_t number_of(const Json& object, std::string_view member) {
  const Json* value = find_member(object, member);
  return value && value->is_number_integer() ? value->get<std::int64_t>() : 0;
}

std::string write_login(const Login& login) {
  return dump_json(Json{{"server", login.server},
                        {"url", login.url},
                        {"resource", login.resource},
                        {"issuer", login.issuer},
                        {"token_endpoint", login.token_endpoint},
                        {"client_id", login.client.id},
                        {"client_secret", login.client.secret},
                        {"client_auth", to_string(login.client.auth)},
                        {"scope", login.scope},
                        {"access_token", login.access_token},
                        {"refresh_token", login.refresh_token},
                        {"issued_ms", login.issued_ms},
                        {"expires_ms", login.expires_ms}});
}

Login read_login(const Json& json) {
  Login login;
  login.server = text_of(json, "server");
  login.url = text_of(json, "url");
  login.resource = text_of(json, "resource");
  login.issuer = text_of(json, "issuer");
  login.token_endpoint = text_of(json, "token_endpoint");
  login.client.id = text_of(json, "client_id");
  login.client.secret = text_of(json, "client_secret");
  for (const ClientAuth auth : {ClientAuth::kBasic, ClientAuth::kPost}) {
    if (text_of(json, "client_auth") == to_string(auth)) login.client.auth = auth;
  }
  login.scope = text_of(json, "scope");
  login.access_token = text_of(json, "access_token");
  login.refresh_token = text_of(json, "refresh_token");
  login.issued_ms = number_of(json, "issued_ms");
  login.expires_ms = number_of(json, "expires_ms");
  return login;
}

}  // namespace

LoginStore::LoginStore(std::shared_ptr<FileSystem> files, std::string directory, Key key)
    : files_(std::move(files)), directory_(std::move(directory)), key_(std::move(key)) {}

std::string LoginStore::path_of(const std::string& server, const std::string& url) const {
  return directory_ + "/" + server + "." + hash_of(url);
}

Result<SealedFiles*> LoginStore::sealed() {
  if (!sealed_) {
    SLUICE_TRY(const Secret key, key_());
    sealed_ = std::make_unique<SealedFiles>(files_, key.view());
  }
  return sealed_.get();
}

bool LoginStore::exists(const std::string& server, const std::string& url) {
  return files_->exists(path_of(server, url));
}

std::optional<FileStamp> LoginStore::stamp(const std::string& server, const std::string& url) {
  return files_->stamp(path_of(server, url));
}

Result<std::optional<Login>> LoginStore::load(const std::string& server, const std::string& url) {
  const std::string path = path_of(server, url);
  if (!files_->exists(path)) return std::optional<Login>();
  SLUICE_TRY(SealedFiles* const files, sealed());
  auto text = files->load_file(path, kMaxFile);
  if (!text && text.error().code == Code::kNotFound) return std::optional<Login>();  // somebody has just logged out
  if (!text) return fail(std::move(text.error()));
  const auto json = parse_json(*text);
  ::explicit_bzero(text->data(), text->size());
  if (!json) return fail(Code::kIo, path + " is damaged: log out and in again");
  Login login = read_login(*json);
  if (login.server != server || login.url != url || !is_bearer_token(login.access_token)) {
    return fail(Code::kIo, path + " is another server's login: log out and in again");
  }
  return std::optional(std::move(login));
}

Status LoginStore::save(const Login& login) {
  SLUICE_CHECK(files_->make_directories(directory_));
  SLUICE_TRY(SealedFiles* const files, sealed());
  std::string text = write_login(login);
  const Status saved = files->save_file(path_of(login.server, login.url), text);
  ::explicit_bzero(text.data(), text.size());
  return saved;
}

Result<std::size_t> LoginStore::remove(const std::string& server, const std::string& url) {
  std::size_t count = 0;
  if (!files_->exists(directory_)) return count;
  SLUICE_TRY(const auto names, files_->list(directory_));
  for (const std::string& name : names) {
    const std::string path = directory_ + "/" + name;
    const bool ours = url.empty() ? name.starts_with(server + ".") : path == path_of(server, url);
    if (!ours || name.ends_with(kLock)) continue;
    SLUICE_TRY(const auto held, lock_path(path));
    SLUICE_CHECK(files_->remove(path));
    ++count;
  }
  return count;
}

Result<std::unique_ptr<File>> LoginStore::lock(const std::string& server, const std::string& url) {
  SLUICE_CHECK(files_->make_directories(directory_));
  return lock_path(path_of(server, url));
}

Result<std::unique_ptr<File>> LoginStore::lock_path(const std::string& path) {
  SLUICE_TRY(auto file, files_->open(path + std::string(kLock), OpenMode::kAppend));
  SLUICE_CHECK(file->lock());
  return file;
}

}  // namespace sluice::gateway
