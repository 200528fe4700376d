// JA3 and JA3S (BSD-3-Clause, Salesforce) and JA4 (BSD-3-Clause, FoxIO) of parsed hellos. Pure.
// Definitions and vectors: tests/vectors/fingerprints.json.
#pragma once

#include <string>

#include "tls/hello.h"

namespace sluice::fingerprint {

struct Print {
  std::string text;  // the string that is hashed (JA3, JA3S) or the raw form (JA4: JA4_r)
  std::string hash;  // what people call the fingerprint
};

Print ja3(const tls::ClientHello& hello);
Print ja4(const tls::ClientHello& hello);
Print ja3s(const tls::ServerHello& hello);

}  // namespace sluice::fingerprint
