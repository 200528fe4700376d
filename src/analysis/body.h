// Captured bodies, decoded, with bounded memory: as a stream of pieces, or a window of one (engine.md 5).
// Reading goes through the ring, a piece at a time; nothing here is masked. A BodyStream belongs to one thread.
#pragma once

#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "capture/capture.h"
#include "codings/codings.h"

namespace sluice::analysis {

enum class Form { kDecoded, kAsOnWire };

class BodyStream {
 public:
  // `content_encoding`: of the head that belongs to the body; one that is not known is as none, and a problem().
  // `budget`: decoded octets at most.
  BodyStream(const capture::Ring& ring, std::string id, flow::Direction direction, std::string_view content_encoding,
             ByteCount budget);

  // The next piece (at most about 4 MiB, of a bomb; mostly 256 KiB or less); empty: the end, or a problem().
  // kNotFound: the body left the ring meanwhile; kIo.
  Result<std::string_view> next();
  // Why the decoded text is shorter than it should be; empty if all is well.
  const std::string& problem() const { return problem_; }
  const std::vector<codings::Coding>& codings() const { return codings_; }

 private:
  const capture::Ring& ring_;
  std::string id_;
  flow::Direction direction_;
  std::vector<codings::Coding> codings_;
  std::unique_ptr<codings::Decoder> decoder_;
  ByteCount read_ = 0, budget_;
  std::string raw_, decoded_;
  std::size_t taken_ = 0;  // of raw_
  std::string problem_;
  bool ended_ = false;
};

struct BodyOptions {
  ByteCount offset = 0;
  ByteCount limit = 16 * kKiB;
  Form form = Form::kDecoded;
  ByteCount budget = 256 * kMiB;  // decoded octets; a bomb costs this much, once
  bool measure = true;            // decode to the end to know the total
  std::stop_token stop;
};

struct BodyWindow {
  std::string octets;
  ByteCount offset = 0;
  std::string content_encoding;          // as the head says
  std::optional<ByteCount> total;        // in this form, as far as it is stored; nullopt: not measured
  std::optional<ByteCount> next_offset;  // there is more behind
  bool complete = false;                 // the message came to its end, all of it is stored and could be decoded
  std::string problem;
};

// The body of the request as it came, of the answer as it was sent. kNotFound: it left the ring; kCancelled; kIo.
Result<BodyWindow> decode_body(const capture::Ring& ring, const flow::Exchange& exchange, flow::Direction direction,
                               const BodyOptions& options);

}  // namespace sluice::analysis
