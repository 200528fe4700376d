#include "session/index_seal.h"

#include <array>
#include <cstring>

#include "capture/octets.h"

namespace sluice::session {
namespace {

std::array<char, 9> bound_to(SealedPart part, std::int64_t number) {
  std::array<char, 9> octets;
  capture::OctetWriter out(octets.data());
  out.number(static_cast<char>(part));
  out.number(number);
  return octets;
}

}  // namespace

IndexSeal::IndexSeal(const SessionKey& key, Bytes salt) : aead_(key.derive("index", salt).view()) {
  const Secret ids = key.derive("index ids", salt);
  ids.view().copy(ids_.data(), ids_.size());
}

IndexSeal::~IndexSeal() { ::explicit_bzero(ids_.data(), ids_.size()); }

std::string IndexSeal::seal(SealedPart part, std::int64_t number, Bytes plain) {
  const Nonce nonce = counter_nonce(++sealed_);
  std::string sealed(nonce.data(), nonce.size());
  sealed.resize(kNonceSize + plain.size() + kTagSize);
  const auto bound = bound_to(part, number);
  if (!aead_.seal(nonce, Bytes(bound.data(), bound.size()), plain, sealed.data() + kNonceSize)) return {};
  return sealed;
}

std::optional<Bytes> IndexSeal::open(SealedPart part, std::int64_t number, Bytes sealed) {
  if (sealed.size() < kNonceSize + kTagSize) return std::nullopt;
  Nonce nonce;
  sealed.copy(nonce.data(), nonce.size());
  sealed.remove_prefix(kNonceSize);
  opened_.resize(sealed.size() - kTagSize);
  const auto bound = bound_to(part, number);
  if (!aead_.open(nonce, Bytes(bound.data(), bound.size()), sealed, opened_.data())) return std::nullopt;
  return Bytes(opened_);
}

}  // namespace sluice::session
