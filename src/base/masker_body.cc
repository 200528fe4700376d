// Whole heads and bodies.
#include <algorithm>

#include "base/masker.h"
#include "base/text.h"

namespace sluice {
namespace {

// The parameter's value of a field like `multipart/form-data; boundary="x"`, or "" (RFC 9110 §5.6.6).
std::string_view field_parameter(std::string_view field, std::string_view name) {
  for (std::size_t at = field.find(';'); at != std::string_view::npos; at = field.find(';', at + 1)) {
    const std::string_view rest = field.substr(std::min(field.find_first_not_of(" \t", at + 1), field.size()));
    if (rest.size() <= name.size() || rest[name.size()] != '=' || !iequals(rest.substr(0, name.size()), name)) continue;
    const std::string_view value = rest.substr(name.size() + 1);
    if (value.starts_with('"')) return value.substr(1, value.find('"', 1) - 1);
    return trim(value.substr(0, value.find(';')));
  }
  return {};
}

// name=value&…, without a blank anywhere.
bool looks_like_form(std::string_view text) {
  while (text.ends_with('\n') || text.ends_with('\r')) text.remove_suffix(1);
  const std::size_t equals = text.find('=');
  if (equals == 0 || equals == std::string_view::npos) return false;
  const auto blank = [](char c) { return static_cast<unsigned char>(c) <= ' '; };
  const auto of_name = [](char c) {
    return (c >= '0' && c <= '9') || (ascii_lower(c) >= 'a' && ascii_lower(c) <= 'z') ||
           std::string_view("_-.%+[]").find(c) != std::string_view::npos;
  };
  const std::string_view name = text.substr(0, equals);
  return std::all_of(name.begin(), name.end(), of_name) && std::none_of(text.begin(), text.end(), blank);
}

// The first line up to and with its LF, or all.
std::string_view first_line(std::string_view text) {
  const std::size_t end = text.find('\n');
  return end == std::string_view::npos ? text : text.substr(0, end + 1);
}

}  // namespace

Redacted Redactor::mask_body(std::string_view raw, std::string_view content_type) const {
  const Known known(*this, raw);
  const std::string_view text = known.text();
  Masker masker(*this);
  const std::string_view type = trim(content_type.substr(0, content_type.find(';')));
  const std::string_view boundary = field_parameter(content_type, "boundary");
  if (iequals(type, "application/x-www-form-urlencoded") ||
      ((type.empty() || iequals(type, "text/plain")) && looks_like_form(text))) {
    masker.parameters(text);
  } else if (iequals(type, "multipart/form-data") && !boundary.empty()) {
    masker.multipart(text, boundary);
  } else if (iequals(type, "text/event-stream")) {
    masker.events(text);
  } else {
    masker.text(text, Masker::Members::kMask);
  }
  return known.finish(masker.take());
}

Redacted Redactor::mask_head(std::string_view head) const {
  const Known known(*this, head);
  Masker masker(*this);
  masker.head(known.text());
  return known.finish(masker.take());
}

void Masker::head(std::string_view text) {
  const std::string_view start = first_line(text);
  const std::size_t before = std::min(start.find(' '), start.size() - (start.empty() ? 0 : 1));
  const std::size_t after = start.rfind(' ');
  if (!start.starts_with("HTTP/") && after != std::string_view::npos && after > before) {
    put(start.substr(0, before + 1));
    url(start.substr(before + 1, after - before - 1));
    put(start.substr(after));
  } else {
    this->text(start, Members::kSkip);
  }
  text.remove_prefix(start.size());

  std::string_view field;  // that a folded line belongs to (RFC 9112 §5.2)
  while (!text.empty()) {
    const std::string_view line = first_line(text);
    text.remove_prefix(line.size());
    const bool folded = line.front() == ' ' || line.front() == '\t';
    const std::size_t colon = folded ? std::string_view::npos : line.find(':');
    if (!folded) field = trim(line.substr(0, colon == std::string_view::npos ? 0 : colon));
    const std::size_t name = colon == std::string_view::npos ? 0 : colon + 1;
    const std::size_t value = std::min(line.find_first_not_of(" \t\r\n", name), line.size());
    const std::size_t end = std::max(line.find_last_not_of(" \t\r\n") + 1, value);
    put(line.substr(0, value));
    const Redacted masked = redactor_.mask_header_value(field, line.substr(value, end - value));
    put(masked.text);
    masked_ = masked_ || masked.masked;
    put(line.substr(end));
  }
}

// RFC 7578 §4: parts between lines "--boundary".
void Masker::multipart(std::string_view text, std::string_view boundary) {
  const std::string delimiter = "--" + std::string(boundary);
  while (!text.empty()) {
    const std::size_t end = std::min(text.find(delimiter), text.size());
    part(text.substr(0, end));
    put(text.substr(end, delimiter.size()));
    text.remove_prefix(std::min(end + delimiter.size(), text.size()));
  }
}

void Masker::part(std::string_view text) {
  const std::size_t blank_line = text.find("\r\n\r\n");
  if (blank_line == std::string_view::npos) return this->text(text, Members::kMask);
  std::string_view head = text.substr(0, blank_line);
  std::string_view name;
  for (; !head.empty(); head.remove_prefix(first_line(head).size())) {
    const std::string_view line = first_line(head);
    constexpr std::string_view kDisposition = "content-disposition:";
    if (iequals(line.substr(0, kDisposition.size()), kDisposition)) name = field_parameter(line, "name");
  }
  put(text.substr(0, blank_line + 4));
  text.remove_prefix(blank_line + 4);
  const SecretName* found = find_secret_name(name);
  if (found == nullptr) return this->text(text, Members::kMask);
  const std::size_t end = text.ends_with("\r\n") ? text.size() - 2 : text.size();
  secret(found->kind, text.substr(0, end));
  put(text.substr(end));
}

}  // namespace sluice
