// Never a crash; a prefix of what parses asks for more or says the same; fragments make no difference to the message.
#include <cstdlib>

#include "tls/hello.h"

namespace {

using sluice::Bytes;

std::string in_records(Bytes message, std::size_t fragment) {
  std::string made;
  while (!message.empty()) {
    const Bytes part = message.substr(0, fragment);
    made += {'\x16', '\x03', '\x01', static_cast<char>(part.size() >> 8), static_cast<char>(part.size())};
    made += part;
    message.remove_prefix(part.size());
  }
  return made;
}

bool same(const sluice::tls::ClientHello& a, const sluice::tls::ClientHello& b) {
  return a.raw == b.raw && a.cipher_suites == b.cipher_suites && a.sni == b.sni && a.alpn == b.alpn &&
         a.extensions.size() == b.extensions.size() && a.supported_versions == b.supported_versions &&
         a.signature_algorithms == b.signature_algorithms;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace sluice::tls;
  const Bytes octets(reinterpret_cast<const char*>(data), size);
  (void)parse_server_hello(octets);
  const auto whole = parse_client_hello(octets);
  const bool found = whole && whole->has_value();
  // Cut anywhere: what is complete stays as it was, what was good so far is never refused.
  const std::size_t step = size / 64 + 1;
  for (std::size_t cut = 0; cut < size; cut += step) {
    const auto part = parse_client_hello(octets.substr(0, cut));
    if (whole && !part) std::abort();
    if (part && part->has_value() && !(found && same(**part, **whole))) std::abort();
  }
  if (!found) return 0;
  (void)accepts_ecdsa(**whole);
  for (const std::size_t fragment : {std::size_t{100}, std::size_t{16384}}) {
    const auto again = parse_client_hello(in_records((*whole)->raw, fragment));
    if (!again || !again->has_value() || !same(**again, **whole)) std::abort();
  }
  return 0;
}
