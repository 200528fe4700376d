// An exchange's request as a command that sends it again.
#include <algorithm>
#include <array>

#include "analysis/export_body.h"
#include "analysis/export_formats.h"
#include "analysis/shell_quote.h"
#include "base/text.h"

namespace sluice::analysis {
namespace {

using flow::Direction;

// A longer body goes in by a pipe: command lines end at 128 KiB for one word.
constexpr ByteCount kMostInline = 64 * kKiB;
// What curl makes itself, or what belongs to one connection (RFC 9110 §7.6.1).
constexpr auto kLeftOut =
    std::to_array<std::string_view>({"content-length", "transfer-encoding", "connection", "keep-alive",
                                     "proxy-connection", "proxy-authorization", "te", "trailer", "upgrade", "expect"});

bool is_left_out(std::string_view name, const ExportSource& source) {
  if (std::any_of(kLeftOut.begin(), kLeftOut.end(), [&](std::string_view one) { return iequals(one, name); }))
    return true;
  if (source.redactor && iequals(name, "content-encoding")) return true;  // the body is decoded then
  return !http::is_token(name);  // no "@file", and nothing that curl would read as two
}

std::string authority(const flow::Exchange& exchange) {
  const std::string url = flow::url_of(exchange);
  const std::size_t start = url.find("://");
  if (start == std::string::npos) return exchange.host;
  return url.substr(start + 3, url.find_first_of("/?#", start + 3) - start - 3);
}

void add_headers(const ExportSource& source, std::string& command) {
  const http::FieldList fields = flow::parse_fields(source.exchange.request.head);
  for (std::size_t i = 0; i < fields.size(); ++i) {
    const std::string_view name = fields.name(i);
    if (is_left_out(name, source)) continue;
    std::string value(fields.value(i));
    if (iequals(name, "host") && iequals(value, authority(source.exchange))) continue;
    if (source.redactor) value = source.redactor->mask_header_value(name, value).text;
    std::erase(value, '\0');
    // curl takes "name:" for "send none" and "name;" for one without a value.
    const std::string line = std::string(name) + (value.empty() ? ";" : ": " + value);
    command += " \\\n  --header " + shell_quote(line);
  }
  if (fields.find("accept-encoding")) command += " \\\n  --compressed";
}

std::string_view version_flag(const flow::Exchange& exchange) {
  if (exchange.protocol == flow::Protocol::kHttp2) return " --http2";
  return " --http1.1";
}

}  // namespace

Status write_curl(const ExportSource& source, ExportSink& sink) {
  const flow::Exchange& exchange = source.exchange;
  if (exchange.protocol == flow::Protocol::kWebSocket) {
    sink.put("# " + exchange.id + ": a WebSocket, which curl does not repeat\n");
    return {};
  }
  ExportBody body(source, Direction::kRequest, export_form(source));
  const bool has_body = exchange.request.body.size > 0;
  std::string command;
  if (has_body && !sink.has_passed()) {
    SLUICE_CHECK(body.measure());
    if (!body.problem().empty()) command += "# the body is not whole\n";
    if (!body.is_text() || body.holds_nul() || body.size() > kMostInline) sink.set_odd(Direction::kRequest);
  }
  const bool piped = sink.is_odd(Direction::kRequest);
  if (piped) {
    sink.put(command + "printf %s '");
    SLUICE_CHECK(body.put(sink, ExportBody::Encoding::kBase64));
    if (sink.stopped()) return {};
    command = "' | base64 --decode | ";
  }
  const std::string url = flow::url_of(exchange);
  command += "curl --globoff --path-as-is";
  command += version_flag(exchange);
  if (exchange.method == "HEAD" && !has_body) {
    command += " --head";
  } else if (exchange.method != (has_body ? "POST" : "GET")) {
    command += " --request " + shell_quote(exchange.method);
  }
  command += " --url " + shell_quote(source.redactor ? source.redactor->mask_url(url).text : url);
  add_headers(source, command);
  if (has_body && !flow::parse_fields(exchange.request.head).find("content-type")) {
    command += " \\\n  --header 'Content-Type:'";  // or curl would add one
  }
  if (piped) {
    command += " \\\n  --data-binary @-";
  } else if (has_body) {
    SLUICE_TRY(const std::string octets, body.whole());
    command += " \\\n  --data-raw " + shell_quote(octets);
  }
  sink.put(command + "\n");
  return {};
}

}  // namespace sluice::analysis
