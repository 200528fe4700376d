// WebSocket as a pure core: frames (RFC 6455 §5), the messages that they make up, Close bodies (§7). What compressed
// messages hold is for deflate.h.
//
//   MessageReader reader(Sender::kClient, extensions.reserved());
//   reader.feed(octets, scratch);
//   for (auto event = reader.next(); …; event = reader.next()) …;   // until NeedMore or an error
//
// One reader for each direction. Nothing of a payload is kept, so that a reader costs the same whatever passes. Views
// in events live until the next call.
// Refused (kInvalid) is what two readers could take for different things: an unmasked frame of a client (some servers
// would read a key all the same), reserved bits that no extension claims, reserved opcodes, a length beyond 63 bits, a
// control frame that is long or fragmented, fragments that do not belong together. kTooLarge: beyond `Limits`. After an
// error every call answers the same. What is only odd is noted (Oddity) and read.
// Not thread-safe; no clock, no randomness. Lengths are octets.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "base/bytes.h"
#include "base/result.h"
#include "websocket/utf8.h"

namespace sluice::websocket {

enum class Opcode : std::uint8_t { kContinuation = 0, kText = 1, kBinary = 2, kClose = 8, kPing = 9, kPong = 10 };
constexpr bool is_control(Opcode opcode) { return (static_cast<std::uint8_t>(opcode) & 8) != 0; }
std::string_view to_string(Opcode opcode);  // "text", "close"; "" for reserved ones

enum class Sender : std::uint8_t { kClient, kServer };  // of the octets that a reader gets

// Which of the three reserved bits the agreed extensions give a meaning (§5.2; deflate.h finds out).
enum class Reserved : std::uint8_t {
  kNone,
  kDeflate,  // RSV1 of a message's first frame: it is compressed (RFC 7692 §6)
  kAny       // an extension that Sluice does not know: anything goes
};
inline constexpr std::uint8_t kRsv1 = 4, kRsv2 = 2, kRsv3 = 1;

// Has one meaning, but should not be; a bit each.
enum class Oddity : std::uint8_t {
  kMaskedServer = 1,  // a server's frame is masked (§5.1): old servers do it, browsers took it for years
  kLongLength = 2,    // the length is not in its shortest form (§5.2)
  kBadClose = 4,      // a Close body of one octet, a code that must not be sent (§7.4), a reason that is not UTF-8
  kBadText = 8,       // an uncompressed text message that is not UTF-8 (§8.1)
  kAfterClose = 16    // data after a Close (§5.5.1)
};
using OdditySet = std::uint8_t;
constexpr OdditySet bit(Oddity oddity) { return static_cast<OdditySet>(oddity); }

inline constexpr std::size_t kMaxControl = 125;  // payload of a control frame (§5.5)
inline constexpr std::size_t kMaxHead = 14;      // two octets, a length of eight, a key (§5.2)

struct Limits {
  // §5.2: the most significant bit must be 0. Nothing is kept, so nothing smaller is needed; who gathers has a reason.
  ByteCount max_message = 0x7fffffffffffffff;  // of one frame, and of all fragments of a message
  // Nobody sends a million pieces of one message for a purpose; who gathers pays for each, even if it is empty.
  std::uint64_t max_fragments = 1'000'000;
};

using MaskKey = std::array<char, 4>;
// XORs with the key as §5.3 says; `offset` is that of the first octet in its frame's payload. `out` has room for all
// and may be `octets` itself. Masking and unmasking are the same.
void apply_mask(Bytes octets, const MaskKey& key, std::uint64_t offset, char* out);

// --- frames ---
struct FrameHead {
  bool fin = true;
  std::uint8_t reserved = 0;  // kRsv1 | kRsv2 | kRsv3
  Opcode opcode = Opcode::kText;
  std::optional<MaskKey> key;
  std::uint64_t length = 0;
  Bytes wire;  // as it stood; not used in writing
};
struct FramePiece {
  Bytes wire;     // as it stood, but after feed_in_place()
  Bytes content;  // unmasked
};
struct FrameEnd {};
struct NeedMore {};  // feed more octets
using FrameEvent = std::variant<NeedMore, FrameHead, FramePiece, FrameEnd>;

class FrameReader {
 public:
  FrameReader(Sender sender, Reserved reserved, const Limits& limits = {})
      : max_length_(limits.max_message), sender_(sender), reserved_(reserved) {}

  // Only after NeedMore. The octets stay as they are: masked payload is unmasked into `scratch` (not empty), a piece at
  // a time; a piece is at most its size.
  void feed(Bytes octets, MutableBytes scratch);
  // Masked payload is unmasked where it stands.
  void feed_in_place(MutableBytes octets);
  Result<FrameEvent> next();

  bool in_frame() const { return gathered_ > 0; }
  OdditySet oddities() const { return oddities_; }
  // For who goes on without a reader that failed: the head that it took in last, and what was fed and not read.
  Bytes head() const { return Bytes(head_.data(), gathered_); }
  Bytes rest() const { return fed_; }

 private:
  enum class Stage : std::uint8_t { kHead, kPayload, kEnd, kFailed };
  Result<FrameEvent> read_head();
  Status check_start() const;
  Result<FrameHead> parse_head();
  FrameEvent read_payload();

  Bytes fed_;
  char* out_ = nullptr;       // where unmasked payload goes: scratch, or the place of fed_ itself
  std::size_t out_size_ = 0;  // of the scratch; 0: in place
  std::uint64_t length_ = 0, done_ = 0;
  std::uint64_t max_length_;
  std::array<char, kMaxHead> head_{};
  std::uint8_t gathered_ = 0;  // of head_, until the frame's end
  std::optional<MaskKey> key_;
  Sender sender_;
  Reserved reserved_;
  Stage stage_ = Stage::kHead;
  OdditySet oddities_ = 0;
  std::shared_ptr<const Error> error_;  // kFailed: why
};

// --- messages ---
struct MessageStart {
  Opcode opcode = Opcode::kText;  // kText or kBinary
  bool compressed = false;        // RSV1 of the first frame
};
struct MessagePiece {
  Bytes content;  // unmasked; of a compressed message as it travelled
};
struct MessageEnd {
  Opcode opcode = Opcode::kText;
  bool compressed = false;
  ByteCount length = 0;
  std::uint64_t fragments = 0;
};
struct Control {  // a whole control frame; may come between the pieces of a message (§5.4)
  Opcode opcode = Opcode::kPing;
  Bytes payload;
};
using MessageEvent = std::variant<NeedMore, MessageStart, MessagePiece, MessageEnd, Control>;

class MessageReader {
 public:
  MessageReader(Sender sender, Reserved reserved, const Limits& limits = {})
      : frames_(sender, reserved, limits), limits_(limits) {}

  void feed(Bytes octets, MutableBytes scratch) { frames_.feed(octets, scratch); }
  void feed_in_place(MutableBytes octets) { frames_.feed_in_place(octets); }
  Result<MessageEvent> next();

  // The message that has begun and not ended; stays after an error. With it, `length` and `fragments` so far.
  const std::optional<MessageEnd>& open_message() const { return open_; }
  bool in_frame() const { return frames_.in_frame(); }
  Bytes head() const { return frames_.head(); }  // ... as of FrameReader
  Bytes rest() const { return frames_.rest(); }
  bool is_closed() const { return closed_; }  // a Close has come
  OdditySet oddities() const { return oddities_ | frames_.oddities(); }

 private:
  std::optional<MessageEvent> on(const FrameHead& head);
  std::optional<MessageEvent> on(const FramePiece& piece);
  std::optional<MessageEvent> on(FrameEnd);
  void refuse(Code code, std::string message);

  FrameReader frames_;
  Limits limits_;
  std::optional<MessageEnd> open_;
  Opcode frame_ = Opcode::kText;  // of the frame under way
  bool fin_ = true, closed_ = false;
  OdditySet oddities_ = 0;
  Utf8Checker text_;
  std::string control_;  // the payload of the control frame under way, or last
  std::shared_ptr<const Error> error_;
};

// --- Close (§5.5.1, §7.1.5) ---
struct CloseBody {
  std::uint16_t code = 0;
  Bytes reason;
};
// nullopt: the body is empty (1005: no code was given) or has one octet.
std::optional<CloseBody> parse_close(Bytes payload);
// §7.4: whether the code may stand in a Close frame.
bool is_sendable(std::uint16_t close_code);

// --- writing ---
void append_frame_head(std::string& out, const FrameHead& head);  // the length in its shortest form
// A frame of its own, masked if there is a key (a client must use a fresh random one for each frame, §5.3).
void append_frame(std::string& out, Opcode opcode, Bytes payload, const std::optional<MaskKey>& key,
                  std::uint8_t reserved = 0, bool fin = true);
// `reason` is cut between characters so that it fits a control frame. Code 1005: an empty body.
void append_close(std::string& out, std::uint16_t code, std::string_view reason, const std::optional<MaskKey>& key);

}  // namespace sluice::websocket
