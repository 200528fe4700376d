#include "http2/preface.h"

#include <nghttp2/nghttp2.h>

#include <algorithm>
#include <limits>

namespace sluice::http2 {
namespace {

constexpr std::size_t kMaxPriorities = 32;       // Firefox sent six
constexpr std::size_t kMaxSettingsOctets = 192;  // nghttp2 takes 32 settings in a frame
constexpr std::uint32_t kMaxTable = 1024 * 1024;
constexpr std::uint32_t kMaxStreamWindow = 16 * 1024 * 1024;

std::uint32_t big_endian(Bytes octets) {
  std::uint32_t value = 0;
  for (const char c : octets) value = value << 8 | static_cast<unsigned char>(c);
  return value;
}

Priority parse_priority(Bytes payload) {
  const std::uint32_t dependency = big_endian(payload.substr(0, 4));
  Priority priority;
  priority.exclusive = dependency >> 31 != 0;
  priority.dependency = dependency & 0x7fffffffu;
  priority.weight = static_cast<std::uint16_t>(static_cast<unsigned char>(payload[4]) + 1);
  return priority;
}

std::uint32_t clamped(ByteCount value) {
  return static_cast<std::uint32_t>(std::min<ByteCount>(value, std::numeric_limits<std::int32_t>::max()));
}

}  // namespace

void PrefaceReader::on_frame(const FrameHeader& header) {
  header_ = header;
  payload_.clear();
  wanted_ = false;
  switch (header.type) {
    case FrameType::kSettings:
      wanted_ = !settings_read_ && (header.flags & kFlagAck) == 0 && header.length <= kMaxSettingsOctets;
      settings_read_ = settings_read_ || wanted_;
      break;
    case FrameType::kWindowUpdate:
      wanted_ = preface_.window_increment == 0 && header.stream == 0 && header.length == 4;
      break;
    case FrameType::kPriority:
      wanted_ = preface_.priorities.size() < kMaxPriorities && header.length == 5;
      break;
    case FrameType::kHeaders:
      done_ = true;
      break;
    default:
      break;
  }
}

void PrefaceReader::on_payload(Bytes part) {
  if (wanted_) payload_.append(part);
}

void PrefaceReader::on_frame_end() {
  if (!wanted_) return;
  const Bytes payload = payload_;
  if (header_.type == FrameType::kSettings) {
    for (std::size_t i = 0; i + 6 <= payload.size(); i += 6) {
      preface_.settings.emplace_back(static_cast<std::uint16_t>(big_endian(payload.substr(i, 2))),
                                     big_endian(payload.substr(i + 2, 4)));
    }
  } else if (header_.type == FrameType::kWindowUpdate) {
    preface_.window_increment = big_endian(payload) & 0x7fffffffu;
  } else {
    preface_.priorities.push_back({static_cast<StreamId>(header_.stream), parse_priority(payload)});
  }
}

Settings own_settings(Role role, const Options& options) {
  Settings settings = options.profile.settings;
  if (settings.empty()) {
    if (role == Role::kServer) {
      settings.emplace_back(NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, options.max_streams);
    } else {
      settings.emplace_back(NGHTTP2_SETTINGS_ENABLE_PUSH, 0);
    }
    settings.emplace_back(NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, clamped(options.stream_window));
    settings.emplace_back(NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, clamped(options.head_size));
    if (role == Role::kServer && options.extended_connect) {
      settings.emplace_back(NGHTTP2_SETTINGS_ENABLE_CONNECT_PROTOCOL, 1);
    }
    return settings;
  }
  // A client's settings are said to the origin as its own: what they promise is memory of this process.
  for (auto& [id, value] : settings) {
    if (id == NGHTTP2_SETTINGS_HEADER_TABLE_SIZE) value = std::min(value, kMaxTable);
    if (id == NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE) value = std::min(value, kMaxStreamWindow);
  }
  return settings;
}

std::uint32_t find_setting(const Settings& settings, std::uint16_t id, std::uint32_t otherwise) {
  for (const auto& [setting, value] : settings) {
    if (setting == id) otherwise = value;
  }
  return otherwise;
}

}  // namespace sluice::http2
