// One field section on its way in: collects what nghttp2 decoded into a head or trailers, and judges it by
// RFC 9113 §8. Bounded: beyond the limits nothing more is kept. Reused from section to section.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "http/message.h"
#include "http2/http2.h"

namespace sluice::http2 {

enum class Section : std::uint8_t { kRequest, kResponse, kTrailers };

struct HeadLimits {
  ByteCount size = 0;  // RFC 9113 §6.5.2: names, values and 32 for each
  std::size_t fields = 0;
  bool extended_connect = false;  // :protocol is allowed (RFC 8441 §3)
  bool whole_urls = false;        // :path may be the URL that :scheme and :authority name
};

class HeadReader {
 public:
  explicit HeadReader(const HeadLimits& limits) : limits_(limits) {}

  void begin(Section section);
  // False: so far beyond the limit that decoding the rest is not worth it (a bomb).
  bool on_field(std::string_view name, std::string_view value);
  // The section is over: what is wrong with it, or empty.
  std::string_view finish();

  Section section() const { return section_; }
  bool is_too_large() const { return too_large_; }
  // What was read; each can be moved away.
  http::RequestHead request;
  http::ResponseHead response;
  http::FieldList trailers;
  std::string scheme;
  std::string protocol;
  std::string pseudo_order;  // letters of a request's pseudo-header fields
  std::optional<ByteCount> content_length() const { return content_length_; }

 private:
  enum Seen : unsigned { kMethod = 1, kScheme = 2, kAuthority = 4, kPath = 8, kProtocol = 16, kStatus = 32 };
  http::FieldList& fields();
  bool fits(std::string_view name, std::string_view value);
  std::string_view on_pseudo(std::string_view name, std::string_view value);
  std::string_view on_request_pseudo(std::string_view name, std::string_view value);
  std::string_view on_regular(std::string_view name, std::string_view value);
  std::string_view on_host(std::string_view value);
  std::string_view on_length(std::string_view value);
  std::string_view check_request();
  void shorten_path();
  std::string_view check_connect();
  std::string_view check_response();
  void note(std::string_view problem) {
    if (problem_.empty()) problem_ = problem;
  }
  bool once(Seen bit);

  HeadLimits limits_;
  Section section_ = Section::kRequest;
  unsigned seen_ = 0;
  bool regular_seen_ = false;
  bool too_large_ = false;
  ByteCount size_ = 0;
  std::size_t count_ = 0;
  std::string authority_;
  std::string path_;
  bool host_seen_ = false;
  std::optional<ByteCount> content_length_;
  std::string_view problem_;  // the first one
};

}  // namespace sluice::http2
