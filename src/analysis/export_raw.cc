// Both messages as HTTP/1.1 has them: heads as they came, a chunked body in chunks again (of other sizes).
#include <fmt/format.h>

#include "analysis/export_body.h"
#include "analysis/export_formats.h"

namespace sluice::analysis {
namespace {

using flow::Direction;

Status write_message(const ExportSource& source, Direction direction, ExportSink& sink) {
  const std::string& head = shown_head(source.exchange, direction);
  const flow::Message& message = direction == Direction::kRequest ? source.exchange.request : source.exchange.response;
  if (head.empty()) return {};
  const auto shown = [&](const std::string& raw) {
    return source.redactor ? source.redactor->mask_head(raw).text : raw;
  };
  sink.put(shown(head));
  if (!head.ends_with("\n\n") && !head.ends_with("\n\r\n")) sink.put("\r\n");
  ExportBody body(source, direction, export_form(source));
  const bool chunked = flow::parse_fields(head).has_token("transfer-encoding", "chunked");
  SLUICE_CHECK(body.put(sink, chunked ? ExportBody::Encoding::kChunks : ExportBody::Encoding::kPlain));
  // The last chunk's line is among the trailers.
  if (chunked) sink.put(message.trailers.empty() ? "0\r\n\r\n" : shown(message.trailers));
  return {};
}

}  // namespace

Status write_raw(const ExportSource& source, ExportSink& sink) {
  SLUICE_CHECK(write_message(source, Direction::kRequest, sink));
  if (sink.stopped()) return {};
  return write_message(source, Direction::kResponse, sink);
}

}  // namespace sluice::analysis
