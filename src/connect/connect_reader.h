// An HTTP proxy's answer to our CONNECT (RFC 9110 §9.3.6), from octets that may be anything: a pure reader.
#pragma once

#include <optional>
#include <string>

#include "http/message.h"
#include "http1/http1.h"

namespace sluice::connect {

class ConnectReader {
 public:
  ConnectReader();

  struct Answer {
    int status = 0;
    http::FieldList fields;
    std::string rest;  // after a 2xx: the tunnel's first octets
  };
  // nullopt: more is needed. kInvalid: this is no answer; kTooLarge. `octets` are not needed after the call.
  Result<std::optional<Answer>> feed(Bytes octets);

 private:
  http1::ResponseReader reader_;
  std::string octets_;  // that the reader looks at
  std::string begin_;   // of all octets
  int interim_ = 0;
};

}  // namespace sluice::connect
