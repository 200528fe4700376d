// Content codings: bounded streaming decoders and the encoders that rules need to code a changed body again.
// gzip, x-gzip, deflate (zlib-wrapped and raw: told apart by looking), br, zstd, identity, and stacks of them
// (at most 4). RFC 9110 §8.4, RFC 1950-1952, RFC 7932, RFC 8878. Every decoder has an output budget, so that a
// bomb ends as kTooLarge and not as a dead process. A decoder belongs to one thread.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"

namespace sluice::codings {

enum class Coding { kIdentity, kGzip, kDeflate, kBrotli, kZstd };

inline constexpr std::size_t kMaxStack = 4;

// "gzip, br" → the codings in the order they were applied, without identity; empty: the body is as it is.
// kInvalid: one that is not known; kTooLarge: a taller stack.
Result<std::vector<Coding>> parse_codings(std::string_view content_encoding);

class Decoder {
 public:
  virtual ~Decoder() = default;
  // Gets what was decoded, in pieces of at most 32 KiB, so that whoever wants little of a bomb keeps little of it. An
  // error ends the work, and is what decode() answers.
  using Taker = std::function<Status(Bytes)>;
  // Gives what could be decoded; kInvalid for damaged data, kTooLarge at the budget (what fits was given).
  // After an error every further call answers the same error and gives nothing.
  virtual Status decode(Bytes octets, const Taker& take) = 0;
  // Appends it, all of it: a few octets may be a whole bomb.
  Status decode(Bytes octets, std::string& out);
  // True once the coded stream said that it ended (all of a stack's; always true without codings). Octets after it
  // are ignored, but further gzip members and zstd frames are decoded too.
  virtual bool ended() const = 0;
};

// For a whole stack. `budget` bounds the octets that each stage may produce in all.
std::unique_ptr<Decoder> make_decoder(const std::vector<Coding>& codings, ByteCount budget);

struct Decoded {
  std::string text;
  bool complete = true;  // false: truncated or damaged input, or the budget ended
  std::string problem;   // one sentence if something went wrong; text is then what could be had
};
// All at once, never fails: an unknown coding, or data damaged from its start (servers lie about codings), gives the
// octets as they are and says so. Do not code a text again whose `problem` is not empty. No octets: complete.
Decoded decode_all(Bytes octets, std::string_view content_encoding, ByteCount budget);
// Coded again with the same stack, at quick levels; deflate with its zlib header. kTooLarge: beyond 2 GiB.
Result<std::string> encode_all(Bytes octets, const std::vector<Coding>& codings);

}  // namespace sluice::codings
