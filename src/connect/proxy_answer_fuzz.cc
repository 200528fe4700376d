// What an upstream proxy may say: answers to CONNECT cut anywhere, and the challenges in them. Properties: no crash;
// however the octets are cut, the same answer; a digest that is made holds no line end and never the password (unless
// the proxy has said it first).
#include <cstdint>
#include <cstdlib>

#include "connect/connect_reader.h"
#include "connect/proxy_auth.h"

namespace {

using sluice::connect::ConnectReader;

constexpr std::string_view kPassword = "pass~word";

struct Outcome {
  bool failed = false;
  std::optional<ConnectReader::Answer> answer;
};

Outcome read(std::string_view octets, std::size_t piece) {
  ConnectReader reader;
  std::string rest;
  for (std::size_t at = 0; at < octets.size(); at += piece) {
    const std::string copy(octets.substr(at, piece));  // gone after the call
    auto answer = reader.feed(copy);
    if (!answer) return {true, std::nullopt};
    if (!*answer) continue;
    if (at + piece < octets.size() && (*answer)->status / 100 == 2) (*answer)->rest += octets.substr(at + piece);
    return {false, **std::move(answer)};
  }
  return {};
}

void check(bool holds) {
  if (!holds) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view octets(reinterpret_cast<const char*>(data), size);
  const Outcome whole = read(octets, octets.size() + 1);
  for (const std::size_t piece : {std::size_t{1}, std::size_t{7}}) {
    const Outcome cut = read(octets, piece);
    check(cut.failed == whole.failed && cut.answer.has_value() == whole.answer.has_value());
    if (whole.answer) check(cut.answer->status == whole.answer->status && cut.answer->rest == whole.answer->rest);
  }
  if (!whole.answer) return 0;
  sluice::SeededEntropy entropy(1);
  sluice::connect::ProxyAuth auth;
  auth.set("user", sluice::Secret(kPassword), sluice::connect::ProxyAuth::Basic::kWhenAsked);
  const auto verdict = auth.challenged(whole.answer->fields, std::nullopt);
  const auto sent = auth.authorize("CONNECT", "host:443", entropy);
  check(sent.has_value() == (verdict == sluice::connect::ProxyAuth::Verdict::kRetry));
  if (sent) {
    check(sent->value.find_first_of("\r\n") == std::string::npos);
    check(sent->value.find(kPassword) == std::string::npos || octets.find(kPassword) != octets.npos);
  }
  auth.accepted(whole.answer->fields, sent);
  return 0;
}
