// Exchanges as other programs read them: HAR 1.2, curl commands, raw HTTP, a HAR entry a line (JSONL). Each is written
// as a stream, a piece of a body at a time, into a sink that keeps a window of it or hands it on: so that an export
// goes out in pages or into a file, and memory does not depend on what is exported. docs/traffic.md, docs/sessions.md.
//
// With a Redactor everything is masked as it is shown elsewhere; of bodies then at most kMostMasked is written.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>

#include "analysis/filter.h"
#include "base/redact.h"
#include "capture/capture.h"

namespace sluice::analysis {

enum class ExportFormat : std::uint8_t { kHar, kCurl, kRaw, kJsonl, kMitmproxy, kPcapng };
// "har", "curl", "raw", "jsonl", "mitmproxy", "pcapng"; the last two are octets, and for files.
std::optional<ExportFormat> find_export_format(std::string_view name);

inline constexpr ByteCount kMostMasked = 8 * kMiB;  // of a body: it is masked in one piece

// Where in an entry's text a page ended. An entry is parts: text, a body, text, a body, messages, text. Offsets of text
// are octets of it; of bodies octets of the body, so that going on does not mean writing all of it again.
struct ExportPlace {
  std::uint32_t part = 0;
  ByteCount offset = 0;
  std::uint32_t odd = 0;  // bit of a flow::Direction: its body is no text, or too much for one word of a command
};

// Takes an entry from a place on, as much of it as there is room for; or all of it, and hands it on.
class ExportSink {
 public:
  using HandOn = std::function<Status(Bytes)>;
  ExportSink(const ExportPlace& from, std::size_t room) : from_(from), place_(from), room_(room) {}
  // All of it goes to `hand_on`, in pieces. A failure of it stops the sink.
  explicit ExportSink(HandOn hand_on) : room_(SIZE_MAX), hand_on_(std::move(hand_on)) {}

  // Text, of the part under way.
  void put(Bytes octets);
  // Begins a part that is counted otherwise; where in it to begin. nullopt: it was written before, or does not fit.
  std::optional<ByteCount> begin();
  // In such a part; what is put goes beyond the room if need be.
  void put_whole(Bytes text) {
    text_ += text;
    hand_on_some();
  }
  bool has_room() const { return text_.size() < room_; }
  void stop(ByteCount offset);  // no more room: this is next
  void end() { ++part_; }

  // There was no room for something: whoever writes may return.
  bool stopped() const { return stopped_; }
  // The text before the next part was written before: what it says is not needed.
  bool has_passed() const { return from_.part > part_; }
  bool is_odd(flow::Direction direction) const { return (place_.odd & bit(direction)) != 0; }
  void set_odd(flow::Direction direction) { place_.odd |= bit(direction); }

  const std::string& text() const { return text_; }
  const ExportPlace& place() const { return place_; }  // where to go on, if stopped()

  bool hands_on() const { return hand_on_ != nullptr; }
  // Hands on the rest. What failed, if anything did.
  Status finish();

 private:
  static std::uint32_t bit(flow::Direction direction) { return 1u << static_cast<unsigned>(direction); }

  ExportPlace from_, place_;
  void hand_on_some() {
    if (hand_on_ && text_.size() >= kPiece) (void)finish();
  }

  static constexpr std::size_t kPiece = 256 * kKiB;
  std::size_t room_;
  HandOn hand_on_;
  Status handed_on_;
  std::string text_;
  std::uint32_t part_ = 0;
  ByteCount written_ = 0;  // of the text of this part
  bool stopped_ = false;
};

struct ExportSource {
  const capture::BodySource& bodies;  // the ring, or a recording
  const flow::Exchange& exchange;
  const Redactor* redactor = nullptr;  // null: everything is visible
  std::stop_token stop;
  bool with_bodies = true;  // false: HAR says their sizes alone
};

// What stands before the first entry, between two, and behind the last.
std::string export_prologue(ExportFormat format);
std::string_view export_separator(ExportFormat format);
std::string_view export_epilogue(ExportFormat format);
// False for what a format cannot hold: tunnels that are not HTTP, in HAR and curl.
bool is_exportable(ExportFormat format, const flow::Exchange& exchange);
// One entry; ends early once the sink stopped. The same octets each time, as long as the bodies are there. What is no
// longer there is left out and said. kCancelled, kIo.
Status write_export(ExportFormat format, const ExportSource& source, ExportSink& sink);

// Where an export goes on; opaque text to callers.
struct ExportCursor {
  std::uint64_t after_rev = 0;    // of the last entry that was written whole
  std::uint64_t until_rev = 0;    // newer ones are left out, so that it ends
  std::uint64_t written = 0;      // entries
  std::uint64_t partial_rev = 0;  // of the entry that was written in part; 0: none
  ExportPlace place;              // in it

  std::string text() const;
  static std::optional<ExportCursor> parse(std::string_view text);
};

struct ExportQuery {
  ExportFormat format = ExportFormat::kHar;
  const FilterExpression* expression = nullptr;  // null: all
  std::optional<std::string> id;                 // this one alone, open or not
  std::optional<ExportCursor> cursor;            // nullopt: from the beginning
  std::size_t room = 256 * kKiB;                 // octets of text, give or take 5 KiB
  const Redactor* redactor = nullptr;
  std::stop_token stop;
  std::function<bool()> enough;  // asked before each exchange: true ends the page; may be empty
};

struct ExportPage {
  std::string text;  // UTF-8 but for raw HTTP, where it may be anything
  std::uint64_t entries = 0;
  std::optional<ExportCursor> next;  // nullopt: that was all
};

// kNotFound: no such exchange, or the one under way left the ring; kCancelled; kIo.
Result<ExportPage> read_export(const capture::Ring& ring, const ExportQuery& query);

}  // namespace sluice::analysis
