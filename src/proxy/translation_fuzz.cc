// A request over HTTP/2, said to an HTTP/1 origin as Http1Origin does, is read there as one message with the same
// meaning and nothing after it; and said over HTTP/2 again, it is the request that it was. What an origin reads
// otherwise than it was recorded is how requests are smuggled through a change of version.
//
// The input: an octet of choices, lines of "name: value" (a pseudo-header field begins with a colon), an empty line,
// content.
#include <cstdlib>
#include <iostream>
#include <optional>
#include <utility>
#include <vector>

#include "base/text.h"
#include "http/translate.h"
#include "http1/http1.h"
#include "http2/handmade.h"
#include "http2/pair.h"

namespace {

using namespace sluice;

using Fields = std::vector<std::pair<std::string, std::string>>;

struct Request {
  std::string method, target, scheme, protocol;
  Fields fields;  // names in lower case; the host's value, too
  std::string content;
  Fields trailers;
  bool whole = false;
  friend bool operator==(const Request&, const Request&) = default;
};

std::ostream& operator<<(std::ostream& out, const Request& request) {
  out << "[" << request.method << " " << request.target << "] " << request.scheme << " " << request.protocol;
  for (const auto& [name, value] : request.fields) out << " [" << name << ": " << value << "]";
  out << " [" << request.content << "]";
  for (const auto& [name, value] : request.trailers) out << " [" << name << ": " << value << "]";
  return out << (request.whole ? " whole" : " cut");
}

Fields plain(const http::FieldList& list) {
  Fields out;
  for (std::size_t i = 0; i < list.size(); ++i) {
    const std::string name = to_lower(list.name(i));
    out.emplace_back(name, name == "host" ? to_lower(list.value(i)) : std::string(list.value(i)));
  }
  return out;
}

// The one request of stream 1, as a server of HTTP/2 reads it; an unset method: it was refused.
struct Heard {
  Request request;
  http::RequestHead head;
  http::FieldList trailers;
  bool has_head = false, has_content = false;
};

Heard heard(Bytes octets) {
  http2::MemorySource source;
  http2::Session session(http2::Role::kServer, {}, source);
  Heard out;
  bool sound = session.feed(octets).has_value();
  while (auto event = session.next()) {
    if (auto* head = std::get_if<http2::HeadRead>(&*event)) {
      out.head = std::get<http::RequestHead>(head->head);
      out.has_head = true;
      out.has_content = !head->ended;
      out.request = {out.head.method, out.head.target, head->scheme, head->protocol, plain(out.head.fields), "", {},
                     head->ended};
    } else if (const auto* data = std::get_if<http2::DataRead>(&*event)) {
      out.request.content += data->content;
    } else if (auto* trailers = std::get_if<http2::TrailersRead>(&*event)) {
      out.request.trailers = plain(trailers->fields);
      out.trailers = std::move(trailers->fields);
    } else if (std::holds_alternative<http2::StreamEnded>(*event)) {
      out.request.whole = true;
    } else if (std::holds_alternative<http2::Malformed>(*event) || std::holds_alternative<http2::StreamReset>(*event)) {
      sound = false;
    }
  }
  if (!sound || !out.request.whole) out.has_head = false;
  return out;
}

// As proxy/origin.cc writes it.
std::string as_http1(const Heard& heard, std::size_t piece) {
  http::Http1Content framing = http::Http1Content::kNone;
  std::string out;
  http1::append_head(out, http::to_http1(heard.head, heard.has_content, framing));
  const Bytes content = heard.request.content;
  for (std::size_t at = 0; at < content.size() && framing != http::Http1Content::kNone; at += piece) {
    if (framing == http::Http1Content::kChunked)
      http1::append_chunk(out, content.substr(at, piece));
    else
      out.append(content.substr(at, piece));
  }
  if (framing == http::Http1Content::kChunked) http1::append_last_chunk(out, heard.trailers);
  return out;
}

struct Read {
  http::RequestHead head;
  Request request;
  bool refused = false;
};

// What stands there as HTTP/1: one message to the last octet.
Read read_http1(Bytes octets) {
  http1::RequestReader reader{HttpLimits{}};
  Read out;
  reader.feed(octets);
  for (;;) {
    auto event = reader.next();
    if (!event) {
      out.refused = true;
      return out;
    }
    if (std::holds_alternative<http::NeedMore>(*event)) return out;
    if (auto* head = std::get_if<http::RequestHead>(&*event)) {
      out.request.method = head->method;
      out.request.target = head->target;
      out.request.fields = plain(head->fields);
      out.head = std::move(*head);
    } else if (const auto* piece = std::get_if<http::BodyPiece>(&*event)) {
      out.request.content += piece->content;
    } else if (const auto* trailers = std::get_if<http::Trailers>(&*event)) {
      out.request.trailers = plain(trailers->fields);
    } else {
      out.request.whole = !reader.has_rest();
      return out;
    }
  }
}

// What the change of version adds or joins, undone on both sides.
Fields common(const Fields& fields, bool declared) {
  Fields out;
  std::string cookies;
  std::optional<std::size_t> place;
  for (const auto& [name, value] : fields) {
    if (name == "cookie") {  // RFC 9113 §8.2.3
      if (!place) place = out.size();
      if (!cookies.empty() && !value.empty()) cookies += "; ";
      cookies += value;
      continue;
    }
    if (name == "transfer-encoding" || (name == "content-length" && !declared)) continue;
    out.emplace_back(name, value);
  }
  if (place) out.insert(out.begin() + static_cast<std::ptrdiff_t>(*place), {"cookie", cookies});
  return out;
}

[[noreturn]] void differs(const char* what, const Request& before, const Request& now) {
  std::cerr << what << "\nbefore " << before << "\nnow    " << now << "\n";
  std::abort();
}

void check(const Heard& first, std::size_t piece) {
  const bool declared = first.head.fields.find("content-length").has_value();
  Request want = first.request;
  want.fields = common(want.fields, declared);
  want.scheme.clear();

  const std::string octets = as_http1(first, piece);
  Read read = read_http1(octets);
  Request got = read.request;
  got.fields = common(got.fields, declared);
  // A declared length leaves no place for trailers (RFC 9112 §7.1.2).
  if (declared) want.trailers.clear();
  if (read.refused || got != want) differs(octets.c_str(), want, got);

  http2::Pair pair;
  http2::Session::RequestOptions options;
  options.scheme = first.request.scheme;
  auto& body = pair.client.source.content[1];
  body.octets = read.request.content;
  for (const auto& [name, value] : read.request.trailers) body.trailers.append(name, value);
  const bool content = first.has_content;
  if (!pair.talk()) std::abort();
  if (!pair.client.session.submit_request(read.head, options, content ? http2::Body::kPulled : http2::Body::kNone))
    std::abort();
  std::string wire = std::string(http2::handmade::kMagic);
  for (Bytes out = pair.client.session.output(); !out.empty(); out = pair.client.session.output()) wire += out;
  // The connection had been opened: what follows is read by a new one after a preface of its own.
  const Heard again = heard(http2::handmade::client_preface() + wire.substr(http2::handmade::kMagic.size()));
  Request back = again.request;
  back.fields = common(back.fields, declared);
  back.scheme.clear();
  if (!again.has_head || again.request.scheme != first.request.scheme || back != want)
    differs("over HTTP/2 again", want, back);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace http2::handmade;
  if (size < 1 || size > 4096) return 0;
  const std::uint8_t choices = data[0];
  Bytes rest(reinterpret_cast<const char*>(data) + 1, size - 1);
  Fields sections[2];  // the head, and trailers after an empty line if there are any
  const int count = choices & 2 ? 2 : 1;
  for (int i = 0; i < count; ++i) {
    for (;;) {
      const Bytes line = rest.substr(0, rest.find('\n'));
      rest.remove_prefix(std::min(rest.size(), line.size() + 1));
      if (line.empty()) break;
      const auto colon = line.find(": ", line.starts_with(':') ? 1 : 0);
      sections[i].emplace_back(line.substr(0, colon), colon == line.npos ? "" : line.substr(colon + 2));
    }
  }
  const bool bare = rest.empty() && count == 1 && choices & 1;
  std::string octets = client_preface() + headers(1, sections[0], bare ? kEndStream : 0);
  const std::size_t piece = 1 + (choices >> 4) * 37u;
  if (!bare) {
    for (std::size_t at = 0; at < rest.size(); at += piece) octets += http2::handmade::data(1, rest.substr(at, piece));
    octets += count == 2 ? headers(1, sections[1], kEndStream) : http2::handmade::data(1, "", kEndStream);
  }
  const Heard first = heard(octets);
  // A tunnel is no message, and goes another way.
  if (!first.has_head || first.request.method == "CONNECT") return 0;
  check(first, 1 + (choices >> 2 & 3) * 50u);
  return 0;
}
