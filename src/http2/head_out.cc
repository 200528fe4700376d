#include "http2/head_out.h"

#include <algorithm>

#include "base/text.h"
#include "http2/field_rules.h"

namespace sluice::http2 {
namespace {

std::uint8_t* octets_of(std::string_view text) {
  // nghttp2 only reads: its type is shared with a decoder.
  return reinterpret_cast<std::uint8_t*>(const_cast<char*>(text.data()));
}

// RFC 7541 §7.1.3: what must not be guessed through the size of compressed fields. A long cookie cannot be.
bool is_sensitive(std::string_view name, std::string_view value) {
  constexpr std::size_t kGuessable = 20;
  return iequals(name, "authorization") || iequals(name, "proxy-authorization") ||
         (value.size() < kGuessable && iequals(name, "cookie"));
}

// RFC 9113 §8.2.2; HTTP2-Settings belongs to an upgrade's hop (RFC 7540 §3.2.1).
bool is_left_out(std::string_view name, std::string_view value) {
  switch (name.size()) {
    case 2:
      return iequals(name, "te") && !iequals(value, "trailers");
    case 7:
      return iequals(name, "upgrade");
    case 10:
      return iequals(name, "connection") || iequals(name, "keep-alive");
    case 14:
      return iequals(name, "http2-settings");
    case 16:
      return iequals(name, "proxy-connection");
    case 17:
      return iequals(name, "transfer-encoding");
    default:
      return false;
  }
}

std::string without_controls(std::string_view value) {
  std::string out(value);
  for (char& c : out) {
    if (c == '\r' || c == '\n' || c == '\0') c = ' ';
  }
  return out;
}

}  // namespace

void HeadWriter::clear() {
  list_.clear();
  changed_.clear();
  size_ = 0;
}

void HeadWriter::add(std::string_view name, std::string_view value) {
  if (!http::is_field_value(value)) value = changed_.emplace_back(without_controls(value));
  value = trim(value);  // RFC 9113 §8.2.1
  size_ += name.size() + value.size() + 32;
  const auto flags = is_sensitive(name, value) ? NGHTTP2_NV_FLAG_NO_INDEX : NGHTTP2_NV_FLAG_NONE;
  list_.push_back({octets_of(name), octets_of(value), name.size(), value.size(), static_cast<std::uint8_t>(flags)});
}

// As HTTP/1's writer: no blanks or controls in a method, a target or an authority.
void HeadWriter::add_target(std::string_view name, std::string_view value) {
  const auto harmful = [](char c) {
    const auto octet = static_cast<unsigned char>(c);
    return octet <= 0x20 || octet == 0x7f;
  };
  if (std::none_of(value.begin(), value.end(), harmful)) return add(name, value);
  std::string& out = changed_.emplace_back();
  for (const char c : value) {
    if (harmful(c)) {
      out.append("%").append(to_upper(hex_encode(Bytes(&c, 1))));
    } else {
      out += c;
    }
  }
  add(name, out);
}

void HeadWriter::add_fields(const http::FieldList& fields, HostField host) {
  const bool names_some = fields.count("connection") > 0;
  for (std::size_t i = 0; i < fields.size(); ++i) {
    const auto name = fields.name(i);
    if (host == HostField::kSkip && iequals(name, "host")) continue;
    if (!http::is_token(name) || is_left_out(name, fields.value(i))) continue;
    if (names_some && fields.has_token("connection", name)) continue;  // RFC 9110 §7.6.1
    add(name, fields.value(i));
  }
}

Result<std::span<const nghttp2_nv>> HeadWriter::done() const {
  if (size_ > kMaxHeadOut) return fail(Code::kTooLarge, "a field section is too large to be sent");
  return std::span<const nghttp2_nv>(list_);
}

Result<std::span<const nghttp2_nv>> HeadWriter::request(const http::RequestHead& head,
                                                        const Session::RequestOptions& options,
                                                        std::string_view pseudo_order) {
  clear();
  const bool connect = head.method == "CONNECT" && options.protocol.empty();
  const auto host = head.fields.find("host");
  bool given[4] = {};
  const auto add_pseudo = [&](char letter) {
    constexpr std::string_view kLetters = "masp";
    const auto index = kLetters.find(letter);
    if (index == kLetters.npos || given[index]) return;
    given[index] = true;
    if (letter == 'm') add_target(":method", head.method);
    if (letter == 's' && !connect) add(":scheme", options.scheme);
    if (letter == 'p' && !connect) add_target(":path", head.target.empty() ? "/" : std::string_view(head.target));
    if (letter == 'a' && connect) add_target(":authority", head.target);  // RFC 9113 §8.5
    if (letter == 'a' && !connect && host) add_target(":authority", *host);
  };
  for (const char letter : pseudo_order) add_pseudo(letter);
  for (const char letter : std::string_view("masp")) add_pseudo(letter);
  if (!options.protocol.empty()) add(":protocol", options.protocol);
  add_fields(head.fields, HostField::kSkip);
  return done();
}

Result<std::span<const nghttp2_nv>> HeadWriter::response(const http::ResponseHead& head) {
  clear();
  status_ = std::to_string(head.status);
  add(":status", status_);
  add_fields(head.fields, HostField::kKeep);
  return done();
}

Result<std::span<const nghttp2_nv>> HeadWriter::trailers(const http::FieldList& fields) {
  clear();
  add_fields(fields, HostField::kKeep);
  return done();
}

}  // namespace sluice::http2
