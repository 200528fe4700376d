#include "tls/hello.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/text.h"

namespace sluice::tls {
namespace {

constexpr std::uint8_t kHandshakeRecord = 22;
constexpr std::uint8_t kClientHelloType = 1, kServerHelloType = 2;
constexpr std::size_t kRecordHeader = 5, kHandshakeHeader = 4;
constexpr std::size_t kMaxFragment = 16 * 1024;  // RFC 8446 §5.1
// Records of one octet each are legal; so many are an attack on our time, not a client.
constexpr std::size_t kMaxRecordOverhead = 8 * 1024;

constexpr std::uint16_t kServerName = 0, kSupportedGroups = 10, kPointFormats = 11, kSignatureAlgorithms = 13,
                        kAlpn = 16, kSupportedVersions = 43;

// Reads big-endian values; after the first one that is not there everything is empty and ok() is false.
class Reader {
 public:
  explicit Reader(Bytes octets) : rest_(octets) {}
  bool ok() const { return ok_; }
  bool done() const { return rest_.empty(); }

  Bytes take(std::size_t count) {
    if (count > rest_.size()) {
      ok_ = false;
      rest_ = {};
      return {};
    }
    const Bytes taken = rest_.substr(0, count);
    rest_.remove_prefix(count);
    return taken;
  }
  std::uint32_t number(std::size_t octets) {
    std::uint32_t value = 0;
    for (const char octet : take(octets)) value = value << 8 | static_cast<std::uint8_t>(octet);
    return value;
  }
  std::uint8_t u8() { return static_cast<std::uint8_t>(number(1)); }
  std::uint16_t u16() { return static_cast<std::uint16_t>(number(2)); }
  // A vector with a length of so many octets before it.
  Reader vector(std::size_t length_octets) { return Reader(take(number(length_octets))); }
  Bytes rest() { return take(rest_.size()); }

 private:
  Bytes rest_;
  bool ok_ = true;
};

tl::unexpected<Error> malformed(std::string_view what) {
  return fail(Code::kInvalid, fmt::format("malformed ClientHello: {}", what));
}

// A list of 16-bit values; false if it has a half one.
bool read_u16s(Reader list, std::vector<std::uint16_t>& out) {
  while (!list.done()) out.push_back(list.u16());
  return list.ok();
}

bool read_extensions(Reader& body, std::vector<Extension>& out) {
  if (body.done()) return true;  // TLS 1.2 may leave the block out
  Reader list = body.vector(2);
  while (!list.done()) {
    const std::uint16_t type = list.u16();
    out.push_back({type, std::string(list.vector(2).rest())});
    if (!list.ok()) return false;
  }
  return body.ok() && body.done();
}

bool read_server_name(Reader data, ClientHello& hello) {
  if (data.done()) return true;
  Reader list = data.vector(2);
  while (!list.done()) {
    const std::uint8_t type = list.u8();
    const Bytes name = list.vector(2).rest();
    if (type == 0 && hello.sni.empty()) hello.sni = to_lower(name);
  }
  return list.ok() && data.ok();
}

bool read_alpn(Reader data, ClientHello& hello) {
  Reader list = data.vector(2);
  while (!list.done()) hello.alpn.emplace_back(list.vector(1).rest());
  return list.ok() && data.ok();
}

bool read_extension(const Extension& extension, ClientHello& hello) {
  Reader data(extension.data);
  switch (extension.type) {
    case kServerName:
      return read_server_name(data, hello);
    case kAlpn:
      return read_alpn(data, hello);
    case kSupportedVersions:
      return read_u16s(data.vector(1), hello.supported_versions) && data.ok();
    case kSupportedGroups:
      return read_u16s(data.vector(2), hello.supported_groups) && data.ok();
    case kSignatureAlgorithms:
      return read_u16s(data.vector(2), hello.signature_algorithms) && data.ok();
    case kPointFormats: {
      const Bytes formats = data.vector(1).rest();
      hello.point_formats.assign(formats.begin(), formats.end());
      return data.ok();
    }
    default:
      return true;
  }
}

Result<ClientHello> parse_message(std::string message, std::uint16_t record_version) {
  ClientHello hello;
  hello.record_version = record_version;
  Reader body(Bytes(message).substr(kHandshakeHeader));
  hello.legacy_version = body.u16();
  hello.random = std::string(body.take(32));
  hello.session_id = std::string(body.vector(1).rest());
  if (!body.ok() || hello.session_id.size() > 32) return malformed("its fixed part");
  if ((hello.legacy_version >> 8) != 3) return malformed("its version");
  if (!read_u16s(body.vector(2), hello.cipher_suites) || !body.ok()) return malformed("its cipher suites");
  const Bytes compression = body.vector(1).rest();
  hello.compression_methods.assign(compression.begin(), compression.end());
  if (!body.ok()) return malformed("its compression methods");
  if (!read_extensions(body, hello.extensions)) return malformed("its extensions");
  std::vector<std::uint16_t> seen;
  for (const Extension& extension : hello.extensions) {
    // RFC 8446 §4.2: one of a kind. Two server names would be read as one by us and as the other by somebody else.
    seen.push_back(extension.type);
    if (!read_extension(extension, hello)) return malformed(fmt::format("extension {}", extension.type));
  }
  std::sort(seen.begin(), seen.end());
  if (std::adjacent_find(seen.begin(), seen.end()) != seen.end()) return malformed("an extension comes twice");
  hello.raw = std::move(message);
  return hello;
}

}  // namespace

Result<std::optional<ClientHello>> parse_client_hello(Bytes octets) {
  const auto no_tls = [] { return fail(Code::kInvalid, "not a TLS ClientHello"); };
  std::string message;
  std::size_t at = 0;
  std::uint16_t record_version = 0;
  for (;;) {
    // Each octet is judged as soon as it is there, so that other protocols are not waited for.
    const Bytes record = octets.substr(at);
    if (!record.empty() && static_cast<std::uint8_t>(record[0]) != kHandshakeRecord) return no_tls();
    if (record.size() >= 2 && record[1] != 3) return no_tls();
    if (record.size() < kRecordHeader) return std::optional<ClientHello>();
    Reader header(record);
    header.u8();
    const std::uint16_t version = header.u16();
    const std::size_t size = header.u16();
    if (size == 0 || size > kMaxFragment) return no_tls();
    if (at == 0) record_version = version;
    message += record.substr(kRecordHeader, size);
    if (!message.empty() && message[0] != kClientHelloType) return no_tls();
    if (message.size() >= kHandshakeHeader) {
      Reader handshake(message);
      handshake.u8();
      const std::size_t total = kHandshakeHeader + handshake.number(3);
      if (total > kMaxClientHello) return fail(Code::kTooLarge, "the ClientHello is larger than 64 KiB");
      if (message.size() >= total) {
        message.resize(total);
        return parse_message(std::move(message), record_version);
      }
    }
    if (record.size() < kRecordHeader + size) return std::optional<ClientHello>();
    at += kRecordHeader + size;
    if (at - message.size() > kMaxRecordOverhead) return no_tls();
  }
}

Result<ServerHello> parse_server_hello(Bytes message) {
  const auto malformed_answer = [] { return fail(Code::kInvalid, "malformed ServerHello"); };
  Reader whole(message);
  if (whole.u8() != kServerHelloType) return malformed_answer();
  Reader body = whole.vector(3);
  if (!whole.ok() || !whole.done()) return malformed_answer();
  ServerHello hello;
  hello.legacy_version = body.u16();
  body.take(32);
  body.vector(1);
  hello.cipher_suite = body.u16();
  body.u8();
  if (!body.ok() || !read_extensions(body, hello.extensions)) return malformed_answer();
  hello.selected_version = hello.legacy_version;
  for (const Extension& extension : hello.extensions) {
    if (extension.type == kSupportedVersions && extension.data.size() == 2) {
      hello.selected_version = Reader(extension.data).u16();
    }
  }
  return hello;
}

std::uint16_t highest_version(const ClientHello& hello) {
  std::uint16_t highest = 0;
  for (const std::uint16_t version : hello.supported_versions) {
    if (!is_grease(version)) highest = std::max(highest, version);
  }
  return highest == 0 ? hello.legacy_version : highest;
}

bool accepts_ecdsa(const ClientHello& hello) {
  constexpr std::uint16_t kEcdsaP256Sha256 = 0x0403, kP256 = 0x0017, kTls12 = 0x0303, kTls13 = 0x0304;
  if (highest_version(hello) < kTls12) return false;
  const auto has = [](const std::vector<std::uint16_t>& values, std::uint16_t wanted) {
    return std::find(values.begin(), values.end(), wanted) != values.end();
  };
  // RFC 8446 §4.2.3: in TLS 1.3 the scheme names the curve.
  if (has(hello.supported_versions, kTls13)) return has(hello.signature_algorithms, kEcdsaP256Sha256);
  // RFC 8422 §5.1: in TLS 1.2 the suites and the groups have a say, too.
  if (!hello.supported_groups.empty() && !has(hello.supported_groups, kP256)) return false;
  const bool suite = std::any_of(hello.cipher_suites.begin(), hello.cipher_suites.end(), [](std::uint16_t value) {
    return cipher_suite_name(value).starts_with("TLS_ECDHE_ECDSA_");
  });
  const bool extension = std::any_of(hello.extensions.begin(), hello.extensions.end(),
                                     [](const Extension& e) { return e.type == kSignatureAlgorithms; });
  const bool scheme =
      std::any_of(hello.signature_algorithms.begin(), hello.signature_algorithms.end(),
                  [](std::uint16_t value) { return (value & 0xff) == 3 && value >= 0x0203 && value <= 0x0603; });
  return suite && (scheme || !extension);
}

}  // namespace sluice::tls
