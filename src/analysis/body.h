// Captured bodies as somebody reads them: decoded, as a stream of pieces, or a window of one (engine.md 5). Reading
// goes through the ring, a piece at a time, so that memory is bounded. A BodyStream belongs to one thread.
//
// What is stored is raw. A window is masked here where a Redactor is given, since only here the text around it is in
// view: a value whose name lies outside a window would pass any later mask.
#pragma once

#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "base/redact.h"
#include "capture/capture.h"
#include "codings/codings.h"

namespace sluice::analysis {

inline constexpr ByteCount kMaxDecoded = 256 * kMiB;  // decoding ends here: a bomb costs this much, once
// Text before and behind a window that is masked with it. A secret longer than the first could show its end.
inline constexpr ByteCount kMaskContext = 8 * kMiB;
inline constexpr ByteCount kMaskAhead = 8 * kKiB;

enum class Form { kDecoded, kAsOnWire };

// The head that an exchange shows: the request as it came, the answer as it was sent (proxy.md c).
const std::string& shown_head(const flow::Exchange& exchange, flow::Direction direction);
const flow::BodyInfo& body_info(const flow::Exchange& exchange, flow::Direction direction);

// What a head says of how its body is coded; "" where it says nothing.
std::string content_coding(Bytes head);

struct StreamOptions {
  Form form = Form::kDecoded;
  ByteCount from = 0;              // octets of this form to skip
  ByteCount most = kMaxDecoded;    // decoded octets to give behind them, though some more may come …
  bool measure = true;             // … and then to count the rest
  ByteCount budget = kMaxDecoded;  // octets that decoding may make
};

class BodyStream {
 public:
  // `content_encoding`: of the head that belongs to the body; one that is not known is as none, and a problem(). What
  // says that it is coded and turns out to be plain text is read as that, which is a problem() too.
  BodyStream(const capture::BodySource& ring, std::string id, flow::Direction direction,
             std::string_view content_encoding, StreamOptions options);

  // The next piece (256 KiB or less, of a bomb as much as is wanted); empty: the end, or a problem().
  // kNotFound: the body left the ring meanwhile; kIo.
  Result<std::string_view> next();
  // Of the whole body in this form, as far as it is stored and can be decoded; nullopt: not known yet.
  std::optional<ByteCount> total() const { return total_; }
  // Why the decoded text is shorter than it should be; empty if all is well.
  const std::string& problem() const { return problem_; }

 private:
  Status read_more();
  void decode_more();
  Status take(Bytes piece);
  bool read_as_plain();

  const capture::BodySource& ring_;
  std::string id_;
  flow::Direction direction_;
  ByteCount from_, most_;
  bool measure_;
  std::unique_ptr<codings::Decoder> decoder_;  // null: plain
  ByteCount read_ = 0;                         // of the wire
  ByteCount made_ = 0;                         // decoded octets, those that were skipped too
  ByteCount given_ = 0;                        // … without those that were not wanted
  std::string raw_, decoded_;
  std::size_t taken_ = 0;  // of raw_
  std::optional<ByteCount> total_;
  std::string problem_;
  bool ended_ = false;
};

struct BodyOptions {
  ByteCount offset = 0;
  ByteCount limit = 16 * kKiB;
  Form form = Form::kDecoded;
  bool measure = true;                 // decode to the end to know the total
  const Redactor* redactor = nullptr;  // set: masked
  ByteCount budget = kMaxDecoded;
  std::stop_token stop;
};

struct BodyWindow {
  std::string octets;  // masked where that was asked for; text is cut between characters
  ByteCount offset = 0;
  ByteCount bytes = 0;             // of the body that this window stands for: before masking
  std::optional<ByteCount> total;  // in this form, as far as it is stored; nullopt: not measured
  bool more = false;               // there is something behind
  std::optional<std::string> content_type, content_encoding;  // as the head says
  std::string problem;                                        // why there is less than there should be; mostly empty
};

// The body of the request as it came, of the answer as it was sent. kNotFound: it left the ring; kCancelled; kIo.
Result<BodyWindow> read_window(const capture::BodySource& ring, const flow::Exchange& exchange,
                               flow::Direction direction, const BodyOptions& options);
// As much as can be had of the first `limit` decoded octets; never fails.
BodyWindow read_prefix(const capture::BodySource& ring, const flow::Exchange& exchange, flow::Direction direction,
                       ByteCount limit, const Redactor* redactor = nullptr);

}  // namespace sluice::analysis
