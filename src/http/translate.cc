#include "http/translate.h"

namespace sluice::http {
namespace {

// RFC 9113 §8.2.3: crumbs become one field where the first of them stood. An empty one holds no cookie, and would leave
// a delimiter with nothing on one side.
void join_cookies(FieldList& fields) {
  if (fields.count("cookie") < 2) return;
  std::string joined;
  for (std::size_t i = 0; i < fields.size(); ++i) {
    if (!fields.is_named(i, "cookie") || fields.value(i).empty()) continue;
    if (!joined.empty()) joined += "; ";
    joined += fields.value(i);
  }
  fields.set("cookie", joined);
}

bool usually_has_content(std::string_view method) { return method == "POST" || method == "PUT" || method == "PATCH"; }

}  // namespace

RequestHead to_http1(const RequestHead& head, bool content_follows, Http1Content& content) {
  RequestHead out = head;
  if (head.version == Version::kHttp2) {
    out.version = Version::kHttp11;
    out.start_line.clear();
    join_cookies(out.fields);
  }
  const bool declared = out.fields.find("content-length").has_value();
  const bool chunked = out.fields.has_token("transfer-encoding", "chunked");
  if (!content_follows) {
    content = Http1Content::kNone;
    // RFC 9110 §8.6: so that nobody waits for content.
    if (!declared && !chunked && usually_has_content(out.method)) out.fields.append("Content-Length", "0");
  } else if (chunked || !declared) {
    content = Http1Content::kChunked;
    if (!chunked) out.fields.append("Transfer-Encoding", "chunked");
  } else {
    content = Http1Content::kAsDeclared;
  }
  return out;
}

ResponseHead to_http1(const ResponseHead& head, bool content_follows, Version client, Http1Content& content) {
  ResponseHead out = head;
  if (head.version == Version::kHttp2) {
    out.version = Version::kHttp11;
    out.start_line.clear();
    out.reason = reason_phrase(head.status);
  }
  content = Http1Content::kNone;
  if (!content_follows) return out;
  if (out.fields.has_token("transfer-encoding", "chunked")) {
    content = Http1Content::kChunked;
  } else if (out.fields.find("content-length")) {
    content = Http1Content::kAsDeclared;
  } else if (client == Version::kHttp10) {
    content = Http1Content::kUntilClose;
    out.fields.set("Connection", "close");
  } else {
    content = Http1Content::kChunked;
    out.fields.append("Transfer-Encoding", "chunked");
  }
  return out;
}

std::string section_text(const FieldList& fields) {
  std::string text;
  for (std::size_t i = 0; i < fields.size(); ++i) {
    text.append(fields.name(i)).append(": ").append(fields.value(i)).append("\r\n");
  }
  return text;
}

}  // namespace sluice::http
