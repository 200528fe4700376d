#include "gateway/audit_key.h"

#include <fmt/format.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/pem.h>
#include <openssl/sha.h>
#include <strings.h>

#include <array>

#include "base/text.h"

namespace sluice::gateway {
namespace {

constexpr std::size_t kSeed = 32, kSignature = 64;  // RFC 8032 5.1.5, 5.1.6
constexpr ByteCount kMaxFile = 16 * kKiB;

struct BioFreer {
  void operator()(BIO* bio) const { BIO_free(bio); }
};
using BioPtr = std::unique_ptr<BIO, BioFreer>;

std::shared_ptr<EVP_PKEY> own(EVP_PKEY* key) {
  return key ? std::shared_ptr<EVP_PKEY>(key, EVP_PKEY_free) : std::shared_ptr<EVP_PKEY>();
}

const unsigned char* octets(Bytes bytes) { return reinterpret_cast<const unsigned char*>(bytes.data()); }

template <class Write>
std::string pem_text(const Write& write) {
  const BioPtr bio(BIO_new(BIO_s_secmem()));
  if (!bio || write(bio.get()) != 1) return "";
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio.get(), &data);
  return size > 0 ? std::string(data, static_cast<std::size_t>(size)) : "";
}

std::shared_ptr<EVP_PKEY> read_pem(const std::string& text) {
  const auto no_password = [](char*, int, int, void*) { return -1; };
  const auto open = [&] { return BioPtr(BIO_new_mem_buf(text.data(), static_cast<int>(text.size()))); };
  auto key = own(PEM_read_bio_PrivateKey(open().get(), nullptr, no_password, nullptr));
  if (!key) key = own(PEM_read_bio_PUBKEY(open().get(), nullptr, no_password, nullptr));
  return key && EVP_PKEY_get_id(key.get()) == EVP_PKEY_ED25519 ? key : nullptr;
}

std::string public_octets(EVP_PKEY* key) {
  std::array<unsigned char, kSeed> raw{};
  std::size_t size = raw.size();
  if (EVP_PKEY_get_raw_public_key(key, raw.data(), &size) != 1) return "";
  return std::string(reinterpret_cast<const char*>(raw.data()), size);
}

}  // namespace

AuditKey::AuditKey(std::shared_ptr<EVP_PKEY> key) : key_(std::move(key)) {
  std::size_t size = 0;  // asked for alone, nothing is copied
  can_sign_ = EVP_PKEY_get_raw_private_key(key_.get(), nullptr, &size) == 1 && size == kSeed;
}

Result<AuditKey> AuditKey::load(FileSystem& files, const std::string& path) {
  SLUICE_TRY(std::string text, files.load_file(path, kMaxFile));
  auto key = read_pem(text);
  ::explicit_bzero(text.data(), text.size());
  if (!key) return fail(Code::kInvalid, path + " holds no Ed25519 key (PEM)");
  return AuditKey(std::move(key));
}

Result<AuditKey> AuditKey::load_or_create(FileSystem& files, const std::string& path, Entropy& entropy) {
  if (files.exists(path)) {
    SLUICE_TRY(const auto file, files.open(path, OpenMode::kRead));
    SLUICE_TRY(const unsigned permissions, file->permissions());
    if ((permissions & 077) != 0) {
      return fail(Code::kRefused, fmt::format("{} signs the audit log and others can read it: chmod 600 {}, or remove "
                                              "it and a new one is made",
                                              path, path));
    }
    SLUICE_TRY(AuditKey key, load(files, path));
    if (!key.can_sign()) return fail(Code::kInvalid, path + " holds no private key: remove it and a new one is made");
    return key;
  }
  std::array<char, kSeed> seed{};
  entropy.fill(seed);
  auto key =
      own(EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, nullptr, octets(Bytes(seed.data(), kSeed)), seed.size()));
  ::explicit_bzero(seed.data(), seed.size());
  std::string text = key ? pem_text([&](BIO* bio) {
    return PEM_write_bio_PKCS8PrivateKey(bio, key.get(), nullptr, nullptr, 0, nullptr, nullptr);
  })
                         : "";
  if (text.empty()) return fail(Code::kInternal, "a key for the audit log cannot be made");
  const Status saved = files.save_file(path, text);
  ::explicit_bzero(text.data(), text.size());
  if (!saved) return fail(saved.error());
  return AuditKey(std::move(key));
}

Result<std::string> AuditKey::sign(Bytes message) const {
  const std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context(EVP_MD_CTX_new(), EVP_MD_CTX_free);
  std::array<unsigned char, kSignature> signature{};
  std::size_t size = signature.size();
  if (!can_sign_ || !context || EVP_DigestSignInit(context.get(), nullptr, nullptr, nullptr, key_.get()) != 1 ||
      EVP_DigestSign(context.get(), signature.data(), &size, octets(message), message.size()) != 1) {
    return fail(Code::kInternal, "the audit log cannot be signed");
  }
  return std::string(reinterpret_cast<const char*>(signature.data()), size);
}

bool AuditKey::verify(Bytes message, Bytes signature) const {
  const std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context(EVP_MD_CTX_new(), EVP_MD_CTX_free);
  return context && EVP_DigestVerifyInit(context.get(), nullptr, nullptr, nullptr, key_.get()) == 1 &&
         EVP_DigestVerify(context.get(), octets(signature), signature.size(), octets(message), message.size()) == 1;
}

std::string AuditKey::public_pem() const {
  return pem_text([this](BIO* bio) { return PEM_write_bio_PUBKEY(bio, key_.get()); });
}

std::string AuditKey::id() const {
  const std::string raw = public_octets(key_.get());
  std::array<unsigned char, SHA256_DIGEST_LENGTH> digest{};
  SHA256(octets(raw), raw.size(), digest.data());
  return hex_encode(Bytes(reinterpret_cast<const char*>(digest.data()), 8));
}

std::string AuditKey::derive(std::string_view purpose) const {
  std::array<unsigned char, kSeed> seed{};
  std::size_t size = seed.size();
  std::array<unsigned char, EVP_MAX_MD_SIZE> mac{};
  unsigned length = 0;
  if (EVP_PKEY_get_raw_private_key(key_.get(), seed.data(), &size) == 1) {
    HMAC(EVP_sha256(), seed.data(), static_cast<int>(size), octets(purpose), purpose.size(), mac.data(), &length);
  }
  ::explicit_bzero(seed.data(), seed.size());
  return std::string(reinterpret_cast<const char*>(mac.data()), length);
}

}  // namespace sluice::gateway
