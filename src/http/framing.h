// How long a body is and whether a connection lives on: RFC 9112 §6.3 and §9.3. Strict where two readings are
// possible (that is request smuggling), forgiving where something is only odd. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "http/message.h"

namespace sluice::http {

enum class Framing : std::uint8_t { kNone, kLength, kChunked, kUntilClose };

struct BodyFraming {
  Framing kind = Framing::kNone;
  ByteCount length = 0;      // for kLength
  AnomalySet anomalies = 0;  // e.g. kRepeatedLength
};

// kInvalid for what could be read two ways: Content-Length with Transfer-Encoding, differing lengths, a length that
// is no plain decimal, Transfer-Encoding that does not end in chunked or came with HTTP/1.0, any coding but chunked.
Result<BodyFraming> request_framing(const RequestHead& head);
// `request_method` decides for HEAD and CONNECT (2xx: a tunnel, kNone).
Result<BodyFraming> response_framing(const ResponseHead& head, std::string_view request_method);

// The fields that say where a message ends: whoever writes one sets them to what it sends.
bool is_framing_field(std::string_view name);
// RFC 9110 §15.3.5, §15.3.6, §15.4.5: an answer of this status never has content.
constexpr bool has_no_content(int status) { return status == 204 || status == 205 || status == 304; }

// RFC 9112 §3.2: a request has at most one Host, an HTTP/1.1 request exactly one, and it is a host with an optional
// port, or empty. kInvalid otherwise. RequestReader has asked already.
Status check_host(const RequestHead& head);
// The value of Host as it stands; nullopt if there is none (HTTP/1.0).
std::optional<std::string> host_field(const RequestHead& head);

// RFC 9110 §7.8: Connection names upgrade, Upgrade says to what, and the version is HTTP/1.1. For an answer: it is a
// 101, so that what follows is no HTTP.
bool is_upgrade(const RequestHead& head);
bool is_upgrade(const ResponseHead& head);

// kConnectionField if Connection names a field that is meant for the other end (Host, Content-Length, Cookie, …):
// a way to make the next hop drop it (RFC 9110 §7.6.1).
AnomalySet connection_anomalies(const FieldList& fields);

// RFC 9112 §9.3: what this message says of its own hop. Proxy-Connection counts where Connection is absent and the
// client speaks to a proxy (old curl and wget). An answer whose framing is kUntilClose ends its connection whatever
// it says.
bool keeps_alive(const RequestHead& head);
bool keeps_alive(const ResponseHead& head);

}  // namespace sluice::http
