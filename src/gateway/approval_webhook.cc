#include "gateway/approval_webhook.h"

#include <fmt/format.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <deque>

#include "base/text.h"
#include "http1/http1.h"
#include "net/deadlines.h"
#include "net/dial.h"
#include "net/readiness.h"
#include "net/spawn.h"
#include "net/tcp_stream.h"
#include "net/tls_stream.h"
#include "tls/context.h"

namespace sluice::gateway {

namespace asio = boost::asio;

namespace {

constexpr int kTries = 3;
constexpr std::size_t kRead = 8 * kKiB;

// An address of this machine for http; for https any.
class Guard final : public net::DialGuard {
 public:
  explicit Guard(bool local) : local_(local) {}
  Status may_dial(std::string_view, const asio::ip::address& address, std::uint16_t) override {
    if (!local_ || address.is_loopback()) return {};
    return fail(Code::kRefused, "http is for this machine only: use https");
  }

 private:
  bool local_;
};

bool is_worth_another_try(int status) { return status >= 500 || status == 408 || status == 429; }

}  // namespace

struct ApprovalWebhook::State : std::enable_shared_from_this<State> {
  struct Waiting {
    std::string body;
    std::int64_t expires_ms;
  };

  State(asio::io_context& given, const Clock& time, Options chosen, Url target)
      : io(given),
        clock(time),
        options(std::move(chosen)),
        url(std::move(target)),
        guard(url.scheme == "http"),
        readiness(io),
        ticker(io),
        pause(io) {}

  void tick() {
    ticker.expires_after(net::kDeadlineTick);
    ticker.async_wait([weak = weak_from_this()](const boost::system::error_code& error) {
      const auto self = weak.lock();
      if (error || !self || !self->busy) return;
      self->deadlines.tick(self->clock.mono());
      self->tick();
    });
  }

  void begin() {
    if (busy || closed || queue.empty()) return;
    busy = true;
    deadlines.tick(clock.mono());
    tick();
    net::spawn(io.get_executor(), work(shared_from_this()), [](std::string_view) {});
  }

  static net::Task<void> work(std::shared_ptr<State> self) {
    while (!self->closed && !self->queue.empty()) {
      const Waiting next = std::move(self->queue.front());
      self->queue.pop_front();
      co_await self->deliver(next);
    }
    self->busy = false;
  }

  net::Task<void> deliver(const Waiting& what) {
    std::string why;
    for (int tries = 1; tries <= kTries && !closed; ++tries) {
      if (unix_ms(clock.wall()) >= what.expires_ms) co_return;
      const auto status = co_await post(what.body);
      if (closed) co_return;
      if (status && *status >= 200 && *status < 300) co_return;
      why = status ? fmt::format("it answered {}", *status) : status.error().message;
      if (status && !is_worth_another_try(*status)) break;
      if (tries == kTries) break;
      pause.expires_after(options.pause * tries);
      boost::system::error_code ignored;
      co_await pause.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
    }
    if (!closed && options.on_failure) options.on_failure(why);
  }

  net::Task<Result<std::unique_ptr<net::Stream>>> connect(MonoTime deadline) {
    auto dialled = co_await net::dial(resolver, guard, {url.host, url.port, {}, deadline});
    if (!dialled) co_return fail(dialled.error().code, dialled.error().message);
    std::unique_ptr<net::Stream> stream =
        std::make_unique<net::TcpStream>(std::move(dialled->socket), readiness, deadlines);
    stream->set_deadline(deadline);
    if (url.scheme != "https") co_return stream;
    tls::ClientOptions wanted;
    wanted.server_name = url.host;
    wanted.verify = tls::Verify::kRequired;
    wanted.alpn = {"http/1.1"};
    auto session = client->connect(*stream, wanted);
    if (!session) co_return fail(std::move(session.error()));
    auto secured = std::make_unique<net::TlsStream>(std::move(stream), *std::move(session));
    secured->set_deadline(deadline);
    if (const Status done = co_await secured->handshake(); !done) {
      const tls::SessionInfo info = secured->session().info();
      if (info.is_untrusted()) co_return fail(Code::kRefused, "its certificate is not trusted: " + info.verdict);
      co_return fail(done.error().code, "the TLS handshake failed: " + done.error().message);
    }
    co_return secured;
  }

  std::string request(const std::string& body) const {
    const std::int64_t seconds = unix_ms(clock.wall()) / 1000;
    http::RequestHead head;
    head.method = "POST";
    head.target = url.target;
    head.fields.append("Host", authority_text(url.host, url.port, default_port(url.scheme)));
    head.fields.append("Content-Type", "application/json");
    head.fields.append("Content-Length", std::to_string(body.size()));
    head.fields.append("Sluice-Signature", webhook_signature(options.key, seconds, body));
    head.fields.append("User-Agent", "Sluice/" SLUICE_VERSION);
    head.fields.append("Connection", "close");
    std::string octets;
    http1::append_head(octets, head);
    return octets + body;
  }

  // The answer's status; nothing else of it is looked at, and no redirect is followed.
  net::Task<Result<int>> post(const std::string& body) {
    const MonoTime deadline = clock.mono() + options.patience;
    auto stream = co_await connect(deadline);
    if (!stream) co_return fail(stream.error());
    const std::string octets = request(body);
    if (const Status sent = co_await (*stream)->write_all(octets); !sent) co_return fail(sent.error());
    HttpLimits limits;
    limits.max_head = 64 * kKiB;
    http1::ResponseReader reader(limits);
    reader.begin("POST");
    std::string space(kRead, '\0');
    for (;;) {
      const auto got = co_await (*stream)->read_some(space);
      if (!got) co_return fail(got.error());
      if (*got == 0) co_return fail(Code::kClosed, "it gave no answer");
      reader.feed(Bytes(space).substr(0, *got));
      const auto step = reader.step();
      if (!step) co_return fail(step.error());
      if (*step == http1::Step::kHead) co_return reader.head().status;
    }
  }

  asio::io_context& io;
  const Clock& clock;
  const Options options;
  const Url url;
  std::shared_ptr<tls::ClientContext> client;  // for https
  Guard guard;
  net::Resolver resolver{1};
  net::Deadlines deadlines;
  net::Readiness readiness;
  asio::steady_timer ticker, pause;
  std::deque<Waiting> queue;
  bool busy = false, closed = false;
};

std::string webhook_signature(const Secret& key, std::int64_t unix_seconds, std::string_view body) {
  const std::string signed_text = fmt::format("{}.{}", unix_seconds, body);
  unsigned char mac[EVP_MAX_MD_SIZE];
  unsigned length = 0;
  if (!HMAC(EVP_sha256(), key.view().data(), static_cast<int>(key.view().size()),
            reinterpret_cast<const unsigned char*>(signed_text.data()), signed_text.size(), mac, &length)) {
    return "";
  }
  return fmt::format("t={},v1={}", unix_seconds, hex_encode(Bytes(reinterpret_cast<const char*>(mac), length)));
}

Result<std::unique_ptr<ApprovalWebhook>> ApprovalWebhook::create(asio::io_context& io, const Clock& clock,
                                                                 Options options) {
  SLUICE_TRY(Url url, parse_url(options.url));
  if (url.scheme != "https" && url.scheme != "http") {
    return fail(Code::kInvalid, "a webhook is an https URL, or an http URL of this machine");
  }
  const bool local =
      url.host == "localhost" || url.host == "::1" || (url.host.starts_with("127.") && is_ip_literal(url.host));
  if (url.scheme == "http" && !local) {
    return fail(Code::kInvalid, "what is sent over http anybody can read: an http webhook is on 127.0.0.1 only");
  }
  const std::vector<std::string> trusted = options.ca_files;
  auto state = std::make_shared<State>(io, clock, std::move(options), std::move(url));
  if (state->url.scheme == "https") {
    SLUICE_TRY(state->client, tls::ClientContext::create({true, trusted}, ""));
  }
  return std::unique_ptr<ApprovalWebhook>(new ApprovalWebhook(std::move(state)));
}

ApprovalWebhook::~ApprovalWebhook() {
  state_->closed = true;
  state_->queue.clear();
  state_->pause.cancel();
  state_->ticker.cancel();
  state_->deadlines.tick(MonoTime::max());  // whatever waits, waits no more
  state_->readiness.stop();
}

void ApprovalWebhook::send(std::string body, std::int64_t expires_ms) {
  if (state_->queue.size() >= kMostWaiting) {
    if (state_->options.on_failure) state_->options.on_failure("too many approvals wait to be announced");
    return;
  }
  state_->queue.push_back({std::move(body), expires_ms});
  state_->begin();
}

}  // namespace sluice::gateway
