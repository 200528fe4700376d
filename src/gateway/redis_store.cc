#include "gateway/redis_store.h"

#include <fmt/format.h>
#include <hiredis/hiredis.h>

#include <charconv>

namespace sluice::gateway {
namespace {

constexpr std::string_view kPrefix = "sluice:counter:";
constexpr std::size_t kMaxBuckets = 1'000;  // of one key: 61 are used
constexpr std::size_t kMaxValue = 128 * 1024;
constexpr int kTries = 200;                   // each that fails, another process's call has passed
constexpr std::chrono::seconds kMostTime{2};  // of a reservation, however many are faster
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

}  // namespace

Result<RedisStore::Values> RedisStore::load(const std::vector<std::string>& keys) {
  std::vector<std::string> words{"MGET"};
  for (const std::string& key : keys) words.push_back(key_of(key));
  SLUICE_TRY(const auto reply, link_->ask(words));
  if (reply->type != REDIS_REPLY_ARRAY || reply->elements != keys.size())
    return fail(link_->failed("a strange answer"));
  Values values;
  for (std::size_t i = 0; i < reply->elements; ++i) {
    const redisReply& one = *reply->element[i];
    const bool good = one.type == REDIS_REPLY_STRING || one.type == REDIS_REPLY_NIL;
    if (!good || static_cast<std::size_t>(one.len) > kMaxValue) return fail(link_->failed("a strange answer"));
    values.emplace_back(text_of(one));
  }
  return values;
}

Result<bool> RedisStore::exchange(const std::vector<std::string>& keys, const Values& before, const Values& after,
                                  const std::vector<std::int64_t>& lives_ms) {
  std::vector<std::string> words{"EVAL", kScript, std::to_string(keys.size() + 1), RedisLink::kMarkKey};
  for (const std::string& key : keys) words.push_back(key_of(key));
  words.push_back(link_->mark());
  for (std::size_t i = 0; i < keys.size(); ++i) {
    words.push_back(before[i]);
    words.push_back(after[i]);
    words.push_back(std::to_string(lives_ms[i]));
  }
  SLUICE_TRY(const auto reply, link_->ask(words));
  if (reply->type != REDIS_REPLY_INTEGER) return fail(link_->failed("a strange answer"));
  if (reply->integer < 0) return fail(link_->lost());
  return reply->integer == 1;
}

Result<std::variant<policy::Reservation, policy::LimitReached>> RedisStore::reserve(
    std::span<const policy::LimitUse> uses, WallTime now) {
  using Outcome = std::variant<policy::Reservation, policy::LimitReached>;
  const auto turn = link_->take_turn();
  if (uses.empty()) return Outcome(policy::Reservation{});
  SLUICE_CHECK(link_->connect());
  std::vector<std::string> keys;
  std::vector<std::int64_t> lives;
  for (const policy::LimitUse& use : uses) {
    keys.push_back(use.key);
    lives.push_back(life_ms(use.window));
  }
  const MonoTime began = link_->now();
  for (int tries = 0; tries < kTries && link_->now() - began < kMostTime; ++tries) {
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
  const auto turn = link_->take_turn();
  if (given.parts.empty()) return {};
  SLUICE_CHECK(link_->connect());
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
