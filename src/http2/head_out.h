// Heads and trailers on their way out: the list of fields that nghttp2 encodes. What HTTP/2 cannot say is left out
// (RFC 9113 §8.2.2), names are lower-cased by nghttp2, values made harmless as HTTP/1's writer does. Reused.
#pragma once

#include <nghttp2/nghttp2.h>

#include <deque>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "http/message.h"
#include "http2/http2.h"

namespace sluice::http2 {

// nghttp2 refuses to encode more than it was told; the rest of what it counts fits into the slack.
inline constexpr ByteCount kMaxHeadOut = 1024 * 1024;
inline constexpr std::size_t kMaxHeadOutEstimate = 2 * 1024 * 1024;

class HeadWriter {
 public:
  // The views point into the arguments and this writer: use them before either changes.
  // kTooLarge beyond kMaxHeadOut.
  Result<std::span<const nghttp2_nv>> request(const http::RequestHead& head, const Session::RequestOptions& options,
                                              std::string_view pseudo_order);
  Result<std::span<const nghttp2_nv>> response(const http::ResponseHead& head);
  Result<std::span<const nghttp2_nv>> trailers(const http::FieldList& fields);

 private:
  enum class HostField : bool { kSkip, kKeep };
  void clear();
  void add(std::string_view name, std::string_view value);
  void add_target(std::string_view name, std::string_view value);
  void add_fields(const http::FieldList& fields, HostField host);
  Result<std::span<const nghttp2_nv>> done() const;

  std::vector<nghttp2_nv> list_;
  std::deque<std::string> changed_;  // values that had to be rewritten; rarely any
  std::string status_;
  ByteCount size_ = 0;
};

}  // namespace sluice::http2
