#include "gateway/redis_store.h"

#include <fmt/format.h>
#include <hiredis/hiredis.h>
#include <strings.h>

#include <algorithm>
#include <charconv>

#include "base/text.h"
#include "base/url.h"

namespace sluice::gateway {
namespace {

constexpr std::string_view kPrefix = "sluice:counter:";
constexpr std::string_view kMarkKey = "sluice:mark";
constexpr std::size_t kMaxBuckets = 1'000;  // of one key: 61 are used
constexpr std::size_t kMaxValue = 128 * 1024;
constexpr int kTries = 200;  // each that fails, another process's call has passed
constexpr std::chrono::seconds kPause{1};
constexpr std::int64_t kSpareMs = 3'600'000;

// All counters or none; -1: they are not those that were read.
constexpr const char* kScript = R"(
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return -1 end
for i = 2, #KEYS do
  if (redis.call('GET', KEYS[i]) or '') ~= ARGV[3 * i - 4] then return 0 end
end
for i = 2, #KEYS do
  redis.call('SET', KEYS[i], ARGV[3 * i - 3], 'PX', ARGV[3 * i - 2])
end
return 1
)";

std::string to_text(const policy::Buckets& buckets) {
  std::string out;
  for (const auto& bucket : buckets.all()) {
    out += fmt::format("{},{},{};", bucket.number, bucket.used, bucket.given_back);
  }
  return out;
}

bool read_number(std::string_view& rest, char end, std::int64_t& out) {
  const auto parsed = std::from_chars(rest.data(), rest.data() + rest.size(), out);
  if (parsed.ec != std::errc() || parsed.ptr == rest.data() + rest.size() || *parsed.ptr != end || out < 0)
    return false;
  rest.remove_prefix(static_cast<std::size_t>(parsed.ptr - rest.data()) + 1);
  return true;
}

// kIo: it cannot be true; it never reads as zero (A44).
Result<policy::Buckets> read_buckets(std::string_view text) {
  std::vector<policy::Buckets::Bucket> buckets;
  for (std::string_view rest = text; !rest.empty();) {
    policy::Buckets::Bucket bucket;
    const bool whole = read_number(rest, ',', bucket.number) && read_number(rest, ',', bucket.used) &&
                       read_number(rest, ';', bucket.given_back);
    const bool ascending = buckets.empty() || buckets.back().number < bucket.number;
    if (!whole || !ascending || buckets.size() >= kMaxBuckets) {
      return fail(Code::kIo, "Redis holds a counter that cannot be true");
    }
    buckets.push_back(bucket);
  }
  return policy::Buckets(std::move(buckets));
}

// Beyond its window, so that a clock that steps back finds it.
std::int64_t life_ms(policy::Window window) {
  const std::int64_t length = window == policy::Window::kMinute ? 60'000
                              : window == policy::Window::kHour ? 3'600'000
                                                                : 86'400'000;
  return 2 * length + kSpareMs;
}

std::string key_of(std::string_view key) { return std::string(kPrefix).append(key); }

std::string_view text_of(const redisReply& reply) {
  const bool text = reply.type == REDIS_REPLY_STRING || reply.type == REDIS_REPLY_STATUS;
  return text ? std::string_view(reply.str, static_cast<std::size_t>(reply.len)) : std::string_view();
}

}  // namespace

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

void RedisStore::Freer::operator()(redisContext* context) const { redisFree(context); }
void RedisStore::Freer::operator()(redisReply* reply) const { freeReplyObject(reply); }

RedisStore::RedisStore(const Clock& clock, Entropy& entropy, Options options)
    : clock_(clock), entropy_(entropy), options_(std::move(options)) {}

RedisStore::~RedisStore() = default;

Error RedisStore::failed(std::string_view what) {
  context_.reset();
  not_before_ = clock_.mono() + kPause;
  // What only another configuration mends.
  static constexpr std::string_view kLasting[] = {"NOAUTH", "WRONGPASS", "NOPERM", "ERR AUTH", "ERR DB", "ERR invalid"};
  const bool lasting = std::any_of(std::begin(kLasting), std::end(kLasting),
                                   [&](std::string_view word) { return what.starts_with(word); });
  // Callers read this: it does not say where Redis is.
  return {lasting ? Code::kRefused : Code::kUnavailable, fmt::format("Redis cannot be used: {}", what)};
}

Result<RedisStore::ReplyPtr> RedisStore::ask(const std::vector<std::string>& words) {
  std::vector<const char*> texts;
  std::vector<std::size_t> sizes;
  for (const std::string& word : words) {
    texts.push_back(word.data());
    sizes.push_back(word.size());
  }
  ReplyPtr reply(static_cast<redisReply*>(
      redisCommandArgv(context_.get(), static_cast<int>(words.size()), texts.data(), sizes.data())));
  if (!reply) return fail(failed(std::string(context_->errstr)));
  if (reply->type == REDIS_REPLY_ERROR) {
    return fail(failed(std::string(reply->str, static_cast<std::size_t>(reply->len))));
  }
  return reply;
}

Status RedisStore::connect() {
  if (context_) return {};
  if (not_before_ && clock_.mono() < *not_before_) {
    return fail(Code::kUnavailable, "Redis could not be used a moment ago");
  }
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(options_.patience);
  const timeval patience{seconds.count(), std::chrono::microseconds(options_.patience - seconds).count()};
  context_.reset(redisConnectWithTimeout(options_.address.host.c_str(), options_.address.port, patience));
  if (!context_) return fail(failed("there is no memory"));
  if (context_->err) return fail(failed(std::string(context_->errstr)));
  redisSetTimeout(context_.get(), patience);
  Status greeted = greet();
  if (!greeted) {
    context_.reset();
    not_before_ = clock_.mono() + kPause;
  }
  return greeted;
}

Status RedisStore::greet() {
  if (options_.password) {
    SLUICE_TRY(const Secret password, options_.password());
    std::vector<std::string> words{"AUTH"};
    if (!options_.address.user.empty()) words.push_back(options_.address.user);
    words.emplace_back(password.view());
    const auto answer = ask(words);
    ::explicit_bzero(words.back().data(), words.back().size());
    if (!answer) return fail(answer.error());
  }
  SLUICE_CHECK(ask({"SELECT", std::to_string(options_.address.database)}));
  SLUICE_CHECK(check_eviction());
  return take_mark();
}

// A counter that Redis throws away would read as zero.
Status RedisStore::check_eviction() {
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
                                          "noeviction, or counters would begin again",
                                          policy.empty() ? "unknown" : policy));
}

Status RedisStore::take_mark() {
  if (mark_.empty()) {
    const std::string fresh = random_token(entropy_, 16);
    SLUICE_CHECK(ask({"SET", std::string(kMarkKey), fresh, "NX"}));
    SLUICE_TRY(const auto found, ask({"GET", std::string(kMarkKey)}));
    mark_ = text_of(*found);
    return mark_.empty() ? fail(Code::kUnavailable, "Redis does not keep what is written") : Status();
  }
  SLUICE_TRY(const auto found, ask({"GET", std::string(kMarkKey)}));
  if (text_of(*found) == mark_) return {};
  return fail(Code::kUnavailable, "Redis has lost its counters: limited calls are denied until Sluice is started anew");
}

Status RedisStore::check() {
  const std::lock_guard lock(mutex_);
  return connect();
}

Result<RedisStore::Values> RedisStore::load(const std::vector<std::string>& keys) {
  std::vector<std::string> words{"MGET"};
  for (const std::string& key : keys) words.push_back(key_of(key));
  SLUICE_TRY(const auto reply, ask(words));
  if (reply->type != REDIS_REPLY_ARRAY || reply->elements != keys.size()) return fail(failed("a strange answer"));
  Values values;
  for (std::size_t i = 0; i < reply->elements; ++i) {
    const redisReply& one = *reply->element[i];
    const bool good = one.type == REDIS_REPLY_STRING || one.type == REDIS_REPLY_NIL;
    if (!good || static_cast<std::size_t>(one.len) > kMaxValue) return fail(failed("a strange answer"));
    values.emplace_back(text_of(one));
  }
  return values;
}

Result<bool> RedisStore::exchange(const std::vector<std::string>& keys, const Values& before, const Values& after,
                                  const std::vector<std::int64_t>& lives_ms) {
  std::vector<std::string> words{"EVAL", kScript, std::to_string(keys.size() + 1), std::string(kMarkKey)};
  for (const std::string& key : keys) words.push_back(key_of(key));
  words.push_back(mark_);
  for (std::size_t i = 0; i < keys.size(); ++i) {
    words.push_back(before[i]);
    words.push_back(after[i]);
    words.push_back(std::to_string(lives_ms[i]));
  }
  SLUICE_TRY(const auto reply, ask(words));
  if (reply->type != REDIS_REPLY_INTEGER) return fail(failed("a strange answer"));
  if (reply->integer < 0) {
    context_.reset();  // the next connection says why
    return fail(Code::kUnavailable, "Redis has lost its counters");
  }
  return reply->integer == 1;
}

Result<std::variant<policy::Reservation, policy::LimitReached>> RedisStore::reserve(
    std::span<const policy::LimitUse> uses, WallTime now) {
  using Outcome = std::variant<policy::Reservation, policy::LimitReached>;
  const std::lock_guard lock(mutex_);
  if (uses.empty()) return Outcome(policy::Reservation{});
  SLUICE_CHECK(connect());
  std::vector<std::string> keys;
  std::vector<std::int64_t> lives;
  for (const policy::LimitUse& use : uses) {
    keys.push_back(use.key);
    lives.push_back(life_ms(use.window));
  }
  for (int tries = 0; tries < kTries; ++tries) {
    SLUICE_TRY(const Values before, load(keys));
    Values after;
    policy::Reservation reservation;
    for (std::size_t i = 0; i < uses.size(); ++i) {
      SLUICE_TRY(policy::Buckets buckets, read_buckets(before[i]));
      auto counted = buckets.count(uses[i], now);
      if (auto* reached = std::get_if<policy::LimitReached>(&counted)) {
        reached->use = i;
        return Outcome(*reached);
      }
      reservation.parts.push_back(std::get<policy::Reservation::Part>(std::move(counted)));
      after.push_back(to_text(buckets));
    }
    SLUICE_TRY(const bool written, exchange(keys, before, after, lives));
    if (written) return Outcome(std::move(reservation));
  }
  return fail(Code::kUnavailable, "too many others count at once; try again");
}

Status RedisStore::give_back(policy::Reservation& reservation) {
  const policy::Reservation given = std::move(reservation);
  reservation = {};
  const std::lock_guard lock(mutex_);
  if (given.parts.empty()) return {};
  SLUICE_CHECK(connect());
  for (const policy::Reservation::Part& part : given.parts) {
    for (int tries = 0; tries < kTries; ++tries) {
      SLUICE_TRY(const Values before, load({part.key}));
      SLUICE_TRY(policy::Buckets buckets, read_buckets(before.front()));
      if (!buckets.give_back(part)) break;
      SLUICE_TRY(const bool written, exchange({part.key}, before, {to_text(buckets)}, {life_ms(policy::Window::kDay)}));
      if (written) break;
    }
  }
  return {};
}

}  // namespace sluice::gateway
