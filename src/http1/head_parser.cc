#include "http1/head_parser.h"

#include "base/text.h"
#include "http/token.h"
#include "http1/http1.h"
#include "http1/octets.h"

namespace sluice::http1 {
namespace {

using http::Anomaly;
using http::AnomalySet;
using http::bit;

// The line without its end; one CR belongs to the end, another stays and is refused (RFC 9112 §2.2).
Bytes strip_end(Bytes line, AnomalySet& anomalies) {
  line.remove_suffix(1);
  if (!line.empty() && line.back() == '\r') {
    line.remove_suffix(1);
  } else {
    anomalies |= bit(Anomaly::kBareLf);
  }
  return line;
}

// Takes the part before the next SP, and the SPs after it; more than one of them is odd, other blanks are not skipped.
Bytes take_word(Bytes& line, AnomalySet& anomalies) {
  const Bytes word = line.substr(0, line.find(' '));
  line.remove_prefix(word.size());
  if (line.empty()) return word;
  line.remove_prefix(1);
  while (!line.empty() && line.front() == ' ') {
    line.remove_prefix(1);
    anomalies |= bit(Anomaly::kOddStartLine);
  }
  return word;
}

// RFC 9112 §2.3: case-sensitive, one digit each. A later minor version is read as 1.1 (RFC 9110 §2.5).
Result<http::Version> parse_version(Bytes text, AnomalySet& anomalies) {
  if (text.size() != 8 || !text.starts_with("HTTP/") || !is_digit(text[5]) || text[6] != '.' || !is_digit(text[7])) {
    return fail(Code::kInvalid, "the start line has no HTTP version (RFC 9112 §2.3)");
  }
  if (text[5] != '1') return fail(Code::kInvalid, std::string(kUnsupportedVersion));
  if (text[7] == '0') return http::Version::kHttp10;
  if (text[7] != '1') anomalies |= bit(Anomaly::kOddStartLine);
  return http::Version::kHttp11;
}

Result<AnomalySet> parse_request_line(Bytes line, http::RequestHead& out) {
  out.start_line = line;
  AnomalySet anomalies = 0;
  Bytes rest = strip_end(line, anomalies);
  const Bytes method = take_word(rest, anomalies);
  if (!http::is_token(method)) return fail(Code::kInvalid, "the method is no token (RFC 9112 §3.1)");
  const Bytes target = take_word(rest, anomalies);
  if (method == "PRI" && target == "*" && rest == "HTTP/2.0") return fail(Code::kInvalid, std::string(kHttp2Preface));
  for (const char c : target) {
    const auto octet = static_cast<unsigned char>(c);
    if (octet <= 0x20 || octet == 0x7f) {
      return fail(Code::kInvalid, "the request target holds a control character (RFC 9112 §3.2)");
    }
    if (octet >= 0x80) anomalies |= bit(Anomaly::kOddStartLine);
  }
  SLUICE_TRY(out.version, parse_version(rest, anomalies));
  out.method = method;
  out.target = target;
  return anomalies;
}

Result<AnomalySet> parse_status_line(Bytes line, http::ResponseHead& out) {
  out.start_line = line;
  AnomalySet anomalies = 0;
  Bytes rest = strip_end(line, anomalies);
  SLUICE_TRY(out.version, parse_version(take_word(rest, anomalies), anomalies));
  if (rest.size() < 3 || !is_digit(rest[0]) || !is_digit(rest[1]) || !is_digit(rest[2]) || rest[0] == '0' ||
      (rest.size() > 3 && rest[3] != ' ')) {
    return fail(Code::kInvalid, "the status line has no status of three digits (RFC 9112 §4)");
  }
  out.status = (rest[0] - '0') * 100 + (rest[1] - '0') * 10 + (rest[2] - '0');
  // RFC 9110 §15: above 599 there is no class; below, the blank may only stand without a phrase.
  if (rest.size() == 3 || out.status > 599) anomalies |= bit(Anomaly::kOddStartLine);
  const Bytes reason = rest.size() > 4 ? rest.substr(4) : Bytes();
  switch (classify(reason)) {
    case Octets::kPlain:
      break;
    case Octets::kOdd:
      anomalies |= bit(Anomaly::kOddStartLine);
      break;
    case Octets::kForbidden:
      return fail(Code::kInvalid, "the reason phrase holds NUL or CR (RFC 9112 §4)");
  }
  out.reason = reason;
  return anomalies;
}

// The sentence of an error; null: none. A head has many lines: a Result for each would cost more than they do.
using Complaint = const char*;

Complaint check_value(Bytes value, AnomalySet& anomalies) {
  switch (classify(value)) {
    case Octets::kPlain:
      return nullptr;
    case Octets::kOdd:
      anomalies |= bit(Anomaly::kOddFieldOctets);
      return nullptr;
    case Octets::kForbidden:
      break;
  }
  return "a field value holds NUL or CR (RFC 9110 §5.5)";
}

// Lines of one field, with their line ends, and where they lie in the list's text.
struct FieldLines {
  Bytes first;  // the first line
  Bytes all;    // with the folded ones
  std::size_t position = 0;
};

// RFC 9112 §5.2: each fold reads as one blank.
Complaint append_folded(const FieldLines& lines, std::size_t name_length, Bytes value, AnomalySet& anomalies,
                        http::FieldList& out) {
  anomalies |= bit(Anomaly::kObsFold);
  std::string unfolded(value);
  Bytes rest = lines.all.substr(lines.first.size());
  while (!rest.empty()) {
    const std::size_t end = rest.find('\n') + 1;
    const Bytes part = trim(strip_end(rest.substr(0, end), anomalies));
    if (const Complaint complaint = check_value(part, anomalies)) return complaint;
    unfolded.append(" ").append(part);
    rest.remove_prefix(end);
  }
  out.append_folded(lines.all, name_length, trim(unfolded));
  return nullptr;
}

Complaint parse_field(const FieldLines& lines, Side side, AnomalySet& anomalies, http::FieldList& out) {
  const Bytes line = strip_end(lines.first, anomalies);
  const char* const first = line.data();
  const char* const last = first + line.size();
  const char* at = first;
  while (at != last && http::is_token_octet(*at)) ++at;
  const auto name_length = static_cast<std::size_t>(at - first);
  while (at != last && is_blank(*at)) ++at;
  if (name_length == 0 || at == last || *at != ':') return "a field line has no valid name (RFC 9112 §5)";
  const bool blank_before_colon = at != first + name_length;
  if (blank_before_colon && side == Side::kRequest) {
    return "a blank stands before the colon of a field (RFC 9112 §5.1)";
  }
  ++at;
  const char* end = last;
  while (at != end && is_blank(*at)) ++at;
  while (end != at && is_blank(end[-1])) --end;
  const Bytes value(at, static_cast<std::size_t>(end - at));
  if (const Complaint complaint = check_value(value, anomalies)) return complaint;
  if (lines.all.size() != lines.first.size()) {
    if (const Complaint complaint = append_folded(lines, name_length, value, anomalies, out)) return complaint;
  } else {
    out.append_kept(
        {lines.position, lines.first.size(), name_length, static_cast<std::size_t>(at - first), value.size()});
  }
  if (blank_before_colon) {
    // RFC 9112 §5.1: a proxy removes such a blank from an answer, so this field is written anew.
    const std::size_t last = out.size() - 1;
    const std::string name(out.name(last)), kept(out.value(last));
    out.erase_at(last);
    out.append(name, kept);
    anomalies |= bit(Anomaly::kBlankBeforeColon);
  }
  return nullptr;
}

}  // namespace

Result<AnomalySet> parse_field_lines(Bytes section, std::span<const std::uint32_t> line_ends, Side side,
                                     http::FieldList& out) {
  AnomalySet anomalies = 0;
  const std::size_t last = line_ends.size() - 1;  // the empty line
  const std::size_t length = line_ends[last - 1] - line_ends[0];
  out.reserve(length, last - 1);
  const std::size_t kept = out.keep(section.substr(line_ends[0], length));
  for (std::size_t i = 1; i < last;) {
    const std::size_t begin = line_ends[i - 1];
    if (is_blank(section[begin])) {
      // RFC 9112 §2.2, §5.2: a fold in a request, or one that has nothing to continue.
      return fail(Code::kInvalid, "a line begins with a blank (RFC 9112 §2.2, §5.2)");
    }
    FieldLines lines;
    lines.first = section.substr(begin, line_ends[i++] - begin);
    while (side == Side::kAnswer && i < last && is_blank(section[line_ends[i - 1]])) ++i;
    lines.all = section.substr(begin, line_ends[i - 1] - begin);
    lines.position = kept + begin - line_ends[0];
    if (const Complaint complaint = parse_field(lines, side, anomalies, out)) return fail(Code::kInvalid, complaint);
  }
  if (line_ends[last] - line_ends[last - 1] == 1) anomalies |= bit(Anomaly::kBareLf);
  return anomalies;
}

Result<AnomalySet> parse_request_head(Bytes head, std::span<const std::uint32_t> line_ends, http::RequestHead& out) {
  if (line_ends.size() < 2) return fail(Code::kInvalid, "the request line is missing (RFC 9112 §3)");
  out.fields.clear();
  SLUICE_TRY(AnomalySet anomalies, parse_request_line(head.substr(0, line_ends[0]), out));
  SLUICE_TRY(const AnomalySet odd, parse_field_lines(head, line_ends, Side::kRequest, out.fields));
  out.ends_with_bare_lf = line_ends.back() - line_ends[line_ends.size() - 2] == 1;
  return anomalies | odd;
}

Result<AnomalySet> parse_response_head(Bytes head, std::span<const std::uint32_t> line_ends, http::ResponseHead& out) {
  if (line_ends.size() < 2) return fail(Code::kInvalid, "the status line is missing (RFC 9112 §4)");
  out.fields.clear();
  SLUICE_TRY(AnomalySet anomalies, parse_status_line(head.substr(0, line_ends[0]), out));
  SLUICE_TRY(const AnomalySet odd, parse_field_lines(head, line_ends, Side::kAnswer, out.fields));
  out.ends_with_bare_lf = line_ends.back() - line_ends[line_ends.size() - 2] == 1;
  return anomalies | odd;
}

}  // namespace sluice::http1
