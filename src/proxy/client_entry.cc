// How a client comes in: with a PROXY header or without, as an HTTP proxy's client, over SOCKS, with bare TLS, or
// redirected by the kernel. docs/modes.md.
#include "base/url.h"
#include "proxy/client_connection.h"
#include "proxy/worker.h"
#include "socks/proxy_protocol.h"
#include "socks/server.h"

namespace sluice::proxy {
namespace {

constexpr std::chrono::milliseconds kPatience{2'000};  // with a client that is turned away, for its first octets
constexpr std::chrono::milliseconds kLinger{1'000};    // for it to take the last ones
constexpr std::size_t kPiece = 4096;
constexpr ByteCount kLingerAtMost = 64 * kKiB;
constexpr std::uint16_t kHttps = 443;

Target target_of(std::string host, std::uint16_t port) {
  Target target;
  target.host = target.dial_host = std::move(host);
  target.port = target.dial_port = port;
  return target;
}

socks::Refusal socks_refusal(FailureKind kind) {
  switch (kind) {
    case FailureKind::kLoop:
    case FailureKind::kTargetForbidden:
    case FailureKind::kEgress:
    case FailureKind::kSecretOrigin:
      return socks::Refusal::kNotAllowed;
    case FailureKind::kResolve:
    case FailureKind::kConnect:
      return socks::Refusal::kHostUnreachable;
    case FailureKind::kConnectRefused:
      return socks::Refusal::kConnectionRefused;
    case FailureKind::kConnectTimeout:
      return socks::Refusal::kTimedOut;
    default:
      return socks::Refusal::kGeneral;
  }
}

}  // namespace

net::Task<void> ClientConnection::run() {
  if (arrival_.header_first && !co_await read_proxy_header()) co_return;
  if (arrival_.source == flow::Source::kTransparent)
    co_await enter_transparent();
  else
    co_await enter_explicit();
}

// Whose connection this is nobody knows before the header has come, so nothing else is read before it.
net::Task<bool> ClientConnection::read_proxy_header() {
  const MonoTime deadline = worker_.clock().mono() + worker_.limits().timeouts.client_head;
  std::string octets;
  for (;;) {
    auto header = socks::parse_proxy_header(octets);
    if (header && !*header) {
      const auto got = co_await read_more(octets, deadline);
      if (got && *got > 0) continue;
      if (octets.empty()) co_return false;  // nothing was begun: a load balancer that looks whether somebody listens
      header = fail(Code::kClosed, "the connection ended before its PROXY protocol header did");
    }
    if (!header) {
      announce("");
      record_unfinished(FailureKind::kBadRequest, header.error().message);
      bottom_->reset();
      co_return false;
    }
    octets.erase(0, (*header)->size);
    if (!octets.empty()) bottom_->unread(std::move(octets));
    if (const auto& named = (*header)->addresses) {
      client_ = Endpoint(net::asio::ip::make_address(named->source.host), named->source.port);
      remote_ = remote_ || !is_loopback(client_.address());
    }
    if (!refusal_ && !worker_.shared().admission.allows(client_.address(), arrival_.source)) {
      refusal_ = FailureKind::kClientNotAllowed;
      worker_.shared().refused.fetch_add(1, std::memory_order_relaxed);
    }
    co_return true;
  }
}

net::Task<void> ClientConnection::enter_explicit() {
  const auto patience = refusal_ ? kPatience : worker_.limits().timeouts.idle;
  const auto first = co_await peek_enough(worker_.clock().mono() + patience);
  if (!first || first->empty()) co_return;
  announce("");
  const Sniffed what = sniff(*first);
  switch (what) {
    case Sniffed::kTls:
      if (refusal_) co_return co_await turn_away(what, *refusal_);
      if (credentials_) co_return co_await turn_away(what, FailureKind::kProxyAuth);
      co_return co_await enter_bare_tls();
    case Sniffed::kSocks4:
    case Sniffed::kSocks5:
      if (refusal_) co_return co_await turn_away(what, *refusal_);
      co_return co_await enter_socks();
    case Sniffed::kHttp:
    case Sniffed::kNeedMore:
    case Sniffed::kOther:
      break;  // the reader says what is wrong, with a page
  }
  ClientFacts facts;
  facts.remote = remote_;
  facts.credentials = credentials_.get();
  facts.refusal = refusal_;
  co_await serve_http(*tcp_, std::move(facts), std::nullopt);
}

// For those to whom no page can be shown.
net::Task<void> ClientConnection::turn_away(Sniffed what, FailureKind refusal) {
  const std::string sentence(sentence_of(refusal));
  if (what == Sniffed::kTls) {
    record_failed_tls(here(), connection_, sentence);
    bottom_->reset();
    co_return;
  }
  record_failure(here(), refusal, sentence);
  if (what == Sniffed::kSocks4 || what == Sniffed::kSocks5) {
    co_return co_await say_goodbye(
        socks::Server::turn_away(what == Sniffed::kSocks4 ? socks::Version::k4 : socks::Version::k5));
  }
  bottom_->reset();
}

net::Task<void> ClientConnection::enter_socks() {
  socks::Server server(credentials_ ? socks::Server::Auth::kPassword : socks::Server::Auth::kNone);
  const MonoTime deadline = worker_.clock().mono() + worker_.limits().timeouts.client_head;
  bool welcome = credentials_ == nullptr;
  for (;;) {
    auto event = server.next();
    if (!event) {
      const bool password = !welcome && event.error().code == Code::kRefused;
      record_failure(here(), password ? FailureKind::kProxyAuth : FailureKind::kBadRequest, event.error().message);
      co_return co_await say_goodbye(server.farewell());
    }
    std::string answer;
    if (const auto* request = std::get_if<socks::Server::Request>(&*event)) {
      co_return co_await serve_socks(target_of(request->destination.host, request->destination.port), server);
    } else if (auto* send = std::get_if<socks::Server::Send>(&*event)) {
      answer = std::move(send->octets);
    } else if (const auto* given = std::get_if<socks::Server::Credentials>(&*event)) {
      welcome = credentials_ && credentials_->accept(given->user, given->password.view());
      answer = server.answer(welcome);
    } else {
      std::string octets;
      const auto got = co_await read_more(octets, deadline);
      if (!got || *got == 0) {
        record_unfinished(FailureKind::kClientAborted, "the client left in the middle of its SOCKS request");
        co_return;
      }
      server.feed(octets);
      continue;
    }
    bottom_->set_deadline(deadline);
    if (!co_await bottom_->write_all(answer)) co_return;
  }
}

// engine.md 2: dialled first, so that a failure is told with its own code, unless a rule may answer instead.
net::Task<void> ClientConnection::serve_socks(Target target, socks::Server& server) {
  by_address_ = is_ip_literal(target.host);
  set_destination(authority_text(target.host, target.port, 0));
  UpstreamConnectionPtr upstream;
  if (target.host != kSetupHost && !may_be_answered(target)) {
    const Route route = plain_route(target);
    auto dialled = co_await connect_upstream(worker_, route, nullptr);
    // A proxy that makes no tunnel to there may forward HTTP all the same.
    const bool refused = !dialled && route.tunnel && dialled.error().kind == FailureKind::kUpstreamProxyRefused;
    if (!dialled && !refused) {
      record_failure(target, dialled.error().kind, dialled.error().message);
      co_return co_await say_goodbye(server.refused(socks_refusal(dialled.error().kind)));
    }
    if (dialled) upstream = *std::move(dialled);
  }
  bottom_->set_deadline(worker_.clock().mono() + worker_.limits().timeouts.idle);
  if (!co_await bottom_->write_all(server.granted())) co_return record_left(target);
  if (std::string rest = server.take_rest(); !rest.empty()) bottom_->unread(std::move(rest));
  co_await serve_destination(target, std::move(upstream));
}

// TLS without a word of where to: the server name says it.
net::Task<void> ClientConnection::enter_bare_tls() {
  const auto hello = co_await read_hello();
  if (!hello || hello->sni.empty()) {
    record_failed_tls(here(), connection_,
                      hello
                          ? "the client spoke TLS to this port without a server name: where it wants to go is not known"
                          : "no TLS ClientHello: " + hello.error().message);
    bottom_->reset();
    co_return;
  }
  const Target target = target_of(hello->sni, kHttps);
  set_destination(authority_text(target.host, target.port, 0));
  co_await intercept(target, nullptr);
}

net::Task<void> ClientConnection::enter_transparent() {
  OwnListeners& own = worker_.shared().guard;
  if (original_ && own.is_own(original_->address(), original_->port())) original_.reset();
  const auto& timeouts = worker_.limits().timeouts;
  const auto patience = original_ ? timeouts.server_first : refusal_ ? kPatience : timeouts.idle;
  auto first = co_await peek_enough(worker_.clock().mono() + patience);
  // Only now: whoever made the connection has noted it before it sent anything.
  if (original_ && own.outgoing().contains(client_, *original_)) refusal_ = FailureKind::kLoop;
  // Whoever was not redirected is a client like any other, but one that cannot give the password.
  if (!original_ && credentials_) refusal_ = FailureKind::kClientNotAllowed;
  if (!original_ && (!first || first->empty())) co_return;

  Target target = here();
  if (original_) target = target_of(plain_address(original_->address()).to_string(), original_->port());
  announce(original_ ? authority_text(target.host, target.port, 0) : "");
  const Sniffed what = first ? sniff(*first) : Sniffed::kOther;
  if (refusal_ && what != Sniffed::kHttp) co_return co_await turn_away(Sniffed::kOther, *refusal_);
  if (original_ && !refusal_) {
    by_address_ = true;
    co_return co_await serve_first(target, nullptr, std::move(first));
  }
  if (what == Sniffed::kTls) co_return co_await enter_bare_tls();
  if (what == Sniffed::kHttp) {
    ClientFacts facts;
    facts.remote = remote_;
    facts.by_host = true;
    facts.refusal = refusal_;
    co_return co_await serve_http(*tcp_, std::move(facts), std::nullopt);
  }
  record_failure(target, FailureKind::kBadRequest,
                 "this connection was not redirected, or the kernel does not say where from: what is neither HTTP nor "
                 "TLS cannot be sent on");
  bottom_->reset();
}

void ClientConnection::record_unfinished(FailureKind kind, std::string_view message) {
  if (draining_)
    return record_failure(here(), FailureKind::kShutdown, "Sluice was stopped before the client was ready");
  record_failure(here(), kind, message);
}

net::Task<Result<std::size_t>> ClientConnection::read_more(std::string& octets, MonoTime deadline) {
  if (draining_) co_return fail(Code::kCancelled, "Sluice is stopping");
  const std::size_t had = octets.size();
  octets.resize(had + kPiece);
  bottom_->set_deadline(deadline);
  waiting_ = true;
  const auto got = co_await bottom_->read_some(MutableBytes(octets).subspan(had));
  waiting_ = false;
  bottom_->clear_deadline();
  octets.resize(had + (got ? *got : 0));
  co_return got;
}

// The last octets, and time to take them before the connection is torn down.
net::Task<void> ClientConnection::say_goodbye(std::string octets) {
  bottom_->set_deadline(worker_.clock().mono() + kLinger);
  if (!octets.empty() && !co_await bottom_->write_all(octets)) co_return;
  bottom_->close_write();
  char space[kPiece];
  for (ByteCount seen = 0; seen < kLingerAtMost;) {
    const auto got = co_await bottom_->read_some(space);
    if (!got || *got == 0) break;
    seen += *got;
  }
}

Target ClientConnection::here() const { return target_of(arrival_.listener.host, arrival_.listener.port); }

void ClientConnection::announce(const std::string& destination) {
  connection_ = describe(destination);
  worker_.shared().on_connection(connection_, client_, original_ ? *original_ : tcp_->local());
}

void ClientConnection::set_destination(const std::string& destination) {
  auto connection = describe(destination);
  connection->process = connection_->process;
  connection_ = std::move(connection);
}

}  // namespace sluice::proxy
