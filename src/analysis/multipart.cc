#include "analysis/multipart.h"

#include "base/text.h"

namespace sluice::analysis {
namespace {

// Where a line "--boundary" begins, at `from` or behind it; npos: nowhere.
std::size_t find_delimiter(Bytes octets, std::string_view delimiter, std::size_t from) {
  for (std::size_t at = octets.find(delimiter, from); at != Bytes::npos; at = octets.find(delimiter, at + 1)) {
    const bool starts_line = at == 0 || octets[at - 1] == '\n';
    const Bytes behind = octets.substr(at + delimiter.size());
    const bool ends_name = behind.empty() || std::string_view("\r\n \t-").find(behind.front()) != Bytes::npos;
    if (starts_line && ends_name) return at;
  }
  return Bytes::npos;
}

// The line end before a delimiter belongs to the delimiter (RFC 2046 §5.1.1).
Bytes without_line_end(Bytes text) {
  if (text.ends_with('\n')) text.remove_suffix(1);
  if (text.ends_with('\r')) text.remove_suffix(1);
  return text;
}

BodyPart make_part(Bytes octets) {
  BodyPart part;
  for (const std::string_view blank : {"\r\n\r\n", "\n\n"}) {
    if (const std::size_t end = octets.find(blank); end != Bytes::npos) {
      part.head = octets.substr(0, end + blank.size() / 2);
      part.content = octets.substr(end + blank.size());
      return part;
    }
  }
  for (const std::string_view blank : {"\r\n", "\n"}) {  // no fields
    if (octets.starts_with(blank)) {
      part.content = octets.substr(blank.size());
      return part;
    }
  }
  part.head = octets;
  return part;
}

}  // namespace

std::optional<std::string> field_parameter(std::string_view field, std::string_view name) {
  std::size_t at = field.find(';');
  while (at != std::string_view::npos) {
    at = std::min(field.find_first_not_of(" \t;", at), field.size());
    const std::size_t equals = field.find_first_of("=;", at);
    if (equals == std::string_view::npos) return std::nullopt;
    if (field[equals] == ';') {
      at = equals;
      continue;
    }
    const bool wanted = iequals(trim(field.substr(at, equals - at)), name);
    std::string value;
    at = equals + 1;
    if (at < field.size() && field[at] == '"') {
      for (++at; at < field.size() && field[at] != '"'; ++at) {
        if (field[at] == '\\' && at + 1 < field.size() && (field[at + 1] == '"' || field[at + 1] == '\\')) ++at;
        value.push_back(field[at]);
      }
      at = field.find(';', at);
    } else {
      const std::size_t end = field.find(';', at);
      value = trim(field.substr(at, end == std::string_view::npos ? end : end - at));
      at = end;
    }
    if (wanted) return value;
  }
  return std::nullopt;
}

Result<Multipart> parse_multipart(Bytes octets, std::string_view boundary) {
  if (boundary.empty()) return fail(Code::kInvalid, "not multipart: the content type names no boundary");
  if (boundary.size() > kMostBoundary) return fail(Code::kTooLarge, "not multipart: the boundary is too long");
  const std::string delimiter = "--" + std::string(boundary);
  std::size_t at = find_delimiter(octets, delimiter, 0);
  if (at == Bytes::npos) return fail(Code::kInvalid, "not multipart: no line begins with the boundary");
  Multipart made;
  for (;;) {
    Bytes rest = octets.substr(at + delimiter.size());
    if (rest.starts_with("--")) return made;
    const std::size_t line = rest.find('\n');
    if (line == Bytes::npos) return made;
    if (made.parts.size() == kMostParts) {
      made.cut = true;
      return made;
    }
    const std::size_t start = at + delimiter.size() + line + 1;
    at = find_delimiter(octets, delimiter, start);
    const bool complete = at != Bytes::npos;
    const Bytes inside = octets.substr(start, complete ? at - start : Bytes::npos);
    made.parts.push_back(make_part(complete ? without_line_end(inside) : inside));
    made.parts.back().complete = complete;
    if (!complete) return made;
  }
}

}  // namespace sluice::analysis
