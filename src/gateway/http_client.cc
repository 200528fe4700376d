#include "gateway/http_client.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/asio/post.hpp>
#include <charconv>

#include "base/text.h"
#include "http/framing.h"
#include "net/deadlines.h"
#include "net/readiness.h"
#include "net/resolver.h"
#include "net/tcp_stream.h"
#include "net/tls_stream.h"

namespace sluice::gateway {

using net::Task;

namespace {

constexpr std::size_t kRead = 16 * kKiB;

// "timeout=5, max=100" (draft-thomson-hybi-http-timeout-03 §2.1); nullopt: it says nothing.
std::optional<std::chrono::seconds> kept_by_server(const http::ResponseHead& head) {
  const auto field = head.fields.joined("keep-alive");
  if (!field) return std::nullopt;
  for (std::string_view part : split(*field, ',')) {
    part = trim(part);
    if (!part.starts_with("timeout=")) continue;
    part.remove_prefix(8);
    unsigned seconds = 0;
    const auto [end, error] = std::from_chars(part.data(), part.data() + part.size(), seconds);
    if (error == std::errc()) return std::chrono::seconds(seconds);
  }
  return std::nullopt;
}

}  // namespace

bool is_loopback_name(std::string_view host) {
  if (host == "localhost" || host.ends_with(".localhost")) return true;
  boost::system::error_code error;
  const auto address = boost::asio::ip::make_address(std::string(host), error);
  return !error && address.is_loopback();
}

bool is_this_machine(const boost::asio::ip::address& address) {
  if (address.is_v6() && address.to_v6().is_v4_mapped()) {
    return is_this_machine(boost::asio::ip::make_address_v4(boost::asio::ip::v4_mapped, address.to_v6()));
  }
  return address.is_loopback() || address.is_unspecified();
}

bool is_link_local(const boost::asio::ip::address& address) {
  if (address.is_v4()) return (address.to_v4().to_uint() >> 16) == 0xA9FE;  // 169.254.0.0/16
  const auto v6 = address.to_v6();
  if (v6.is_v4_mapped()) return is_link_local(boost::asio::ip::make_address_v4(boost::asio::ip::v4_mapped, v6));
  return v6.is_link_local();
}

Status HttpClient::Guard::may_dial(std::string_view name, const boost::asio::ip::address& address, std::uint16_t) {
  if (options_.only_loopback && !address.is_loopback()) {
    return fail(Code::kRefused, fmt::format("{} is {} and not this machine", name, address.to_string()));
  }
  if (options_.never_loopback && is_this_machine(address)) {
    return fail(Code::kRefused, fmt::format("{} leads to this machine ({})", name, address.to_string()));
  }
  // Where clouds keep credentials of the machine: only for who says that he means it (A37).
  if (is_link_local(address) && !is_ip_literal(options_.server.host)) {
    return fail(Code::kRefused, fmt::format("{} leads to the link-local address {}", name, address.to_string()));
  }
  return {};
}

struct HttpClient::Loop {
  explicit Loop(boost::asio::io_context& io) : readiness(io) {}
  net::Readiness readiness;
  net::Deadlines deadlines;
  net::Resolver resolver{2};
};

class HttpClient::Running final : public Exchange {
 public:
  Running(HttpClient& client, Request request)
      : client_(client),
        alive_(client.alive_),
        loop_(client.loop_),
        request_(std::move(request)),
        reader_(client.options_.limits.http) {}

  Task<Status> send() override {
    if (auto kept = client_.take_kept()) {
      connection_ = *std::move(kept);
    } else {
      auto made = co_await client_.connect();
      if (alive_.expired() || cancelled_) co_return fail(Code::kCancelled, "the request was cancelled");
      if (!made) co_return fail(std::move(made.error()));
      connection_ = *std::move(made);
    }
    http::RequestHead head = http::make_request(request_.method, request_.target);
    const Url& server = client_.options_.server;
    head.fields.append("Host", authority_text(server.host, server.port, default_port(server.scheme)));
    for (const auto& [name, value] : request_.fields) head.fields.append(name, value);
    head.fields.append("Accept-Encoding", "identity");
    head.fields.append("User-Agent", "Sluice/" SLUICE_VERSION);
    if (request_.method == "POST") head.fields.append("Content-Length", std::to_string(request_.body.size()));
    std::string octets;
    http1::append_head(octets, head);
    octets += request_.body;
    request_.body = {};
    request_.fields.clear();
    begun_ = true;
    set_deadline(client_.options_.limits.write);
    const Status sent = co_await connection_.stream->write_all(octets);
    if (!alive()) co_return fail(Code::kCancelled, "the request was cancelled");
    // An answer may stand there though the request was not read to its end: it says why.
    if (!sent && sent.error().code == Code::kTimeout) co_return fail(where(sent.error()));
    reader_.begin(request_.method);
    co_return Status{};
  }

  bool begun() const override { return begun_; }

  Task<Result<http::ResponseHead>> read_head(std::chrono::milliseconds at_most) override {
    set_deadline(at_most);
    for (;;) {
      auto step = reader_.step();
      if (!step) co_return fail(where(step.error()));
      if (*step == http1::Step::kHead && !reader_.head().is_interim()) {
        head_ = std::move(reader_.head());
        co_return head_;
      }
      if (*step == http1::Step::kHead && reader_.head().status == 101) {
        co_return fail(Code::kInvalid, client_.options_.server.host + " answers with another protocol");
      }
      if (*step != http1::Step::kNeedMore) continue;
      const Status more = co_await feed();
      if (!more) co_return fail(more.error());
    }
  }

  Task<Result<std::optional<std::string>>> read_piece(std::chrono::milliseconds at_most) override {
    if (ended_) co_return std::nullopt;
    set_deadline(at_most);
    for (;;) {
      auto step = reader_.step();
      if (!step) co_return fail(where(step.error()));
      switch (*step) {
        case http1::Step::kPiece:
          if (reader_.piece().content.empty()) break;
          co_return std::string(reader_.piece().content);
        case http1::Step::kTrailers:
          (void)reader_.take_trailers();
          break;
        case http1::Step::kEnd:
          finish();
          co_return std::nullopt;
        case http1::Step::kHead:
          break;
        case http1::Step::kNeedMore: {
          const Status more = co_await feed();
          if (ended_) co_return std::nullopt;
          if (!more) co_return fail(more.error());
          break;
        }
      }
    }
  }

  void cancel() override {
    cancelled_ = true;
    if (connection_.stream) connection_.stream->close();
  }

 private:
  bool alive() const { return !alive_.expired() && !cancelled_ && connection_.stream; }

  void set_deadline(std::chrono::milliseconds at_most) {
    if (alive()) connection_.stream->set_deadline(client_.clock_.mono() + at_most);
  }

  Error where(Error error) const { return std::move(error).with_context(client_.options_.server.host); }

  Task<Status> feed() {
    if (!alive()) co_return fail(Code::kCancelled, "the request was cancelled");
    tls::IoResult got;
    for (;;) {
      space_.resize(kRead);
      got = connection_.stream->read(space_);
      if (got.status != tls::IoStatus::kWouldBlock) break;
      // Most streams are silent for most of their life: they need no memory for that.
      std::string().swap(space_);
      const bool reads = connection_.stream->read_waits_for() == tls::WaitFor::kRead;
      const Status ready =
          reads ? co_await connection_.stream->wait_readable() : co_await connection_.stream->wait_writable();
      if (!alive()) co_return fail(Code::kCancelled, "the request was cancelled");
      if (!ready) co_return fail(where(ready.error()));
    }
    if (got.status == tls::IoStatus::kOk) {
      reader_.feed(Bytes(space_).substr(0, got.count));
      co_return Status{};
    }
    if (got.status == tls::IoStatus::kTruncated) co_return fail(Code::kClosed, "TLS ended without close_notify");
    if (got.status == tls::IoStatus::kError) {
      co_return fail(where({Code::kClosed, connection_.stream->error_text()}));
    }
    connection_.stream->close();
    const auto end = reader_.finish();
    if (!end || head_.status == 0)
      co_return fail(Code::kClosed, client_.options_.server.host + " ended the connection");
    ended_ = true;
    co_return Status{};
  }

  void finish() {
    ended_ = true;
    if (!alive()) return;
    connection_.stream->clear_deadline();
    const bool more = reader_.has_rest() || reader_.framing().kind == http::Framing::kUntilClose;
    if (more || !http::keeps_alive(head_)) return connection_.stream->close();
    client_.keep(std::move(connection_), head_);
  }

  HttpClient& client_;
  const std::weak_ptr<bool> alive_;
  const std::shared_ptr<Loop> loop_;
  Request request_;
  Connection connection_;
  http1::ResponseReader reader_;
  http::ResponseHead head_;
  std::string space_;
  bool begun_ = false, ended_ = false, cancelled_ = false;
};

HttpClient::HttpClient(boost::asio::io_context& io, const Clock& clock, Options options)
    : clock_(clock), options_(std::move(options)), loop_(std::make_shared<Loop>(io)), timer_(io) {
  loop_->deadlines.tick(clock_.mono());
  tick();
}

HttpClient::~HttpClient() {
  alive_.reset();
  timer_.cancel();
  kept_.clear();
  loop_->readiness.stop();
  // Whoever ends us may have been called by it.
  boost::asio::post(timer_.get_executor(), [loop = loop_] {});
}

void HttpClient::tick() {
  timer_.expires_after(net::kDeadlineTick);
  timer_.async_wait([this, alive = std::weak_ptr(alive_)](const boost::system::error_code& error) {
    if (error || alive.expired()) return;
    loop_->deadlines.tick(clock_.mono());
    std::erase_if(kept_, [&](const Connection& one) { return one.until <= clock_.mono(); });
    tick();
  });
}

std::shared_ptr<HttpClient::Exchange> HttpClient::open(Request request) {
  return std::make_shared<Running>(*this, std::move(request));
}

std::optional<HttpClient::Connection> HttpClient::take_kept() {
  while (!kept_.empty()) {
    Connection newest = std::move(kept_.back());
    kept_.pop_back();
    if (newest.until > clock_.mono() && newest.stream->is_quiet(net::Look::kSocket)) return newest;
  }
  return std::nullopt;
}

void HttpClient::keep(Connection connection, const http::ResponseHead& head) {
  std::chrono::seconds time = options_.limits.kept;
  if (const auto said = kept_by_server(head)) time = std::min(time, *said - std::chrono::seconds(1));
  if (time.count() <= 0 || kept_.size() >= options_.limits.max_kept) return;
  connection.until = clock_.mono() + time;
  kept_.push_back(std::move(connection));
}

Task<Result<HttpClient::Connection>> HttpClient::connect() {
  const std::weak_ptr<bool> alive = alive_;
  const Url& server = options_.server;
  auto dialled = co_await net::dial(loop_->resolver, guard_,
                                    {server.host, server.port, {}, clock_.mono() + options_.limits.connect});
  if (alive.expired()) co_return fail(Code::kCancelled, "the gateway ends");
  if (!dialled) co_return fail(dialled.error().code, dialled.error().message);
  Connection connection;
  connection.known = std::move(dialled->known);
  auto tcp = std::make_unique<net::TcpStream>(std::move(dialled->socket), loop_->readiness, loop_->deadlines);
  tcp->expect_silence();
  connection.stream = std::move(tcp);
  if (server.scheme != "https") co_return connection;
  tls::ClientOptions wanted;
  wanted.server_name = server.host;
  wanted.alpn = {"http/1.1"};
  auto session = options_.trust->connect(*connection.stream, wanted);
  if (!session) co_return fail(std::move(session.error()));
  auto stream = std::make_unique<net::TlsStream>(std::move(connection.stream), *std::move(session));
  stream->set_deadline(clock_.mono() + options_.limits.tls);
  const Status done = co_await stream->handshake();
  if (alive.expired()) co_return fail(Code::kCancelled, "the gateway ends");
  if (!done) {
    const tls::SessionInfo info = stream->session().info();
    const std::string name = authority_text(server.host, server.port, 443);
    if (info.is_untrusted()) {
      co_return fail(Code::kRefused, fmt::format("the certificate of {} is not trusted: {}", name, info.verdict));
    }
    co_return fail(done.error().code, fmt::format("the TLS handshake with {} failed: {}", name, done.error().message));
  }
  stream->clear_deadline();
  connection.stream = std::move(stream);
  co_return connection;
}

}  // namespace sluice::gateway
