#include "tls/server_hello_reader.h"

namespace sluice::tls {
namespace {

constexpr std::size_t kMost = 32 * 1024;  // a ServerHello is some 100 octets; the largest record is 16 KiB
constexpr std::size_t kRecordHeader = 5, kMessageHeader = 4;
constexpr std::uint8_t kChangeCipherSpec = 20, kHandshake = 22, kServerHello = 2;
// RFC 8446 §4.1.3: SHA-256 of "HelloRetryRequest".
constexpr std::string_view kRetryRandom(
    "\xcf\x21\xad\x74\xe5\x9a\x61\x11\xbe\x1d\x8c\x02\x1e\x65\xb8\x91"
    "\xc2\xa2\x11\x16\x7a\xbb\x8c\x5e\x07\x9e\x09\xe2\xc8\xa8\x33\x9c",
    32);

std::uint8_t octet(Bytes octets, std::size_t at) { return static_cast<std::uint8_t>(octets[at]); }

}  // namespace

void ServerHelloReader::feed(Bytes octets) {
  if (done_) return;
  taken_ += octets.size();
  record_.append(octets.substr(0, kMost));
  Bytes rest = record_;
  while (!done_ && rest.size() >= kRecordHeader) {
    const std::size_t size = static_cast<std::size_t>(octet(rest, 3)) << 8 | octet(rest, 4);
    if (octet(rest, 1) != 3) done_ = true;  // no TLS
    if (done_ || rest.size() < kRecordHeader + size) break;
    take_record(octet(rest, 0), rest.substr(kRecordHeader, size));
    rest.remove_prefix(kRecordHeader + size);
  }
  record_.erase(0, record_.size() - rest.size());
  if (taken_ > kMost) done_ = true;
  if (done_) {
    record_ = {};
    handshake_ = {};
  }
}

void ServerHelloReader::take_record(std::uint8_t type, Bytes fragment) {
  if (type == kChangeCipherSpec) return;  // RFC 8446 §D.4: behind a HelloRetryRequest
  if (type != kHandshake) {
    done_ = true;
    return;
  }
  handshake_.append(fragment);
  take_messages();
}

void ServerHelloReader::take_messages() {
  while (!done_ && handshake_.size() >= kMessageHeader) {
    const Bytes all = handshake_;
    const std::size_t size = kMessageHeader + (static_cast<std::size_t>(octet(all, 1)) << 16 |
                                               static_cast<std::size_t>(octet(all, 2)) << 8 | octet(all, 3));
    if (octet(all, 0) != kServerHello) done_ = true;
    if (done_ || all.size() < size) return;
    const Bytes message = all.substr(0, size);
    if (size >= 38 && message.substr(6, 32) == kRetryRandom) {
      handshake_.erase(0, size);
      continue;
    }
    if (auto hello = parse_server_hello(message)) hello_ = *std::move(hello);
    done_ = true;
  }
}

}  // namespace sluice::tls
