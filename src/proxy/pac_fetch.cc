#include "proxy/pac_fetch.h"

#include "base/text.h"
#include "http1/http1.h"
#include "net/tcp_stream.h"
#include "net/tls_stream.h"
#include "pac/wire.h"
#include "proxy/route.h"

namespace sluice::proxy {
namespace {

constexpr std::size_t kRead = 16 * kKiB;

struct Answer {
  http::ResponseHead head;
  std::string body;
};

struct Connection {
  std::unique_ptr<net::Stream> stream;
  std::shared_ptr<const void> known;  // to the guard
};

net::Task<Result<Connection>> connect(PacFetchDeps around, const Url& url, MonoTime deadline) {
  net::Grants grants;
  add_grant(grants, around.grant);
  auto dialled = co_await net::dial(around.deps.resolver, around.deps.guard,
                                    {url.host, url.port, std::move(grants), deadline, around.deps.mark});
  if (!dialled) co_return fail(dialled.error().code, dialled.error().message);
  Connection connection;
  connection.known = std::move(dialled->known);
  connection.stream = std::make_unique<net::TcpStream>(std::move(dialled->socket), around.readiness, around.deadlines);
  connection.stream->set_deadline(deadline);
  if (url.scheme != "https") co_return connection;

  tls::ClientOptions options;
  options.server_name = url.host;
  options.verify = tls::Verify::kRequired;
  options.alpn = {"http/1.1"};
  auto session = around.deps.client_tls->connect(*connection.stream, options);
  if (!session) co_return fail(std::move(session.error()));
  auto stream = std::make_unique<net::TlsStream>(std::move(connection.stream), *std::move(session));
  stream->set_deadline(deadline);
  const Status done = co_await stream->handshake();
  if (!done) {
    const tls::SessionInfo info = stream->session().info();
    const std::string where = authority_text(url.host, url.port, 443);
    if (info.is_untrusted()) {
      co_return fail(Code::kRefused, "the certificate of " + where + " is not trusted: " + info.verdict);
    }
    co_return fail(done.error().code, "the TLS handshake with " + where + " failed: " + done.error().message);
  }
  connection.stream = std::move(stream);
  co_return connection;
}

std::string request_for(const Url& url) {
  http::RequestHead head;
  head.method = "GET";
  head.target = url.target;
  head.fields.append("Host", authority_text(url.host, url.port, default_port(url.scheme)));
  head.fields.append("Accept", "application/x-ns-proxy-autoconfig, application/x-javascript-config, */*");
  head.fields.append("Accept-Encoding", "identity");
  head.fields.append("User-Agent", "Sluice/" SLUICE_VERSION);
  head.fields.append("Connection", "close");
  std::string octets;
  http1::append_head(octets, head);
  return octets;
}

// Takes what the reader has found; true at the message's end.
Result<bool> take(http1::ResponseReader& reader, Answer& answer) {
  for (;;) {
    SLUICE_TRY(const http1::Step step, reader.step());
    switch (step) {
      case http1::Step::kNeedMore:
        return false;
      case http1::Step::kHead:
        answer.head = std::move(reader.head());
        break;
      case http1::Step::kPiece:
        answer.body += reader.piece().content;
        if (answer.body.size() > pac::kMostScript) return fail(Code::kTooLarge, "it is larger than 1 MiB");
        break;
      case http1::Step::kTrailers:
        (void)reader.take_trailers();
        break;
      case http1::Step::kEnd:
        return true;
    }
  }
}

net::Task<Result<Answer>> get(PacFetchDeps around, const Url& url, MonoTime deadline) {
  auto connection = co_await connect(around, url, deadline);
  if (!connection) co_return fail(std::move(connection.error()));
  net::Stream& stream = *connection->stream;
  const std::string request = request_for(url);
  if (const Status sent = co_await stream.write_all(request); !sent) co_return fail(sent.error());
  HttpLimits limits;
  limits.max_head = 64 * kKiB;
  http1::ResponseReader reader(limits);
  reader.begin("GET");
  Answer answer;
  std::string space(kRead, '\0');
  for (;;) {
    const auto got = co_await stream.read_some(space);
    if (!got) co_return fail(got.error());
    if (*got == 0) break;
    reader.feed(Bytes(space).substr(0, *got));
    const auto whole = take(reader, answer);
    if (!whole) co_return fail(whole.error());
    if (*whole) co_return answer;
  }
  if (const auto end = reader.finish(); !end || answer.head.status == 0) {
    co_return fail(Code::kClosed, "the answer was cut short");
  }
  co_return answer;
}

bool is_redirect(int status) {
  return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

}  // namespace

Result<Url> redirect_target(const Url& base, std::string_view location) {
  location = trim(location.substr(0, location.find('#')));
  std::string absolute;
  const std::string origin = base.scheme + "://" + authority_text(base.host, base.port, default_port(base.scheme));
  const std::size_t colon = location.find(':');
  if (colon != std::string_view::npos && colon < location.find_first_of("/?")) {
    absolute = location;
  } else if (location.starts_with("//")) {
    absolute = base.scheme + ":" + std::string(location);
  } else if (location.starts_with('/')) {
    absolute = origin + std::string(location);
  } else {
    const std::string_view path = std::string_view(base.target).substr(0, base.target.find('?'));
    const std::size_t keep = location.starts_with('?') ? path.size() : path.rfind('/') + 1;
    absolute = origin + std::string(path.substr(0, keep)) + std::string(location);
  }
  SLUICE_TRY(Url url, parse_url(absolute));
  if (url.scheme != "http" && url.scheme != "https") {
    return fail(Code::kInvalid, "a redirect leads to a scheme other than http and https");
  }
  if (base.scheme == "https" && url.scheme == "http") {
    return fail(Code::kRefused, "a redirect leads from https to http");
  }
  return url;
}

net::Task<Result<std::string>> fetch_pac(PacFetchDeps around, Url url, MonoTime deadline, std::size_t redirects) {
  const std::string begin = "could not be fetched: ";
  for (std::size_t followed = 0;; ++followed) {
    auto answer = co_await get(around, url, deadline);
    if (!answer) {
      const bool late = answer.error().code == Code::kTimeout;
      co_return fail(answer.error().code, begin + (late ? "it took too long" : answer.error().message));
    }
    const http::ResponseHead& head = answer->head;
    if (is_redirect(head.status)) {
      if (followed == redirects) co_return fail(Code::kInvalid, begin + "there are too many redirects");
      auto next = redirect_target(url, head.fields.find("Location").value_or(""));
      if (!next) co_return fail(next.error().code, begin + next.error().message);
      url = *std::move(next);
      continue;
    }
    if (head.status != 200) {
      co_return fail(Code::kUnavailable, begin + "the server answered " + std::to_string(head.status));
    }
    const auto coding = head.fields.joined("Content-Encoding");
    if (coding && !iequals(trim(*coding), "identity")) {
      co_return fail(Code::kInvalid, begin + "the server answered with a content coding that nobody asked for");
    }
    co_return std::move(answer->body);
  }
}

}  // namespace sluice::proxy
