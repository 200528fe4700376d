// For tests and fuzz targets: what the readers say about octets that come in given parts, as one comparable text.
// Pieces of one payload are joined, since where octets are cut must not matter.
#pragma once

#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include "websocket/websocket.h"

namespace sluice::websocket {

enum class Unmasking { kIntoScratch, kInPlace };

// Each part lies in a block of its own size, gone afterwards: a view kept too long or too wide is found.
class Part {
 public:
  Part(Bytes octets, std::size_t scratch)
      : octets_(std::make_unique<char[]>(octets.size())),
        scratch_(std::make_unique<char[]>(scratch)),
        size_(octets.size()),
        scratch_size_(scratch) {
    octets.copy(octets_.get(), octets.size());
  }
  template <class Reader>
  void feed_to(Reader& reader, Unmasking how) {
    if (how == Unmasking::kInPlace)
      reader.feed_in_place({octets_.get(), size_});
    else
      reader.feed(Bytes(octets_.get(), size_), {scratch_.get(), scratch_size_});
  }
  Bytes octets() const { return Bytes(octets_.get(), size_); }

 private:
  std::unique_ptr<char[]> octets_, scratch_;
  std::size_t size_, scratch_size_;
};

struct Transcript {
  std::string text;  // one line for each head, payload, end, error
  std::string wire;  // of heads and pieces together: what was read (frames only)
  std::size_t count = 0;
  OdditySet oddities = 0;
  bool failed = false;
  Error error;
};

class FrameTranscript {
 public:
  explicit FrameTranscript(FrameReader reader, Unmasking how, std::size_t scratch = 7)
      : reader_(std::move(reader)), how_(how), scratch_(scratch) {}

  void feed(Bytes octets) {
    if (out_.failed) return;
    Part part(octets, scratch_);
    part.feed_to(reader_, how_);
    while (step()) {
    }
    if (how_ == Unmasking::kIntoScratch && part.octets() != octets) std::abort();  // what is forwarded was changed
  }
  Transcript finish() {
    flush();
    out_.oddities = reader_.oddities();
    if (reader_.in_frame()) out_.text += "in frame\n";
    return std::move(out_);
  }

 private:
  bool step() {
    auto event = reader_.next();
    if (!event) {
      flush();
      out_.text += "error " + event.error().message + "\n";
      out_.failed = true;
      out_.error = std::move(event).error();
      return false;
    }
    if (const auto* head = std::get_if<FrameHead>(&*event)) {
      out_.text += std::string(head->fin ? "last " : "") + "frame " + std::to_string(static_cast<int>(head->opcode)) +
                   " reserved " + std::to_string(head->reserved) + (head->key ? " masked " : " ") +
                   std::to_string(head->length) + "\n";
      out_.wire += head->wire;
    } else if (const auto* piece = std::get_if<FramePiece>(&*event)) {
      if (piece->wire.empty() || piece->wire.size() != piece->content.size()) std::abort();  // a pump would spin
      out_.wire += piece->wire;
      payload_ += piece->content;
    } else if (std::holds_alternative<FrameEnd>(*event)) {
      flush();
      out_.text += "end\n";
      ++out_.count;
    }
    return !std::holds_alternative<NeedMore>(*event);
  }
  void flush() {
    if (!payload_.empty()) out_.text += "payload [" + payload_ + "]\n";
    payload_.clear();
  }
  FrameReader reader_;
  Unmasking how_;
  std::size_t scratch_;
  std::string payload_;
  Transcript out_;
};

class MessageTranscript {
 public:
  explicit MessageTranscript(MessageReader reader, Unmasking how, std::size_t scratch = 7)
      : reader_(std::move(reader)), how_(how), scratch_(scratch) {}

  void feed(Bytes octets) {
    if (out_.failed) return;
    Part part(octets, scratch_);
    part.feed_to(reader_, how_);
    while (step()) {
    }
  }
  Transcript finish() {
    flush();
    out_.oddities = reader_.oddities();
    if (const auto& open = reader_.open_message()) {
      out_.text += "open after " + std::to_string(open->length) + " in " + std::to_string(open->fragments) + "\n";
    }
    return std::move(out_);
  }

 private:
  bool step() {
    auto event = reader_.next();
    if (!event) {
      flush();
      out_.text += "error " + event.error().message + "\n";
      out_.failed = true;
      out_.error = std::move(event).error();
      return false;
    }
    if (const auto* start = std::get_if<MessageStart>(&*event)) {
      out_.text += std::string(to_string(start->opcode)) + (start->compressed ? " compressed\n" : "\n");
    } else if (const auto* piece = std::get_if<MessagePiece>(&*event)) {
      if (piece->content.empty()) std::abort();
      content_ += piece->content;
    } else if (const auto* control = std::get_if<Control>(&*event)) {
      flush();
      out_.text += std::string(to_string(control->opcode)) + " [" + std::string(control->payload) + "]\n";
    } else if (const auto* end = std::get_if<MessageEnd>(&*event)) {
      flush();
      out_.text += "end " + std::to_string(end->length) + " in " + std::to_string(end->fragments) + "\n";
      ++out_.count;
    }
    return !std::holds_alternative<NeedMore>(*event);
  }
  void flush() {
    if (!content_.empty()) out_.text += "content [" + content_ + "]\n";
    content_.clear();
  }
  MessageReader reader_;
  Unmasking how_;
  std::size_t scratch_;
  std::string content_;
  Transcript out_;
};

// All of `octets`, cut before each of `cuts` (ascending).
template <class Maker>
Transcript read_in_parts(Maker maker, Bytes octets, const std::vector<std::size_t>& cuts) {
  std::size_t from = 0;
  for (const std::size_t cut : cuts) {
    maker.feed(octets.substr(from, cut - from));
    from = cut;
  }
  maker.feed(octets.substr(from));
  return maker.finish();
}

}  // namespace sluice::websocket
