#include "http2/frames.h"

#include <algorithm>

namespace sluice::http2 {
namespace {

Bytes take_front(Bytes& octets, std::size_t count) {
  const Bytes front = octets.substr(0, count);
  octets.remove_prefix(front.size());
  return front;
}

std::uint32_t big_endian(Bytes octets) {
  std::uint32_t value = 0;
  for (const char c : octets) value = value << 8 | static_cast<unsigned char>(c);
  return value;
}

}  // namespace

void FrameScanner::parse_header(Bytes octets) {
  header_.length = big_endian(octets.substr(0, 3));
  header_.type = static_cast<FrameType>(octets[3]);
  header_.flags = static_cast<std::uint8_t>(octets[4]);
  header_.stream = big_endian(octets.substr(5, 4)) & 0x7fffffffu;
  payload_left_ = header_.length;
}

FrameScanner::Piece FrameScanner::take(Bytes& octets) {
  Piece piece;
  if (preface_left_ > 0) {
    piece.octets = take_front(octets, preface_left_);
    preface_left_ -= piece.octets.size();
    return piece;
  }
  if (payload_left_ > 0) {
    piece.octets = piece.payload = take_front(octets, payload_left_);
    payload_left_ -= piece.payload.size();
    piece.ends = payload_left_ == 0;
    return piece;
  }
  if (partial_size_ == 0 && octets.size() >= kFrameHeaderSize) {
    parse_header(octets);
    piece.octets = take_front(octets, kFrameHeaderSize + payload_left_);
    piece.payload = piece.octets.substr(kFrameHeaderSize);
    payload_left_ -= piece.payload.size();
  } else {
    const Bytes part = take_front(octets, kFrameHeaderSize - partial_size_);
    std::copy(part.begin(), part.end(), partial_.begin() + static_cast<std::ptrdiff_t>(partial_size_));
    partial_size_ += part.size();
    if (partial_size_ < kFrameHeaderSize) return piece;
    partial_size_ = 0;
    piece.octets = Bytes(partial_.data(), partial_.size());
    parse_header(piece.octets);
  }
  piece.begins = true;
  piece.ends = payload_left_ == 0;
  return piece;
}

}  // namespace sluice::http2
