// An exchange as a flow of mitmproxy's format 17: the members that mitmproxy 8 has, all of them, since it wants them
// all.
#include <fmt/format.h>

#include "analysis/export_body.h"
#include "analysis/export_formats.h"
#include "analysis/messages.h"
#include "analysis/tnetstring.h"
#include "base/text.h"

namespace sluice::analysis {
namespace {

using flow::Direction;

constexpr int kFormat = 17;
constexpr std::size_t kMessagesAtOnce = 500;
constexpr ByteCount kMessageBudget = 16 * kMiB;

TnetText text(std::string_view value) { return TnetText::text(repair_utf8(value)); }
TnetText text_or_nothing(std::string_view value) { return value.empty() ? TnetText::nothing() : text(value); }
TnetText octets(std::string value) { return TnetText::octets(std::move(value)); }
TnetText octets_or_nothing(const std::string& value) { return value.empty() ? TnetText::nothing() : octets(value); }
TnetText empty_list() { return TnetText::list({}); }
TnetText address(std::string_view host, std::uint16_t port) {
  return TnetText::list({text(host), TnetText::integer(port)});
}

double seconds(WallTime time) {
  return static_cast<double>(std::chrono::duration_cast<std::chrono::microseconds>(time.time_since_epoch()).count()) /
         1e6;
}

class FlowWriter {
 public:
  FlowWriter(const ExportSource& source, ExportSink& sink) : source_(source), exchange_(source.exchange), sink_(sink) {}

  Status write() {
    SLUICE_TRY(TnetText request, request_text());
    SLUICE_TRY(TnetText response, response_text());
    SLUICE_TRY(TnetText socket, socket_text());
    const TnetText flow = TnetText::dictionary({{"client_conn", client_text()},
                                                {"comment", text("")},
                                                {"error", error_text()},
                                                {"id", text(exchange_.id)},
                                                {"intercepted", TnetText::flag(false)},
                                                {"is_replay", TnetText::nothing()},
                                                {"marked", text("")},
                                                {"metadata", TnetText::dictionary({})},
                                                {"request", std::move(request)},
                                                {"response", std::move(response)},
                                                {"server_conn", server_text()},
                                                {"timestamp_created", TnetText::number(seconds(exchange_.started))},
                                                {"type", text("http")},
                                                {"version", TnetText::integer(kFormat)},
                                                {"websocket", std::move(socket)}});
    for (const std::string& part : flow.parts()) sink_.put(part);
    return {};
  }

 private:
  TnetText at(std::int64_t microseconds) const {
    if (microseconds < 0) return TnetText::nothing();
    return TnetText::number(seconds(exchange_.started + std::chrono::microseconds(microseconds)));
  }

  std::string shown_target() const {
    return source_.redactor ? source_.redactor->mask_url(exchange_.target).text : exchange_.target;
  }

  TnetText fields_text(Bytes head) const {
    const http::FieldList fields = flow::parse_fields(head);
    std::vector<TnetText> list;
    for (std::size_t i = 0; i < fields.size(); ++i) {
      if (source_.redactor && iequals(fields.name(i), "content-encoding")) continue;  // masked bodies are decoded
      std::string value(fields.value(i));
      if (source_.redactor) value = source_.redactor->mask_header_value(fields.name(i), value).text;
      list.push_back(TnetText::list({octets(std::string(fields.name(i))), octets(std::move(value))}));
    }
    return TnetText::list(std::move(list));
  }
  TnetText trailers_text(const flow::Message& message) const {
    return message.trailers.empty() ? TnetText::nothing() : fields_text(message.trailers);
  }

  // None where there was one that was not kept.
  Result<TnetText> content_text(Direction direction) const {
    const flow::BodyInfo& info = body_info(exchange_, direction);
    const bool socket = exchange_.protocol == flow::Protocol::kWebSocket;
    if (socket || info.size == 0) return octets("");
    if (info.stored == 0 || !source_.with_bodies) return TnetText::nothing();
    ExportBody body(source_, direction, export_form(source_));
    SLUICE_TRY(std::string all, body.whole());
    return octets(std::move(all));
  }

  std::string version(Bytes head) const {
    if (exchange_.protocol == flow::Protocol::kHttp2) return "HTTP/2.0";
    return head.find("HTTP/1.0") < head.find('\n') ? "HTTP/1.0" : "HTTP/1.1";
  }

  Result<TnetText> request_text() const {
    const flow::Timings& when = exchange_.timings;
    SLUICE_TRY(TnetText content, content_text(Direction::kRequest));
    const bool http2 = exchange_.protocol == flow::Protocol::kHttp2;
    const std::string url = flow::url_of(exchange_);
    const std::size_t begin = url.find("://") + 3;
    return TnetText::dictionary(
        {{"authority", octets(http2 ? url.substr(begin, url.find_first_of("/?#", begin) - begin) : "")},
         {"content", std::move(content)},
         {"headers", fields_text(exchange_.request.head)},
         {"host", text(exchange_.host)},
         {"http_version", octets(version(exchange_.request.head))},
         {"method", octets(exchange_.method)},
         {"path", octets(shown_target())},
         {"port", TnetText::integer(exchange_.port)},
         {"scheme", octets(exchange_.scheme)},
         {"timestamp_end", at(std::max(when.request_end, when.request_head))},
         {"timestamp_start", TnetText::number(seconds(exchange_.started))},
         {"trailers", trailers_text(exchange_.request)}});
  }

  Result<TnetText> response_text() const {
    if (exchange_.status == 0) return TnetText::nothing();
    const std::string& head = shown_head(exchange_, Direction::kResponse);
    SLUICE_TRY(TnetText content, content_text(Direction::kResponse));
    const flow::Timings& when = exchange_.timings;
    return TnetText::dictionary({{"content", std::move(content)},
                                 {"headers", fields_text(head)},
                                 {"http_version", octets(version(head))},
                                 {"reason", octets(std::string(flow::reason_of(head)))},
                                 {"status_code", TnetText::integer(exchange_.status)},
                                 {"timestamp_end", at(when.end)},
                                 {"timestamp_start", at(std::max(when.first_byte, std::int64_t{0}))},
                                 {"trailers", trailers_text(exchange_.response)}});
  }

  TnetText error_text() const {
    if (!exchange_.failure) return TnetText::nothing();
    return TnetText::dictionary({{"msg", text(exchange_.failure->message)},
                                 {"timestamp", at(std::max(exchange_.timings.end, std::int64_t{0}))}});
  }

  Result<TnetText> socket_text() const {
    if (exchange_.protocol != flow::Protocol::kWebSocket) return TnetText::nothing();
    std::vector<TnetText> messages;
    TnetText code = TnetText::nothing(), reason = TnetText::nothing();
    bool by_client = false, closed = false;
    MessageQuery query{
        .limit = kMessagesAtOnce, .budget = kMessageBudget, .redactor = source_.redactor, .stop = source_.stop};
    for (bool more = source_.with_bodies; more;) {
      const auto page = read_messages(source_.bodies, exchange_, query);
      if (!page && page.error().code == Code::kCancelled) return fail(page.error());
      if (!page) break;  // it is no longer there
      more = page->next_offset && !page->messages.empty();
      query.offset = page->next_offset.value_or(0);
      for (const SeenMessage& message : page->messages) {
        const bool client = message.direction == Direction::kRequest;
        if (message.type == "close" && !closed) {  // the other one answers it
          closed = true;
          by_client = client;
          code = TnetText::integer(message.close_code.value_or(1'005));
          reason =
              text(source_.redactor ? source_.redactor->mask_text(message.close_reason).text : message.close_reason);
        }
        if (message.type != "text" && message.type != "binary") continue;
        const double when = seconds(message.at.value_or(exchange_.started));
        messages.push_back(TnetText::list({TnetText::integer(message.type == "text" ? 1 : 2), TnetText::flag(client),
                                           octets(message.content), TnetText::number(when), TnetText::flag(false),
                                           TnetText::flag(false)}));
      }
    }
    return TnetText::dictionary({{"close_code", std::move(code)},
                                 {"close_reason", std::move(reason)},
                                 {"closed_by_client", TnetText::flag(by_client)},
                                 {"messages", TnetText::list(std::move(messages))},
                                 {"timestamp_end", at(exchange_.timings.end)}});
  }

  TnetText client_text() const {
    static const flow::Connection kUnknown;
    static const flow::ClientTls kNone;
    const flow::Connection& client = exchange_.connection ? *exchange_.connection : kUnknown;
    const flow::ClientTls& tls = client.tls ? *client.tls : kNone;
    std::vector<TnetText> offers;
    for (const std::string& offer : tls.alpn_offered) offers.push_back(octets(offer));
    return TnetText::dictionary(
        {{"address", address(client.client_address, client.client_port)},
         {"alpn", octets_or_nothing(tls.alpn)},
         {"alpn_offers", TnetText::list(std::move(offers))},
         {"certificate_list", empty_list()},
         {"cipher_list", empty_list()},
         {"cipher_name", text_or_nothing(tls.cipher)},
         {"error", TnetText::nothing()},
         {"id", text("c-" + exchange_.id)},
         {"mitmcert", TnetText::nothing()},
         {"sni", text_or_nothing(tls.sni)},
         {"sockname", address(client.listener_address, client.listener_port)},
         {"state", TnetText::integer(0)},
         {"timestamp_end", TnetText::nothing()},
         {"timestamp_start",
          TnetText::number(seconds(client.accepted == WallTime{} ? exchange_.started : client.accepted))},
         {"timestamp_tls_setup", TnetText::nothing()},
         {"tls", TnetText::flag(client.tls != nullptr)},
         {"tls_established", TnetText::flag(!tls.protocol.empty())},
         {"tls_extensions", empty_list()},
         {"tls_version", text_or_nothing(tls.protocol)}});
  }

  TnetText server_text() const {
    static const flow::Upstream kUnknown;
    static const flow::ServerTls kNone;
    const flow::Upstream& server = exchange_.upstream ? *exchange_.upstream : kUnknown;
    const flow::ServerTls& tls = server.tls ? *server.tls : kNone;
    const flow::Timings& when = exchange_.timings;
    TnetText ip = server.address.empty() ? TnetText::nothing() : address(server.address, server.port);
    return TnetText::dictionary({{"address", address(exchange_.host, exchange_.port)},
                                 {"alpn", octets_or_nothing(tls.alpn)},
                                 {"alpn_offers", empty_list()},
                                 {"certificate_list", empty_list()},
                                 {"cipher_list", empty_list()},
                                 {"cipher_name", text_or_nothing(tls.cipher)},
                                 {"error", TnetText::nothing()},
                                 {"id", text("s-" + exchange_.id)},
                                 {"ip_address", std::move(ip)},
                                 {"sni", text_or_nothing(tls.server_name)},
                                 {"source_address", TnetText::nothing()},
                                 {"state", TnetText::integer(0)},
                                 {"timestamp_end", TnetText::nothing()},
                                 {"timestamp_start", at(when.resolved)},
                                 {"timestamp_tcp_setup", at(when.connected)},
                                 {"timestamp_tls_setup", at(when.upstream_tls)},
                                 {"tls", TnetText::flag(server.tls != nullptr)},
                                 {"tls_established", TnetText::flag(!tls.protocol.empty())},
                                 {"tls_version", text_or_nothing(tls.protocol)},
                                 {"via", TnetText::nothing()},
                                 {"via2", TnetText::nothing()}});
  }

  const ExportSource& source_;
  const flow::Exchange& exchange_;
  ExportSink& sink_;
};

}  // namespace

Status write_flow(const ExportSource& source, ExportSink& sink) { return FlowWriter(source, sink).write(); }

}  // namespace sluice::analysis
