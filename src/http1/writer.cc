#include <array>
#include <charconv>

#include "base/text.h"
#include "http1/http1.h"

namespace sluice::http1 {
namespace {

using http::FieldList;

// RFC 9110 §5.5: CR, LF and NUL in a value are replaced by SP.
void append_text(std::string& out, std::string_view text) {
  const std::size_t begin = out.size();
  out.append(text);
  if (http::is_field_value(text)) return;
  for (std::size_t i = begin; i < out.size(); ++i) {
    if (out[i] == '\r' || out[i] == '\n' || out[i] == '\0') out[i] = ' ';
  }
}

// RFC 9112 §3.2: no blanks or controls in a target.
void append_target(std::string& out, std::string_view target) {
  for (const char c : target) {
    const auto octet = static_cast<unsigned char>(c);
    if (octet <= 0x20 || octet == 0x7f) {
      out.append("%").append(to_upper(hex_encode(Bytes(&c, 1))));
    } else {
      out += c;
    }
  }
}

void append_fields(std::string& out, const FieldList& fields) {
  for (std::size_t i = 0; i < fields.size(); ++i) {
    if (Bytes lines = fields.raw_line(i); !lines.empty()) {
      // Untouched lines lie next to each other: one copy for all of them.
      for (; i + 1 < fields.size(); ++i) {
        const Bytes next = fields.raw_line(i + 1);
        if (next.empty() || next.data() != lines.data() + lines.size()) break;
        lines = Bytes(lines.data(), lines.size() + next.size());
      }
      out.append(lines);
      continue;
    }
    append_text(out, fields.name(i));
    out.append(": ");
    append_text(out, fields.value(i));
    out.append("\r\n");
  }
}

}  // namespace

void append_head(std::string& out, const http::RequestHead& head) {
  if (head.start_line.empty()) {
    append_target(out, head.method);  // a method is a token: nothing is changed in a valid one
    out += ' ';
    append_target(out, head.target);
    out.append(" ").append(to_string(head.version)).append("\r\n");
  } else {
    out.append(head.start_line);
  }
  append_fields(out, head.fields);
  out.append(head.ends_with_bare_lf ? "\n" : "\r\n");
}

void append_head(std::string& out, const http::ResponseHead& head) {
  if (head.start_line.empty()) {
    out.append(to_string(head.version)).append(" ").append(std::to_string(head.status)).append(" ");
    append_text(out, head.reason);
    out.append("\r\n");
  } else {
    out.append(head.start_line);
  }
  append_fields(out, head.fields);
  out.append(head.ends_with_bare_lf ? "\n" : "\r\n");
}

void append_chunk_line(std::string& out, ByteCount size) {
  std::array<char, 16> digits;
  const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), size, 16).ptr;
  out.append(digits.data(), end).append("\r\n");
}

void append_chunk(std::string& out, Bytes content) {
  // RFC 9112 §7.1: a chunk of size zero would be the last one.
  if (content.empty()) return;
  append_chunk_line(out, content.size());
  out.append(content).append("\r\n");
}

void append_last_chunk(std::string& out, const FieldList& trailers) {
  out.append("0\r\n");
  append_fields(out, trailers);
  out.append("\r\n");
}

}  // namespace sluice::http1
