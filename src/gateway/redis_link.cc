#include "gateway/redis_link.h"

#include <fmt/format.h>
#include <hiredis/hiredis.h>
#include <strings.h>

#include <algorithm>
#include <charconv>

#include "base/text.h"
#include "base/url.h"
#include "gateway/visible_text.h"

namespace sluice::gateway {
namespace {

constexpr std::chrono::seconds kPause{1};
constexpr int kMostPatience = 4;  // of a whole command, as a multiple of that for whatever comes next
constexpr std::string_view kTooSlow = "it answers too slowly";
constexpr std::size_t kMostShown = 200;  // characters of what Redis says
constexpr std::size_t kMostWord = 20;

std::string shown(std::string_view text) {
  const std::string whole = repair_utf8(text);
  return visible_text(utf16_prefix(whole, kMostShown));
}

bool is_upper(char c) { return c >= 'A' && c <= 'Z'; }

}  // namespace

std::string_view text_of(const redisReply& reply) {
  const bool text = reply.type == REDIS_REPLY_STRING || reply.type == REDIS_REPLY_STATUS;
  return text ? std::string_view(reply.str, static_cast<std::size_t>(reply.len)) : std::string_view();
}

Result<RedisAddress> parse_redis_address(std::string_view url) {
  constexpr std::string_view kScheme = "redis://";
  const auto wrong = [](std::string_view what) {
    return fail(Code::kInvalid, fmt::format("--state takes redis://[USER@]HOST[:PORT][/DATABASE]: {}", what));
  };
  if (url.starts_with("rediss://")) return wrong("TLS to Redis is a tunnel's matter (docs/state.md)");
  if (!url.starts_with(kScheme)) return wrong("it begins with redis://");
  std::string_view rest = url.substr(kScheme.size());
  RedisAddress address;
  if (const std::size_t at = rest.rfind('@'); at != std::string_view::npos) {
    address.user = percent_decode(rest.substr(0, at));
    rest.remove_prefix(at + 1);
    if (address.user.find(':') != std::string::npos) return wrong("a password stands in --state-password-file");
  }
  const std::size_t slash = rest.find('/');
  if (slash != std::string_view::npos && slash + 1 < rest.size()) {
    const std::string_view number = rest.substr(slash + 1);
    const auto parsed = std::from_chars(number.data(), number.data() + number.size(), address.database);
    if (parsed.ec != std::errc() || parsed.ptr != number.data() + number.size() || address.database > 1'000'000) {
      return wrong("the database is a number");
    }
  }
  const auto authority = parse_authority(rest.substr(0, slash), address.port);
  if (!authority) return wrong(authority.error().message);
  address.host = authority->host;
  address.port = authority->port;
  return address;
}

std::string to_string(const RedisAddress& address) {
  return fmt::format("redis://{}:{}/{}", address.host, address.port, address.database);
}

void RedisLink::Freer::operator()(redisContext* context) const { redisFree(context); }
void RedisLink::Freer::operator()(redisReply* reply) const { freeReplyObject(reply); }

RedisLink::RedisLink(const Clock& clock, Entropy& entropy, Options options)
    : clock_(clock), entropy_(entropy), options_(std::move(options)) {}

RedisLink::~RedisLink() = default;

Error RedisLink::failed(std::string_view what) {
  // What only another configuration mends.
  static constexpr std::string_view kLasting[] = {"NOAUTH",
                                                  "WRONGPASS",
                                                  "NOPERM",
                                                  "ERR is its answer to AUTH",
                                                  "ERR DB",
                                                  "ERR invalid",
                                                  "ERR The user executing the script"};
  if (what.starts_with("READONLY")) what = "it is a replica, and --state takes the one that is written to";
  const bool lasting = std::any_of(std::begin(kLasting), std::end(kLasting),
                                   [&](std::string_view word) { return what.starts_with(word); });
  // Callers read this: it does not say where Redis is, and moves nothing on their screens.
  return rest({lasting ? Code::kRefused : Code::kUnavailable,
               fmt::format("Redis cannot be used: {}{}", shown(what), lasting ? " (docs/state.md)" : "")});
}

// Who waits for it waits with the thread: it is left alone for ten times as long as that took.
Error RedisLink::rest(Error why) {
  context_.reset();
  const MonoTime now = clock_.mono();
  not_before_ = now + std::max<Duration>(kPause, 10 * (now - began_));
  why_ = why;
  return why;
}

Error RedisLink::lost() {
  context_.reset();
  return {Code::kUnavailable, "Redis has lost its counters and whatever else it kept"};
}

Result<RedisLink::ReplyPtr> RedisLink::ask(const std::vector<std::string>& words) {
  std::vector<const char*> texts;
  std::vector<std::size_t> sizes;
  for (const std::string& word : words) {
    texts.push_back(word.data());
    sizes.push_back(word.size());
  }
  began_ = clock_.mono();
  if (redisAppendCommandArgv(context_.get(), static_cast<int>(words.size()), texts.data(), sizes.data()) != REDIS_OK) {
    return fail(failed(std::string(context_->errstr)));
  }
  SLUICE_TRY(ReplyPtr reply, exchange());
  if (reply->type == REDIS_REPLY_ERROR) {
    return fail(refused(words.front(), std::string_view(reply->str, static_cast<std::size_t>(reply->len))));
  }
  return reply;
}

// What redisGetReply() does, but for its end: there, whoever sends an octet now and then is waited for without one.
Result<RedisLink::ReplyPtr> RedisLink::exchange() {
  const MonoTime end = began_ + kMostPatience * options_.patience;
  for (int done = 0; done == 0;) {
    if (clock_.mono() >= end) return fail(failed(kTooSlow));
    if (redisBufferWrite(context_.get(), &done) != REDIS_OK) return fail(failed(std::string(context_->errstr)));
  }
  while (true) {
    void* reply = nullptr;
    const bool good = redisGetReplyFromReader(context_.get(), &reply) == REDIS_OK;
    if (good && reply) return ReplyPtr(static_cast<redisReply*>(reply));
    if (good && clock_.mono() >= end) return fail(failed(kTooSlow));
    if (!good || redisBufferRead(context_.get()) != REDIS_OK) return fail(failed(std::string(context_->errstr)));
  }
}

// What Redis says to a command. Its text may quote what it was sent, which callers and logs must not show.
Error RedisLink::refused(std::string_view command, std::string_view text) {
  if (command == "AUTH") {
    const std::string_view word = text.substr(0, text.find(' '));
    const bool is_word = word.size() <= kMostWord && std::all_of(word.begin(), word.end(), is_upper);
    return failed(is_word ? fmt::format("{} is its answer to AUTH", word) : "AUTH is refused");
  }
  // Of a moment, and of this write alone: there is nothing wrong with the connection.
  static constexpr std::string_view kOfThisWrite[] = {"OOM ", "NOREPLICAS ", "MISCONF "};
  const bool of_this_write = std::any_of(std::begin(kOfThisWrite), std::end(kOfThisWrite),
                                         [&](std::string_view word) { return text.starts_with(word); });
  if (of_this_write) return {Code::kUnavailable, "Redis does not take this now: " + shown(text)};
  return failed(text);
}

Status RedisLink::connect() {
  if (context_) return {};
  began_ = clock_.mono();
  if (not_before_ && began_ < *not_before_) return fail(why_);
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(options_.patience);
  const timeval patience{seconds.count(), std::chrono::microseconds(options_.patience - seconds).count()};
  context_.reset(redisConnectWithTimeout(options_.address.host.c_str(), options_.address.port, patience));
  if (!context_) return fail(failed("there is no memory"));
  if (context_->err) return fail(failed(std::string(context_->errstr)));
  redisSetTimeout(context_.get(), patience);
  Status greeted = greet();
  if (!greeted) return fail(rest(std::move(greeted).error()));
  return {};
}

Status RedisLink::greet() {
  if (options_.password) {
    const Result<Secret> password = options_.password();
    if (!password) return fail(Code::kUnavailable, "Redis cannot be used: its password cannot be read");
    std::vector<std::string> words{"AUTH"};
    if (!options_.address.user.empty()) words.push_back(options_.address.user);
    words.emplace_back(password->view());
    const auto answer = ask(words);
    ::explicit_bzero(words.back().data(), words.back().size());
    if (!answer) return fail(answer.error());
  }
  SLUICE_CHECK(ask({"SELECT", std::to_string(options_.address.database)}));
  SLUICE_CHECK(check_eviction());
  return take_mark();
}

// A counter that Redis throws away would read as zero, a pin as never seen.
Status RedisLink::check_eviction() {
  SLUICE_TRY(const auto memory, ask({"INFO", "memory"}));
  const std::string_view text = text_of(*memory);
  const auto member = [&](std::string_view name) {
    const std::size_t at = text.find(name);
    if (at == std::string_view::npos) return std::string_view();
    const std::string_view value = text.substr(at + name.size());
    return value.substr(0, value.find_first_of("\r\n"));
  };
  const std::string_view most = member("\nmaxmemory:"), policy = member("\nmaxmemory_policy:");
  if (most == "0" || policy == "noeviction") return {};
  return fail(Code::kRefused, fmt::format("Redis throws keys away when its memory is full (maxmemory-policy {}): set "
                                          "noeviction, or counters and pins would begin again",
                                          policy.empty() ? "unknown" : policy));
}

Status RedisLink::take_mark() {
  if (mark_.empty()) {
    const std::string fresh = random_token(entropy_, 16);
    SLUICE_CHECK(ask({"SET", kMarkKey, fresh, "NX"}));
    SLUICE_TRY(const auto found, ask({"GET", kMarkKey}));
    mark_ = text_of(*found);
    return mark_.empty() ? fail(Code::kUnavailable, "Redis does not keep what is written") : Status();
  }
  SLUICE_TRY(const auto found, ask({"GET", kMarkKey}));
  if (text_of(*found) == mark_) return {};
  return fail(Code::kUnavailable,
              "Redis has lost its counters and whatever else it kept: what needs them is denied until "
              "Sluice is started anew (docs/state.md)");
}

std::optional<RedisLink::Rest> RedisLink::resting() {
  const auto turn = take_turn();
  const MonoTime now = clock_.mono();
  if (context_ || !not_before_ || now >= *not_before_) return std::nullopt;
  return Rest{why_, *not_before_ - now};
}

Status RedisLink::check() {
  const auto turn = take_turn();
  return connect();
}

}  // namespace sluice::gateway
