#include "proxy/sniff.h"

namespace sluice::proxy {
namespace {

constexpr std::size_t kLongestMethod = 32;  // the longest registered one has 17 octets (UPDATEREDIRECTREF)

bool is_method_octet(char c) {
  return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
}

}  // namespace

Sniffed sniff(Bytes octets) {
  if (octets.empty()) return Sniffed::kNeedMore;
  if (octets[0] == 0x16) {
    if (octets.size() < 2) return Sniffed::kNeedMore;
    return octets[1] == 0x03 ? Sniffed::kTls : Sniffed::kOther;
  }
  if (octets[0] == 0x04) return Sniffed::kSocks4;
  if (octets[0] == 0x05) return Sniffed::kSocks5;
  // A request line for an HTTP/1 reader, unless it is the whole of this (RFC 9113 §3.4).
  constexpr Bytes kHttp2Preface = "PRI * HTTP/2.0\r\n";
  if (octets.size() < kHttp2Preface.size() && kHttp2Preface.starts_with(octets)) return Sniffed::kNeedMore;
  std::size_t at = 0;
  while (at < octets.size() && (octets[at] == '\r' || octets[at] == '\n')) ++at;  // RFC 9112 §2.2: empty lines first
  const std::size_t begin = at;
  for (; at < octets.size(); ++at) {
    if (octets[at] == ' ') return at > begin ? Sniffed::kHttp : Sniffed::kOther;
    if (!is_method_octet(octets[at]) || at - begin >= kLongestMethod) return Sniffed::kOther;
  }
  return Sniffed::kNeedMore;
}

}  // namespace sluice::proxy
