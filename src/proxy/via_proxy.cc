#include "proxy/via_proxy.h"

#include "connect/connect_reader.h"
#include "net/prefixed_stream.h"
#include "proxy/forwarding.h"
#include "socks/client.h"

namespace sluice::proxy {
namespace {

constexpr std::size_t kPiece = 4096;

std::string name_of(const UpstreamProxy& proxy) { return "the upstream proxy " + proxy.shown(); }

ViaFailure failed(const UpstreamProxy& proxy, const std::string& what, FailureKind kind = FailureKind::kUpstreamProxy) {
  return {kind, name_of(proxy) + ' ' + what, false, false};
}

// Why a write or a wait ended.
ViaFailure broken(const UpstreamProxy& proxy, const Error& error, const std::string& where) {
  if (error.code == Code::kTimeout) {
    return failed(proxy, "did not answer in time when asked for " + where, FailureKind::kUpstreamProxyTimeout);
  }
  return failed(proxy, "ended the connection when asked for " + where);
}

std::string_view meaning_of(int status) {
  switch (status) {
    case 403:
      return ": it does not allow this destination";
    case 405:
    case 501:
      return ": it makes no tunnels";
    case 502:
    case 503:
      return ": it cannot reach this destination";
    case 504:
      return ": this destination did not answer it";
    default:
      return "";
  }
}

ViaFailure refused(const UpstreamProxy& proxy, int status, const std::string& where) {
  return failed(proxy, "answered " + std::to_string(status) + " to CONNECT " + where + std::string(meaning_of(status)),
                FailureKind::kUpstreamProxyRefused);
}

// The answer's head, whatever comes.
net::Task<tl::expected<connect::ConnectReader::Answer, ViaFailure>> read_answer(net::Stream& stream,
                                                                                const UpstreamProxy& proxy,
                                                                                const std::string& where) {
  connect::ConnectReader reader;
  char space[kPiece];
  for (;;) {
    const auto got = co_await stream.read_some(space);
    if (!got) co_return tl::unexpected(broken(proxy, got.error(), where));
    if (*got == 0) {
      co_return tl::unexpected(failed(proxy, "ended the connection without an answer when asked for " + where));
    }
    auto answer = reader.feed(Bytes(space, *got));
    if (!answer) {
      co_return tl::unexpected(failed(proxy, answer.error().code == Code::kTooLarge
                                                 ? "sent an endless answer when asked for " + where
                                                 : "does not answer as an HTTP proxy: " + answer.error().message));
    }
    if (*answer) co_return **std::move(answer);
  }
}

}  // namespace

net::Task<ViaResult> ask_connect(std::unique_ptr<net::Stream> stream, const UpstreamProxy& proxy, HostPort origin,
                                 Entropy& entropy) {
  const std::string where = authority_text(origin.host, origin.port, 0);
  std::string request = "CONNECT " + where + " HTTP/1.1\r\nHost: " + where + "\r\n";
  const auto sent = proxy.auth().authorize("CONNECT", where, entropy);
  if (sent) request += "Proxy-Authorization: " + sent->value + "\r\n";
  request += "\r\n";
  const Status written = co_await stream->write_all(request);
  ::explicit_bzero(request.data(), request.size());
  if (!written) co_return tl::unexpected(broken(proxy, written.error(), where));
  auto answer = co_await read_answer(*stream, proxy, where);
  if (!answer) co_return tl::unexpected(std::move(answer.error()));
  if (answer->status == 407) {
    const connect::ProxyAuth::Verdict verdict = proxy.auth().challenged(answer->fields, sent);
    co_return tl::unexpected(ViaFailure{FailureKind::kUpstreamProxyAuth, refused_credentials(proxy, verdict),
                                        verdict == connect::ProxyAuth::Verdict::kRetry, false});
  }
  if (answer->status / 100 != 2) co_return tl::unexpected(refused(proxy, answer->status, where));
  proxy.auth().accepted(answer->fields, sent);
  if (!answer->rest.empty()) {
    stream = std::make_unique<net::PrefixedStream>(std::move(stream), std::move(answer->rest));
  }
  co_return stream;
}

net::Task<ViaResult> ask_socks(std::unique_ptr<net::Stream> stream, const UpstreamProxy& proxy, HostPort origin) {
  const std::string where = authority_text(origin.host, origin.port, 0);
  socks::Protocol protocol = socks::Protocol::k5h;
  if (proxy.scheme() == ProxyScheme::kSocks4) protocol = socks::Protocol::k4;
  if (proxy.scheme() == ProxyScheme::kSocks4a) protocol = socks::Protocol::k4a;
  if (proxy.scheme() == ProxyScheme::kSocks5) protocol = socks::Protocol::k5;
  auto client =
      socks::Client::create({protocol, std::move(origin), proxy.auth().user(), Secret(proxy.auth().password().view())});
  if (!client) co_return tl::unexpected(failed(proxy, "cannot be asked for " + where + ": " + client.error().message));
  char space[kPiece];
  for (;;) {
    auto event = client->next();
    if (!event) {
      const std::string said = "cannot be used for " + where + ": " + event.error().message;
      if (client->refusal()) {
        ViaFailure failure = failed(proxy, said, FailureKind::kUpstreamProxyRefused);
        if (*client->refusal() == socks::Refusal::kTimedOut) failure.kind = FailureKind::kUpstreamProxyTimeout;
        failure.elsewhere = *client->refusal() != socks::Refusal::kNotAllowed;
        co_return tl::unexpected(std::move(failure));
      }
      const bool credentials = event.error().code == Code::kRefused;
      co_return tl::unexpected(
          failed(proxy, said, credentials ? FailureKind::kUpstreamProxyAuth : FailureKind::kUpstreamProxy));
    }
    if (std::holds_alternative<socks::Client::Connected>(*event)) break;
    if (auto* send = std::get_if<socks::Client::Send>(&*event)) {
      const Status written = co_await stream->write_all(send->octets);
      ::explicit_bzero(send->octets.data(), send->octets.size());
      if (!written) co_return tl::unexpected(broken(proxy, written.error(), where));
      continue;
    }
    const auto got = co_await stream->read_some(space);
    if (!got) co_return tl::unexpected(broken(proxy, got.error(), where));
    if (*got == 0) {
      co_return tl::unexpected(failed(proxy, "ended the connection without an answer when asked for " + where));
    }
    client->feed(Bytes(space, *got));
  }
  if (std::string rest = client->take_rest(); !rest.empty()) {
    stream = std::make_unique<net::PrefixedStream>(std::move(stream), std::move(rest));
  }
  co_return stream;
}

net::Task<tl::expected<void, ViaFailure>> ask_challenge(net::Stream& stream, const UpstreamProxy& proxy,
                                                        HostPort origin) {
  const std::string where = authority_text(origin.host, origin.port, 80);
  // RFC 9110 §9.3.8: safe, and never with a body. squid answers it only to whom it knows; to OPTIONS it says 501 first.
  const std::string request =
      "TRACE http://" + where + "/ HTTP/1.1\r\nHost: " + where + "\r\nMax-Forwards: 0\r\nConnection: close\r\n\r\n";
  if (const Status written = co_await stream.write_all(request); !written) {
    co_return tl::unexpected(broken(proxy, written.error(), where));
  }
  const auto answer = co_await read_answer(stream, proxy, where);
  if (!answer) co_return tl::unexpected(answer.error());
  if (answer->status != 407) {
    proxy.auth().not_asked();
    co_return tl::expected<void, ViaFailure>();
  }
  const connect::ProxyAuth::Verdict verdict = proxy.auth().challenged(answer->fields, std::nullopt);
  if (verdict == connect::ProxyAuth::Verdict::kRetry) co_return tl::expected<void, ViaFailure>();
  co_return tl::unexpected(
      ViaFailure{FailureKind::kUpstreamProxyAuth, refused_credentials(proxy, verdict), false, false});
}

}  // namespace sluice::proxy
