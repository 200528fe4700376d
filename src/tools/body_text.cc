#include "tools/body_text.h"

#include "base/text.h"

namespace sluice::tools {
namespace {

Json or_null(const std::optional<std::string>& text) { return text ? Json(*text) : Json(); }

}  // namespace

std::string body_preview(const capture::BodySource& ring, const flow::Exchange& exchange, flow::Direction direction,
                         const Redactor* redactor) {
  // Four octets are the most that one UTF-16 unit can stand for.
  const analysis::BodyWindow body = analysis::read_prefix(ring, exchange, direction, 4 * kPreviewUnits, redactor);
  const std::string text = repair_utf8(body.octets);
  const std::string_view kept = utf16_prefix(text, kPreviewUnits);
  if (kept.size() == text.size() && !body.more) return text;
  return std::string(kept) + "...";
}

Result<Json> body_json(const capture::BodySource& ring, const flow::Exchange& exchange, flow::Direction direction,
                       const analysis::BodyOptions& options) {
  const flow::BodyInfo& info = analysis::body_info(exchange, direction);
  SLUICE_TRY(const analysis::BodyWindow window, analysis::read_window(ring, exchange, direction, options));
  if (options.redactor && options.form == analysis::Form::kAsOnWire && window.content_encoding && info.stored > 0) {
    return fail(Code::kRefused, "Coded octets cannot be masked: pass show_secrets: true with decoded: false.");
  }
  Json body = Json::object();
  if (is_utf8(window.octets)) {
    body["text"] = window.octets;
  } else {
    body["base64"] = base64_encode(window.octets);
  }
  body["contentType"] = or_null(window.content_type);
  body["codings"] = or_null(window.content_encoding);
  body["offset"] = window.offset;
  body["bytes"] = window.bytes;
  body["total"] = window.total ? Json(*window.total) : Json();
  body["complete"] = info.complete && info.ended;
  if (window.more && window.bytes > 0) body["nextOffset"] = window.offset + window.bytes;
  if (!window.problem.empty()) body["problem"] = window.problem;
  return body;
}

}  // namespace sluice::tools
