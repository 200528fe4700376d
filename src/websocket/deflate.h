// permessage-deflate (RFC 7692): what was agreed in the handshake, and the content of compressed messages both ways.
//
//   auto extensions = parse_extensions(answer_fields.joined("sec-websocket-extensions"));
//   Inflater inflater(extensions->deflate->context(Sender::kServer));
//   inflater.begin(&text, 1 * kMiB);  inflater.feed(payload) …;  inflater.end();    // each message of that direction
//
// Where the context is taken over (the default), a message can only be read after all compressed ones before it in its
// direction: give those with begin(nullptr, …). One thread at a time. Errors are Results; sizes are octets.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "base/result.h"
#include "websocket/websocket.h"

namespace sluice::websocket {

// §7.1.1: whether a message may refer to what the messages before it said.
enum class Context : std::uint8_t { kTakenOver, kFresh };

// What the answer agreed to (§7.1), with the defaults of what it does not say.
struct DeflateParameters {
  bool server_no_context_takeover = false, client_no_context_takeover = false;
  int server_max_window_bits = 15, client_max_window_bits = 15;

  Context context(Sender of) const {
    const bool fresh = of == Sender::kServer ? server_no_context_takeover : client_no_context_takeover;
    return fresh ? Context::kFresh : Context::kTakenOver;
  }
  int window_bits(Sender of) const { return of == Sender::kServer ? server_max_window_bits : client_max_window_bits; }
};

struct Extensions {
  std::optional<DeflateParameters> deflate;
  bool others = false;  // an extension that Sluice does not know: payloads may hold anything
  Reserved reserved() const { return others ? Reserved::kAny : deflate ? Reserved::kDeflate : Reserved::kNone; }
};

// The answer's Sec-WebSocket-Extensions, all fields joined with commas; empty: none were agreed. kInvalid: not the
// grammar of RFC 6455 §9.1, or parameters that RFC 7692 §7.1 says to refuse (unknown, twice, out of range).
Result<Extensions> parse_extensions(std::string_view answer);

class Inflater {
 public:
  explicit Inflater(Context context);
  Inflater(Inflater&&) noexcept;
  Inflater& operator=(Inflater&&) noexcept;
  ~Inflater();

  // A message begins. What it says is appended to `out`, which lives until end(); null: only the context is kept up.
  // `budget` bounds what it may say, kept or not: a bomb of a megabyte says a gigabyte.
  void begin(std::string* out, ByteCount budget);
  Status feed(Bytes payload);  // a part of the message's payload
  // kInvalid: not deflate data. kTooLarge: the budget ended; what fits was appended. After either, nothing more of this
  // message can be read; if the context is taken over, of no later one either.
  Status end();
  ByteCount left() const { return left_; }  // of the budget

 private:
  struct Stream;
  Status run(Bytes octets);
  Status lose(Code code, std::string message);

  Context context_;
  std::unique_ptr<Stream> stream_;  // made at the first octet: about 40 KiB
  std::string* out_ = nullptr;
  ByteCount left_ = 0;  // of the budget
  bool any_ = false;    // the message has had an octet
  std::optional<Error> lost_;
};

class Deflater {
 public:
  // `window_bits` 8-15, as agreed for the direction. kInvalid: others.
  static Result<Deflater> create(Context context, int window_bits);
  Deflater(Deflater&&) noexcept;
  Deflater& operator=(Deflater&&) noexcept;
  ~Deflater();

  // The payload of a message that says `content`, appended: for one frame, or several, the first with RSV1.
  void deflate(Bytes content, std::string& out);

 private:
  struct Stream;
  Deflater(Context context, std::unique_ptr<Stream> stream);
  Context context_;
  std::unique_ptr<Stream> stream_;
};

}  // namespace sluice::websocket
