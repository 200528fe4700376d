#include "gateway/seal.h"

#include <openssl/evp.h>

#include <memory>

#include "base/text.h"

namespace sluice::gateway {
namespace {

constexpr int kNonce = 12, kTag = 16;
constexpr std::size_t kMost = 4'096;

using Context = std::unique_ptr<EVP_CIPHER_CTX, decltype(&EVP_CIPHER_CTX_free)>;
Context make_context() { return {EVP_CIPHER_CTX_new(), EVP_CIPHER_CTX_free}; }
const unsigned char* in(const char* octets) { return reinterpret_cast<const unsigned char*>(octets); }
unsigned char* out(char* octets) { return reinterpret_cast<unsigned char*>(octets); }

}  // namespace

Seal::Seal(Entropy& entropy) : entropy_(entropy), key_(32, '\0') { entropy.fill(key_); }

std::string Seal::close(const Json& content) {
  const std::string plain = dump_json(content);
  std::string sealed(kNonce + plain.size() + kTag, '\0');
  std::string nonce(kNonce, '\0');
  entropy_.fill(nonce);
  nonce.copy(sealed.data(), nonce.size());
  const Context context = make_context();
  char* const body = sealed.data() + kNonce;
  int length = 0, rest = 0;
  const bool done =
      context &&
      EVP_EncryptInit_ex(context.get(), EVP_aes_256_gcm(), nullptr, in(key_.data()), in(nonce.data())) == 1 &&
      EVP_EncryptUpdate(context.get(), out(body), &length, in(plain.data()), static_cast<int>(plain.size())) == 1 &&
      EVP_EncryptFinal_ex(context.get(), out(body + length), &rest) == 1 &&
      EVP_CIPHER_CTX_ctrl(context.get(), EVP_CTRL_GCM_GET_TAG, kTag, body + plain.size()) == 1;
  return done ? base64_encode(sealed) : "";
}

std::optional<Json> Seal::open(std::string_view text) const {
  if (text.size() > kMost) return std::nullopt;
  auto sealed = base64_decode(text);
  if (!sealed || sealed->size() < static_cast<std::size_t>(kNonce + kTag)) return std::nullopt;
  const std::size_t size = sealed->size() - kNonce - kTag;
  std::string plain(size, '\0');
  const Context context = make_context();
  char* const body = sealed->data() + kNonce;
  int length = 0, rest = 0;
  const bool done =
      context &&
      EVP_DecryptInit_ex(context.get(), EVP_aes_256_gcm(), nullptr, in(key_.data()), in(sealed->data())) == 1 &&
      EVP_DecryptUpdate(context.get(), out(plain.data()), &length, in(body), static_cast<int>(size)) == 1 &&
      EVP_CIPHER_CTX_ctrl(context.get(), EVP_CTRL_GCM_SET_TAG, kTag, body + size) == 1 &&
      EVP_DecryptFinal_ex(context.get(), out(plain.data() + length), &rest) == 1;
  if (!done) return std::nullopt;
  const auto json = parse_json(plain);
  return json ? std::optional(*json) : std::nullopt;
}

}  // namespace sluice::gateway
