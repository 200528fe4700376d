#include "session/keys.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "base/aead.h"
#include "base/sealed_file.h"
#include "base/text.h"

namespace sluice::session {
namespace {

constexpr std::size_t kCheckSize = 8;

// Nonces of chance: one for each recording, under keys that are used for nothing else.
std::optional<std::string> seal_once(Bytes key, Bytes associated, Bytes plain, Entropy& entropy) {
  Nonce nonce;
  entropy.fill(nonce);
  std::string sealed(nonce.data(), nonce.size());
  sealed.resize(kNonceSize + plain.size() + kTagSize);
  if (!Aead(key, Aead::Use::kSeal).seal(nonce, associated, plain, sealed.data() + kNonceSize)) return std::nullopt;
  return sealed;
}

std::optional<Secret> open_once(Bytes key, Bytes associated, Bytes sealed) {
  if (sealed.size() < kNonceSize + kTagSize) return std::nullopt;
  Nonce nonce;
  sealed.copy(nonce.data(), nonce.size());
  sealed.remove_prefix(kNonceSize);
  std::string plain(sealed.size() - kTagSize, '\0');
  const bool good = Aead(key, Aead::Use::kOpen).open(nonce, associated, sealed, plain.data());
  std::optional<Secret> opened;
  if (good) opened.emplace(Bytes(plain));
  ::explicit_bzero(plain.data(), plain.size());
  return opened;
}

std::string wrapped_for(const std::string& id) { return "sluice session key 1 " + id; }
std::string name_of(const std::string& id) { return "sluice session name 1 " + id; }

Error no_memory() { return {Code::kInternal, "Nothing can be encrypted: there is no memory."}; }

bool is_printable(Bytes text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return c >= 0x20 && c < 0x7F; });
}

// A temporary text that is wiped.
std::optional<Secret> taken(std::optional<std::string> text) {
  if (!text) return std::nullopt;
  Secret secret{Bytes(*text)};
  ::explicit_bzero(text->data(), text->size());
  return secret;
}

}  // namespace

Error needs_key(const std::string& id) {
  return {Code::kRefused, fmt::format("The recording {} is encrypted: its key is needed (--sessions-key-file FILE, or "
                                      "SLUICE_SESSIONS_KEY in the environment).",
                                      id)};
}

// ---- the operator's ----

OperatorKey::OperatorKey(Bytes key) : wrapping_(derive_key(key, {}, "sluice sessions 1: wrapping")) {
  const Secret check = derive_key(key, {}, "sluice sessions 1: check");
  check_ = check.view().substr(0, kCheckSize);
}

Result<OperatorKeyPtr> OperatorKey::parse(Bytes text) {
  std::optional<Secret> key;
  if (text.size() == kKeySize) {
    // As they are, unless somebody could have typed them: 32 hexadecimal digits are half a key, and look like a whole.
    if (!is_printable(text)) key.emplace(text);
  } else {
    while (!text.empty() && (text.back() == '\n' || text.back() == '\r')) text.remove_suffix(1);
    text = trim(text);
    key = taken(text.size() == 2 * kKeySize ? hex_decode(text) : base64_decode(text));
  }
  if (!key || key->view().size() != kKeySize) {
    return fail(Code::kInvalid,
                "is no key: it takes 32 octets of chance, as 64 hexadecimal digits, in base64 or as they are "
                "(openssl rand -hex 32)");
  }
  OperatorKeyPtr made(new OperatorKey(key->view()));
  if (made->wrapping_.empty() || made->check_.empty()) return fail(no_memory());
  return made;
}

Result<SessionKeyPtr> OperatorKey::make(const std::string& id, const std::optional<std::string>& name, Entropy& entropy,
                                        std::optional<Encryption>& encryption) const {
  char octets[kKeySize];
  entropy.fill(octets);
  auto key = std::make_shared<const SessionKey>(id, Secret(Bytes(octets, kKeySize)));
  ::explicit_bzero(octets, kKeySize);
  const auto wrapped = seal_once(wrapping_.view(), wrapped_for(id), key->key_.view(), entropy);
  if (!wrapped) return fail(no_memory());
  encryption = Encryption{check_, *wrapped, name ? key->seal_name(*name, entropy) : ""};
  return key;
}

Result<SessionKeyPtr> OperatorKey::open(const std::string& id, const Encryption& encryption) const {
  if (!constant_time_equal(check_, encryption.key_check)) {
    return fail(Code::kRefused, fmt::format("The recording {} was made with another key than the one that was given "
                                            "(--sessions-key-file, or SLUICE_SESSIONS_KEY in the environment).",
                                            id));
  }
  auto key = open_once(wrapping_.view(), wrapped_for(id), encryption.wrapped_key);
  if (!key || key->view().size() != kKeySize) {
    return fail(Code::kInvalid,
                fmt::format("What the recording {} keeps of its key is damaged, or it is another recording's.", id));
  }
  return std::make_shared<const SessionKey>(id, *std::move(key));
}

// ---- a recording's ----

Secret SessionKey::derive(std::string_view purpose, Bytes salt) const {
  return derive_key(key_.view(), salt, fmt::format("sluice session 1: {} of {}", purpose, id_));
}

Secret SessionKey::segment_key(Bytes salt) const {
  {
    const std::lock_guard guard(mutex_);
    for (const Kept& one : kept_) {
      if (one.salt == salt) return Secret(one.key.view());
    }
  }
  Secret made = derive("segment", salt);
  const std::lock_guard guard(mutex_);
  kept_.push_front({std::string(salt), Secret(made.view())});
  if (kept_.size() > kMostKept) kept_.pop_back();
  return made;
}

std::string SessionKey::seal_name(const std::string& name, Entropy& entropy) const {
  return seal_once(derive("name", {}).view(), name_of(id_), name, entropy).value_or("");
}

std::optional<std::string> SessionKey::open_name(const Encryption& encryption) const {
  if (encryption.sealed_name.empty()) return std::nullopt;
  const auto name = open_once(derive("name", {}).view(), name_of(id_), encryption.sealed_name);
  return name ? std::optional(std::string(name->view())) : std::nullopt;
}

std::shared_ptr<FileSystem> SessionKey::seal_files(std::shared_ptr<FileSystem> files, std::string_view purpose) const {
  return std::make_shared<SealedFiles>(std::move(files), derive(purpose, {}).view());
}

}  // namespace sluice::session
