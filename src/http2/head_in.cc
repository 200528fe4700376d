#include "http2/head_in.h"

#include "base/text.h"
#include "base/url.h"
#include "http2/field_rules.h"

namespace sluice::http2 {
namespace {

constexpr ByteCount kFieldOverhead = 32;                    // RFC 9113 §6.5.2
constexpr std::size_t kUsualSize = 512, kUsualFields = 16;  // so that most heads are stored without growing
constexpr ByteCount kBombFactor = 16;                       // of the limit: no honest peer is that far off

}  // namespace

void HeadReader::begin(Section section) {
  section_ = section;
  request = {};
  request.version = http::Version::kHttp2;
  response = {};
  response.version = http::Version::kHttp2;
  trailers.clear();
  scheme.clear();
  protocol.clear();
  pseudo_order.clear();
  seen_ = 0;
  regular_seen_ = false;
  too_large_ = false;
  size_ = 0;
  count_ = 0;
  authority_.clear();
  path_.clear();
  host_seen_ = false;
  content_length_.reset();
  problem_ = {};
  fields().reserve(kUsualSize, kUsualFields);
}

http::FieldList& HeadReader::fields() {
  switch (section_) {
    case Section::kRequest:
      return request.fields;
    case Section::kResponse:
      return response.fields;
    case Section::kTrailers:
      break;
  }
  return trailers;
}

bool HeadReader::once(Seen bit) {
  const bool first = (seen_ & bit) == 0;
  seen_ |= bit;
  return first;
}

bool HeadReader::fits(std::string_view name, std::string_view value) {
  size_ += name.size() + value.size() + kFieldOverhead;
  ++count_;
  too_large_ = too_large_ || size_ > limits_.size || count_ > limits_.fields;
  return !too_large_;
}

bool HeadReader::on_field(std::string_view name, std::string_view value) {
  if (!fits(name, value)) return size_ <= limits_.size * kBombFactor;
  if (!name.empty() && name.front() == ':') {
    note(on_pseudo(name, value));
  } else {
    regular_seen_ = true;
    note(on_regular(name, value));
  }
  return true;
}

std::string_view HeadReader::on_pseudo(std::string_view name, std::string_view value) {
  if (section_ == Section::kTrailers) {
    trailers.append(name, value);  // for the record
    return "trailers hold a pseudo-header field (RFC 9113 §8.1)";
  }
  if (regular_seen_) {
    fields().append(name, value);
    return "a pseudo-header field stands after a field (RFC 9113 §8.3)";
  }
  if (section_ == Section::kRequest) return on_request_pseudo(name, value);
  if (name != ":status") {
    response.fields.append(name, value);
    return "an answer has a pseudo-header field that is not :status (RFC 9113 §8.3.2)";
  }
  if (!once(kStatus)) return "an answer has more than one :status (RFC 9113 §8.3)";
  const auto status = parse_status(value);
  if (!status) return ":status is no number of three digits (RFC 9113 §8.3.2)";
  response.status = *status;
  return "";
}

std::string_view HeadReader::on_request_pseudo(std::string_view name, std::string_view value) {
  constexpr std::string_view kTwice = "a pseudo-header field stands twice (RFC 9113 §8.3)";
  if (name == ":method") {
    if (!once(kMethod)) return kTwice;
    pseudo_order += 'm';
    request.method = value;
    return check_method(value);
  }
  if (name == ":scheme") {
    if (!once(kScheme)) return kTwice;
    pseudo_order += 's';
    scheme = value;
    return check_scheme(value);
  }
  if (name == ":path") {
    if (!once(kPath)) return kTwice;
    pseudo_order += 'p';
    path_ = value;
    return check_path(value);
  }
  if (name == ":authority") {
    if (!once(kAuthority)) return kTwice;
    pseudo_order += 'a';
    authority_ = value;
    request.fields.append("host", value);
    return check_authority(value);
  }
  if (name == ":protocol" && limits_.extended_connect) {
    if (!once(kProtocol)) return kTwice;
    protocol = value;
    return value.empty() ? ":protocol is empty (RFC 8441 §4)" : check_value(value);
  }
  request.fields.append(name, value);
  return "a request has an unknown pseudo-header field (RFC 9113 §8.3)";
}

std::string_view HeadReader::on_regular(std::string_view name, std::string_view value) {
  if (section_ == Section::kRequest && name == "host") return on_host(value);
  fields().append(name, value);
  if (const auto problem = check_name(name); !problem.empty()) return problem;
  if (const auto problem = check_value(value); !problem.empty()) return problem;
  if (is_connection_field(name, value)) return "a field is specific to a connection (RFC 9113 §8.2.2)";
  if (name == "content-length" && section_ != Section::kTrailers) return on_length(value);
  return "";
}

// RFC 9113 §8.3.1: with :authority, Host says nothing new, or something that could be read two ways.
std::string_view HeadReader::on_host(std::string_view value) {
  const bool again = host_seen_;
  host_seen_ = true;
  if (!again && (seen_ & kAuthority) != 0 && iequals(value, authority_)) return "";
  request.fields.append("host", value);
  if (again) return "a request has more than one Host (RFC 9113 §8.3.1, RFC 9110 §7.2)";
  if ((seen_ & kAuthority) != 0) return "Host differs from :authority (RFC 9113 §8.3.1)";
  return check_authority(value);
}

std::string_view HeadReader::on_length(std::string_view value) {
  if (content_length_) return "a message has more than one Content-Length (RFC 9113 §8.1.1, RFC 9110 §8.6)";
  content_length_ = parse_length(value);
  return content_length_ ? "" : "Content-Length is no plain decimal number (RFC 9113 §8.1.1, RFC 9110 §8.6)";
}

void HeadReader::shorten_path() {
  const auto url = parse_url(path_);
  if (!url || !iequals(url->scheme, scheme)) return;
  const auto named = parse_authority(authority_, default_port(url->scheme));
  if (named && named->host == url->host && named->port == url->port) path_ = url->target;
}

std::string_view HeadReader::finish() {
  if (limits_.whole_urls && section_ == Section::kRequest && !path_.starts_with('/')) shorten_path();
  request.target = (seen_ & kPath) != 0 ? path_ : authority_;
  if (too_large_) return "a field section is larger than the limit (RFC 9113 §10.5.1)";
  if (section_ == Section::kRequest) note(check_request());
  if (section_ == Section::kResponse) note(check_response());
  return problem_;
}

std::string_view HeadReader::check_request() {
  if ((seen_ & kMethod) == 0) return "a request has no :method (RFC 9113 §8.3.1)";
  if (request.method == "CONNECT" && (seen_ & kProtocol) == 0) return check_connect();
  if ((seen_ & kScheme) == 0) return "a request has no :scheme (RFC 9113 §8.3.1)";
  if ((seen_ & kPath) == 0) return "a request has no :path (RFC 9113 §8.3.1)";
  if ((seen_ & kProtocol) != 0) {
    if (request.method != "CONNECT") return ":protocol stands in a request that is no CONNECT (RFC 8441 §4)";
    if ((seen_ & kAuthority) == 0) return "an extended CONNECT has no :authority (RFC 8441 §4)";
  }
  if ((seen_ & kAuthority) == 0 && !host_seen_) return "a request has neither :authority nor Host (RFC 9113 §8.3.1)";
  const bool asterisk = path_ == "*" && request.method == "OPTIONS";
  if (!path_.starts_with('/') && !asterisk) return ":path does not begin with a slash (RFC 9113 §8.3.1)";
  return "";
}

std::string_view HeadReader::check_connect() {
  if ((seen_ & (kScheme | kPath)) != 0) return "a CONNECT request has :scheme or :path (RFC 9113 §8.5)";
  if ((seen_ & kAuthority) == 0) return "a CONNECT request has no :authority (RFC 9113 §8.5)";
  // RFC 9110 §9.3.6: its content is the tunnel.
  if (content_length_.value_or(0) != 0) return "a CONNECT request has a Content-Length (RFC 9110 §9.3.6)";
  content_length_.reset();
  return "";
}

std::string_view HeadReader::check_response() {
  if ((seen_ & kStatus) == 0) return "an answer has no :status (RFC 9113 §8.3.2)";
  if (response.status == 101) return "an answer switches protocols (RFC 9113 §8.6)";
  const bool none_allowed = response.is_interim() || response.status == 204;
  if (none_allowed && content_length_.value_or(0) != 0) {
    return "an answer that has no content has a Content-Length (RFC 9110 §8.6)";
  }
  return "";
}

}  // namespace sluice::http2
