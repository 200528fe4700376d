// How long a body is and whether a connection lives on: RFC 9112 §6.3 and §9.3. Strict where two readings are
// possible (that is request smuggling), forgiving where something is only odd. Pure.
#pragma once

#include <cstdint>

#include "http/message.h"

namespace sluice::http {

enum class Framing : std::uint8_t { kNone, kLength, kChunked, kUntilClose };

struct BodyFraming {
  Framing kind = Framing::kNone;
  ByteCount length = 0;       // for kLength
  AnomalySet anomalies = 0;   // e.g. kRepeatedLength
};

// kInvalid for what could be read two ways: Content-Length with Transfer-Encoding, differing lengths, a length that
// is no plain decimal, Transfer-Encoding that does not end in chunked or came with HTTP/1.0, any coding but chunked.
Result<BodyFraming> request_framing(const RequestHead& head);
// `request_method` decides for HEAD and CONNECT (2xx: a tunnel, kNone).
Result<BodyFraming> response_framing(const ResponseHead& head, std::string_view request_method);

// RFC 9112 §9.3: what this message says of its own hop. Proxy-Connection counts where Connection is absent and the
// client speaks to a proxy (old curl and wget).
bool keeps_alive(const RequestHead& head);
bool keeps_alive(const ResponseHead& head);

}  // namespace sluice::http
