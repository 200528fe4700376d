#include "gateway/oauth_fetch.h"

#include "gateway/http_client.h"

namespace sluice::gateway {

using net::Task;

namespace {

constexpr ByteCount kMost = 256 * kKiB;
constexpr std::chrono::seconds kPatience{20};

}  // namespace

Task<Result<OAuthAnswer>> oauth_fetch(OAuthWay way, OAuthRequest request, std::string what) {
  auto url = check_oauth_url(request.url, way.reach, what);
  if (!url) co_return fail(url.error());
  HttpClient::Request sent{std::move(request.method), url->target, {}, std::move(request.body)};
  HttpClient::Options options;
  options.only_loopback = url->scheme == "http";
  options.never_loopback = way.reach != Reach::kThisMachine;
  if (url->scheme == "https") {
    auto trust = way.trust();
    if (!trust) co_return fail(std::move(trust.error()));
    options.trust = *std::move(trust);
  }
  options.server = *std::move(url);
  options.limits.max_kept = 0;
  HttpClient client(way.io, way.clock, std::move(options));
  sent.fields.emplace_back("Accept", "application/json, text/event-stream");
  if (!request.content_type.empty()) sent.fields.emplace_back("Content-Type", request.content_type);
  if (!request.authorization.empty()) sent.fields.emplace_back("Authorization", request.authorization);

  const MonoTime until = way.clock.mono() + kPatience;
  const auto left = [&] {
    return std::max(std::chrono::duration_cast<std::chrono::milliseconds>(until - way.clock.mono()),
                    std::chrono::milliseconds(1));
  };
  const auto exchange = client.open(std::move(sent));
  if (const Status out = co_await exchange->send(); !out) co_return fail(Error(out.error()).with_context(what));
  auto head = co_await exchange->read_head(left());
  if (!head) co_return fail(std::move(head.error()).with_context(what));
  OAuthAnswer answer;
  answer.status = head->status;
  answer.challenge = head->fields.joined("www-authenticate").value_or("");
  if (head->status >= 300 && head->status < 400) {
    exchange->cancel();
    co_return answer;
  }
  for (;;) {
    auto piece = co_await exchange->read_piece(left());
    if (!piece) co_return fail(std::move(piece.error()).with_context(what));
    if (!*piece) co_return answer;
    if (answer.body.size() + (*piece)->size() > kMost) {
      exchange->cancel();
      co_return fail(Code::kTooLarge, what + ": the answer is longer than 256 KiB");
    }
    answer.body += **piece;
  }
}

}  // namespace sluice::gateway
