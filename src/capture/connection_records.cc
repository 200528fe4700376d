// Connections and upstreams as payloads. Rare and small next to exchanges: written with growing strings.
#include <algorithm>

#include "capture/records.h"

namespace sluice::capture {
namespace {

constexpr std::uint32_t kMostItems = 10'000;  // of a list; more is damage

class GrowingWriter {
 public:
  template <class T>
  void number(T value) {
    out_.append(reinterpret_cast<const char*>(&value), sizeof(value));
  }
  void text(Bytes text) {
    number(static_cast<std::uint32_t>(text.size()));
    out_.append(text);
  }
  void texts(const std::vector<std::string>& list) {
    number(static_cast<std::uint32_t>(list.size()));
    for (const std::string& item : list) text(item);
  }
  std::string take() { return std::move(out_); }

 private:
  std::string out_;
};

std::string read_text(OctetReader& in) { return std::string(in.counted()); }

std::vector<std::string> read_texts(OctetReader& in) {
  std::vector<std::string> list;
  const auto count = std::min(in.number<std::uint32_t>(), kMostItems);
  for (std::uint32_t i = 0; i < count && in.ok(); ++i) list.push_back(read_text(in));
  return list;
}

void write_certificate(GrowingWriter& out, const tls::CertificateSummary& certificate) {
  out.text(certificate.subject);
  out.text(certificate.issuer);
  out.text(certificate.serial_hex);
  out.number(certificate.not_before_ms);
  out.number(certificate.not_after_ms);
  out.texts(certificate.sans);
  out.text(certificate.sha256);
}

tls::CertificateSummary read_certificate(OctetReader& in) {
  tls::CertificateSummary certificate;
  certificate.subject = read_text(in);
  certificate.issuer = read_text(in);
  certificate.serial_hex = read_text(in);
  certificate.not_before_ms = in.number<std::int64_t>();
  certificate.not_after_ms = in.number<std::int64_t>();
  certificate.sans = read_texts(in);
  certificate.sha256 = read_text(in);
  return certificate;
}

void write_client_tls(GrowingWriter& out, const flow::ClientTls& tls) {
  out.text(tls.sni);
  out.texts(tls.alpn_offered);
  out.text(tls.protocol);
  out.text(tls.cipher);
  out.text(tls.alpn);
  out.number(static_cast<std::uint8_t>(tls.resumed));
  for (const std::string* print : {&tls.ja3, &tls.ja3_text, &tls.ja4, &tls.ja4_raw}) out.text(*print);
}

flow::ClientTls read_client_tls(OctetReader& in) {
  flow::ClientTls tls;
  tls.sni = read_text(in);
  tls.alpn_offered = read_texts(in);
  tls.protocol = read_text(in);
  tls.cipher = read_text(in);
  tls.alpn = read_text(in);
  tls.resumed = in.number<std::uint8_t>() != 0;
  for (std::string* print : {&tls.ja3, &tls.ja3_text, &tls.ja4, &tls.ja4_raw}) *print = read_text(in);
  return tls;
}

void write_server_tls(GrowingWriter& out, const flow::ServerTls& tls) {
  for (const std::string* text :
       {&tls.protocol, &tls.cipher, &tls.alpn, &tls.ja3s, &tls.ja3s_text, &tls.server_name, &tls.verdict}) {
    out.text(*text);
  }
  out.number(static_cast<std::uint8_t>(tls.resumed));
  out.number(static_cast<std::uint8_t>(tls.verified));
  out.number(static_cast<std::uint32_t>(tls.chain.size()));
  for (const auto& certificate : tls.chain) write_certificate(out, certificate);
}

flow::ServerTls read_server_tls(OctetReader& in) {
  flow::ServerTls tls;
  for (std::string* text :
       {&tls.protocol, &tls.cipher, &tls.alpn, &tls.ja3s, &tls.ja3s_text, &tls.server_name, &tls.verdict}) {
    *text = read_text(in);
  }
  tls.resumed = in.number<std::uint8_t>() != 0;
  tls.verified = in.number<std::uint8_t>() != 0;
  const auto count = std::min(in.number<std::uint32_t>(), kMostItems);
  std::vector<tls::CertificateSummary> chain;
  for (std::uint32_t i = 0; i < count && in.ok(); ++i) chain.push_back(read_certificate(in));
  tls.chain = std::move(chain);
  return tls;
}

}  // namespace

std::string format_connection(const flow::Connection& connection) {
  GrowingWriter out;
  out.number(static_cast<std::uint8_t>(connection.source));
  out.text(connection.client_address);
  out.number(connection.client_port);
  out.text(connection.listener_address);
  out.number(connection.listener_port);
  out.text(connection.destination);
  out.number(static_cast<std::int64_t>(connection.accepted.time_since_epoch().count()));
  const flow::Process* const process = connection.process.load();
  out.number(static_cast<std::int32_t>(process ? process->pid : 0));
  out.text(process ? process->name : "");
  out.number(static_cast<std::uint8_t>(connection.tls != nullptr));
  if (connection.tls) write_client_tls(out, *connection.tls);
  out.text(connection.http2);
  return out.take();
}

std::shared_ptr<flow::Connection> parse_connection(Bytes payload) {
  OctetReader in(payload);
  auto connection = std::make_shared<flow::Connection>();
  const auto source = in.number<std::uint8_t>();
  connection->source = source <= 2 ? static_cast<flow::Source>(source) : flow::Source::kInternal;
  connection->client_address = read_text(in);
  connection->client_port = in.number<std::uint16_t>();
  connection->listener_address = read_text(in);
  connection->listener_port = in.number<std::uint16_t>();
  connection->destination = read_text(in);
  connection->accepted = WallTime(Duration(in.number<std::int64_t>()));
  const auto pid = in.number<std::int32_t>();
  std::string name = read_text(in);
  if (pid != 0) connection->process.store({pid, std::move(name)});
  if (in.number<std::uint8_t>() != 0) connection->tls = std::make_shared<const flow::ClientTls>(read_client_tls(in));
  if (!in.rest().empty()) connection->http2 = read_text(in);  // absent in records of before HTTP/2
  return in.ok() ? connection : nullptr;
}

std::string format_upstream(const flow::Upstream& upstream) {
  GrowingWriter out;
  out.text(upstream.address);
  out.number(upstream.port);
  out.number(static_cast<std::uint8_t>(upstream.tls != nullptr));
  if (upstream.tls) write_server_tls(out, *upstream.tls);
  out.text(upstream.proxy);
  return out.take();
}

std::shared_ptr<flow::Upstream> parse_upstream(Bytes payload) {
  OctetReader in(payload);
  auto upstream = std::make_shared<flow::Upstream>();
  upstream->address = read_text(in);
  upstream->port = in.number<std::uint16_t>();
  if (in.number<std::uint8_t>() != 0) upstream->tls = std::make_shared<const flow::ServerTls>(read_server_tls(in));
  if (!in.rest().empty()) upstream->proxy = read_text(in);  // absent in records of before upstream proxies
  return in.ok() ? upstream : nullptr;
}

}  // namespace sluice::capture
