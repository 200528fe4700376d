// How a peer introduced itself, read from its frames as they stood (nghttp2 merges settings given twice), and the
// SETTINGS with which this end introduces itself. RFC 9113 §3.4, §6.5.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "http2/frames.h"
#include "http2/http2.h"

namespace sluice::http2 {

// Collects until the first HEADERS; a bounded amount.
class PrefaceReader {
 public:
  bool is_done() const { return done_; }
  void on_frame(const FrameHeader& header);
  void on_payload(Bytes part);  // of the frame last begun
  void on_frame_end();
  Preface& preface() { return preface_; }
  const Preface& preface() const { return preface_; }

 private:
  FrameHeader header_;
  bool wanted_ = false;  // this frame's payload
  bool done_ = false;
  bool settings_read_ = false;
  std::string payload_;
  Preface preface_;
};

using Settings = std::vector<std::pair<std::uint16_t, std::uint32_t>>;

// Of the profile, with sizes that one peer could make dangerous for the other brought down to what is sane; else what
// `options` say.
Settings own_settings(Role role, const Options& options);
// The value last given, or `otherwise`.
std::uint32_t find_setting(const Settings& settings, std::uint16_t id, std::uint32_t otherwise);

}  // namespace sluice::http2
