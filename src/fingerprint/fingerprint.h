// JA3 and JA3S (BSD-3-Clause, Salesforce) and JA4 (BSD-3-Clause, FoxIO) of parsed hellos; the HTTP/2 print that Akamai
// published (Black Hat Europe 2017). Pure.
// Definitions and vectors: tests/vectors/fingerprints.json.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tls/hello.h"

namespace sluice::fingerprint {

struct Print {
  std::string text;  // the string that is hashed (JA3, JA3S) or the raw form (JA4: JA4_r)
  std::string hash;  // what people call the fingerprint
};

Print ja3(const tls::ClientHello& hello);
Print ja4(const tls::ClientHello& hello);
Print ja3s(const tls::ServerHello& hello);

// What an HTTP/2 client showed of itself up to its first request.
struct Http2Hello {
  std::vector<std::pair<std::uint16_t, std::uint32_t>> settings;  // in order
  std::uint32_t window_increment = 0;                             // of the connection; 0: none
  struct Priority {
    std::uint32_t stream = 0;
    bool exclusive = false;
    std::uint32_t dependency = 0;
    std::uint32_t weight = 0;  // 1-256
  };
  std::vector<Priority> priorities;  // PRIORITY frames
  std::string pseudo_order;          // "masp"
};
// "SETTINGS|WINDOW_UPDATE|PRIORITY|pseudo-header order"; the hash is MD5, as published.
Print http2(const Http2Hello& hello);
std::string http2_hash(std::string_view text);

}  // namespace sluice::fingerprint
