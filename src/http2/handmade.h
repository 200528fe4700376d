// For tests and fuzz targets: frames made by hand, so that what no library would send can be sent. Field sections are
// HPACK literals without indexing (RFC 7541 §6.2.2), so each stands for itself.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "http2/frames.h"

namespace sluice::http2::handmade {

using Fields = std::vector<std::pair<std::string, std::string>>;
using Entries = std::vector<std::pair<std::uint16_t, std::uint32_t>>;

inline constexpr std::string_view kMagic = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
inline constexpr std::uint8_t kEndStream = 0x1, kAck = 0x1, kEndHeaders = 0x4, kPadded = 0x8, kPriority = 0x20;

inline std::string number(std::uint64_t value, int octets) {
  std::string out;
  for (int shift = 8 * (octets - 1); shift >= 0; shift -= 8) out += static_cast<char>(value >> shift & 0xff);
  return out;
}

inline std::string frame(FrameType type, std::uint8_t flags, std::uint32_t stream, std::string_view payload) {
  std::string out = number(payload.size(), 3);
  out += static_cast<char>(type);
  out += static_cast<char>(flags);
  return out.append(number(stream, 4)).append(payload);
}

inline std::string settings(const Entries& entries = {}) {
  std::string payload;
  for (const auto& [id, value] : entries) payload += number(id, 2) + number(value, 4);
  return frame(FrameType::kSettings, 0, 0, payload);
}
inline std::string settings_ack() { return frame(FrameType::kSettings, kAck, 0, ""); }
inline std::string ping() { return frame(FrameType::kPing, 0, 0, "12345678"); }
inline std::string window_update(std::uint32_t stream, std::uint32_t increment) {
  return frame(FrameType::kWindowUpdate, 0, stream, number(increment, 4));
}
inline std::string rst_stream(std::uint32_t stream, std::uint32_t code) {
  return frame(FrameType::kRstStream, 0, stream, number(code, 4));
}
inline std::string goaway(std::uint32_t last_stream, std::uint32_t code) {
  return frame(FrameType::kGoAway, 0, 0, number(last_stream, 4) + number(code, 4));
}
inline std::string priority(std::uint32_t stream, std::uint32_t dependency, std::uint8_t weight) {
  return frame(FrameType::kPriority, 0, stream, number(dependency, 4) + static_cast<char>(weight - 1));
}
inline std::string data(std::uint32_t stream, std::string_view content, std::uint8_t flags = 0) {
  return frame(FrameType::kData, flags, stream, content);
}

inline std::string hpack_string(std::string_view text) {  // RFC 7541 §5.1 and §5.2, no Huffman
  std::string out;
  if (text.size() < 127) {
    out += static_cast<char>(text.size());
  } else {
    out += '\x7f';
    std::size_t rest = text.size() - 127;
    for (; rest >= 128; rest /= 128) out += static_cast<char>(rest % 128 + 128);
    out += static_cast<char>(rest);
  }
  return out.append(text);
}
inline std::string section(const Fields& fields) {
  std::string out;
  for (const auto& [name, value] : fields) out.append(1, '\0').append(hpack_string(name)).append(hpack_string(value));
  return out;
}
inline std::string headers(std::uint32_t stream, const Fields& fields, std::uint8_t flags = 0) {
  return frame(FrameType::kHeaders, static_cast<std::uint8_t>(flags | kEndHeaders), stream, section(fields));
}

// A sound request, in the pieces that tests change.
inline Fields get(std::string_view path = "/") {
  return {{":method", "GET"}, {":scheme", "https"}, {":authority", "a.example"}, {":path", std::string(path)}};
}
inline Fields post(std::string_view path = "/") {
  Fields fields = get(path);
  fields[0].second = "POST";
  return fields;
}
inline Fields with(Fields fields, const Fields& more) {
  fields.insert(fields.end(), more.begin(), more.end());
  return fields;
}

// What a client sends before its first request, and what a server sends.
inline std::string client_preface() { return std::string(kMagic) + settings(); }

}  // namespace sluice::http2::handmade
