#include "gateway/redis_state.h"

#include <fmt/format.h>
#include <hiredis/hiredis.h>

#include <algorithm>
#include <charconv>
#include <limits>
#include <map>
#include <tuple>
#include <utility>

#include "base/json.h"
#include "base/text.h"
#include "gateway/credential.h"
#include "gateway/gate_row_json.h"

namespace sluice::gateway {
namespace {

constexpr const char* kGate = "sluice:gate";
constexpr const char* kGrants = "sluice:gate:grants";
constexpr const char* kApprovals = "sluice:gate:approvals";
constexpr const char* kLive = "sluice:gate:live";
constexpr const char* kStanding = "sluice:gate:standing";
constexpr const char* kArguments = "sluice:gate:arguments";
constexpr const char* kEnded = "sluice:gate:ended:";
constexpr const char* kPins = "sluice:gate:pins:";
constexpr std::string_view kPinned = "pins:";           // of fields of kGate
constexpr std::int64_t kVoidKeptMs = 7 * 86'400'000LL;  // for whoever asks what became of it
constexpr int kTries = 200;                             // each that fails, another process's change has passed
constexpr std::chrono::seconds kMostTime{2};            // of a change, however many are faster
// Remembered of a Redis that has gone back: others' changes never bring it so far that it would be trusted again.
constexpr std::int64_t kNeverAgain = std::numeric_limits<std::int64_t>::max();

// Reads what the commands ask for, as of one moment: {-1}: the mark is not ours; else the version and the answers. As
// PERSIST would write, a replica that only reads refuses the script, and so does a Redis that has lost its replicas.
constexpr const char* kReadScript = R"(
redis.call('PERSIST', KEYS[1])
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return {'-1'} end
local answers = {redis.call('HGET', KEYS[2], 'version') or '0'}
local at = 2
for i = 3, #KEYS do
  local count = tonumber(ARGV[at])
  local words = {}
  for j = 2, count do words[#words + 1] = ARGV[at + j] end
  answers[#answers + 1] = redis.call(ARGV[at + 1], KEYS[i], unpack(words))
  at = at + count + 1
end
return answers
)";

// Writes all of it if the version is that of ARGV[2], and raises it: -1: the mark is not ours; 0: it is another.
// ARGV[3] is the part that tells others, or empty.
constexpr const char* kWriteScript = R"(
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return -1 end
if (redis.call('HGET', KEYS[2], 'version') or '0') ~= ARGV[2] then return 0 end
local version = redis.call('HINCRBY', KEYS[2], 'version', 1)
if ARGV[3] ~= '' then redis.call('HINCRBY', KEYS[2], ARGV[3], 1) end
local at = 4
for i = 3, #KEYS do
  local count = tonumber(ARGV[at])
  local words = {}
  for j = 2, count do words[#words + 1] = ARGV[at + j] end
  redis.call(ARGV[at + 1], KEYS[i], unpack(words))
  at = at + count + 1
end
return version
)";

const char* name_of(GateRows::Part part) {
  switch (part) {
    case GateRows::Part::kGrants:
      return "grants";
    case GateRows::Part::kApprovals:
      return "approvals";
    case GateRows::Part::kPins:
      return "pins";
  }
  return "";
}

std::optional<std::int64_t> number_of(std::string_view text) {
  std::int64_t number = 0;
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), number);
  if (parsed.ec != std::errc() || parsed.ptr != text.data() + text.size()) return std::nullopt;
  return number;
}

std::string id_of(const std::string& server, const std::string& target) {
  return credential_hash(fmt::format("{}:{}{}", server.size(), server, target));
}

std::string call_of(const std::string& grant, const std::string& digest) {
  return fmt::format("{}:{}{}", grant.size(), grant, digest);
}

// EVAL's words: each command's key becomes one of its keys, the rest are arguments.
std::vector<std::string> script_words(const char* script, const std::vector<std::string>& leading,
                                      const std::vector<std::vector<std::string>>& commands) {
  std::vector<std::string> words{"EVAL", script, std::to_string(2 + commands.size()), RedisLink::kMarkKey, kGate};
  for (const auto& command : commands) words.push_back(command[1]);
  words.insert(words.end(), leading.begin(), leading.end());
  for (const auto& command : commands) {
    words.push_back(std::to_string(command.size() - 1));
    words.push_back(command[0]);
    words.insert(words.end(), command.begin() + 2, command.end());
  }
  return words;
}

std::optional<std::string> text_in(const redisReply& reply) {
  if (reply.type == REDIS_REPLY_STRING || reply.type == REDIS_REPLY_STATUS) return std::string(text_of(reply));
  return std::nullopt;
}

// Of a command that has one answer; absent: there is nothing.
std::optional<std::string> only(const std::vector<std::optional<std::string>>& texts) {
  return texts.size() == 1 ? texts.front() : std::nullopt;
}

// What is not there any more, or is older than it was, must not be taken for what was agreed to.
Error gone(std::string_view what) {
  return {
      Code::kUnavailable,
      fmt::format("Redis {}: grants, approvals and pins there are not used until a person has looked (docs/state.md)",
                  what)};
}

}  // namespace

RedisState::RedisState(std::shared_ptr<RedisLink> link, std::string memory_path)
    : link_(std::move(link)), memory_(std::move(memory_path)) {}

// Behind an answer from where the mark holds.
Status RedisState::see(std::int64_t version) {
  const std::string place = link_->place();
  if (!known_) {
    const StateMemory::Known first{link_->mark(), version};
    SLUICE_CHECK(memory_.remember(place, first));
    known_ = first;
  }
  if (known_->mark != link_->mark()) return fail(gone("was emptied or replaced"));
  if (version > known_->version) {
    SLUICE_CHECK(memory_.remember(place, {known_->mark, version}));
    known_->version = version;
    // Another process of the home may have seen that it had gone back.
    SLUICE_TRY(const auto kept, memory_.find(place));
    if (kept && kept->version == kNeverAgain) known_->version = kNeverAgain;
  }
  if (version == known_->version) return {};
  if (known_->version != kNeverAgain) {
    known_->version = kNeverAgain;
    // Where the row is not there any more a person has adopted it meanwhile.
    SLUICE_TRY(const auto kept, memory_.find(place));
    if (kept) SLUICE_CHECK(memory_.remember(place, *known_));
  }
  return fail(gone("has gone back to what was before"));
}

Result<std::vector<RedisState::Texts>> RedisState::read(const std::vector<Words>& commands) {
  // Before the question: what another process of the home remembers meanwhile may be newer than the answer.
  if (!known_) {
    SLUICE_TRY(known_, memory_.find(link_->place()));
  }
  std::vector<Texts> answers;
  std::optional<std::int64_t> version;
  {
    const auto turn = link_->take_turn();
    SLUICE_CHECK(link_->connect());
    SLUICE_TRY(const auto reply, link_->ask(script_words(kReadScript, {link_->mark()}, commands)));
    if (reply->type != REDIS_REPLY_ARRAY || reply->elements == 0) return fail(link_->failed("a strange answer"));
    version = number_of(text_of(*reply->element[0]));
    if (version == -1) return fail(link_->lost());
    if (!version || reply->elements != commands.size() + 1) return fail(link_->failed("a strange answer"));
    for (std::size_t i = 1; i < reply->elements; ++i) {
      const redisReply& one = *reply->element[i];
      Texts texts;
      if (one.type != REDIS_REPLY_ARRAY) texts.push_back(text_in(one));
      for (std::size_t j = 0; one.type == REDIS_REPLY_ARRAY && j < one.elements; ++j) {
        texts.push_back(text_in(*one.element[j]));
      }
      answers.push_back(std::move(texts));
    }
  }
  SLUICE_CHECK(see(*version));
  if (!change_) return answers;
  if (!change_->version) change_->version = version;
  change_->overtaken |= change_->version != version;
  return answers;
}

Result<std::vector<std::string>> RedisState::read_fields(const char* key) {
  SLUICE_TRY(auto answers, read({{"HVALS", key}}));
  std::vector<std::string> fields;
  for (std::optional<std::string>& one : answers.front()) fields.push_back(std::move(one).value_or(""));
  return fields;
}

Status RedisState::transact(std::optional<Part> tells, const std::function<Status()>& work) {
  const MonoTime began = link_->now();
  for (int tries = 0; tries < kTries && link_->now() - began < kMostTime; ++tries) {
    change_ = Change();
    const Status done = work();
    Result<bool> written = true;
    if (done && !change_->overtaken && !change_->commands.empty()) written = commit(tells);
    const bool overtaken = change_->overtaken;
    change_.reset();
    if (!written) return fail(std::move(written).error());
    if (!overtaken && *written) return done;
  }
  return fail(Code::kUnavailable, "too many others change it at once; try again");
}

Result<bool> RedisState::commit(std::optional<Part> tells) {
  if (!change_->version) SLUICE_CHECK(read({}));
  const std::string part = tells ? name_of(*tells) : "";
  std::int64_t version = 0;
  {
    const auto turn = link_->take_turn();
    SLUICE_CHECK(link_->connect());
    SLUICE_TRY(const auto reply,
               link_->ask(script_words(kWriteScript, {link_->mark(), std::to_string(*change_->version), part},
                                       change_->commands)));
    if (reply->type != REDIS_REPLY_INTEGER) return fail(link_->failed("a strange answer"));
    if (reply->integer < 0) return fail(link_->lost());
    version = reply->integer;
  }
  if (version == 0) return false;
  SLUICE_CHECK(see(version));
  return true;
}

Status RedisState::change(Words command) {
  change_->commands.push_back(std::move(command));
  return {};
}

Result<RedisState::Overview> RedisState::overview() {
  std::vector<Words> commands;
  for (const Part part : {Part::kGrants, Part::kApprovals, Part::kPins}) {
    commands.push_back({"HGET", kGate, name_of(part)});
  }
  commands.push_back({"HGET", kGate, "admin"});
  SLUICE_TRY(const auto answers, read(commands));
  const auto number = [&](std::size_t i) { return number_of(only(answers[i]).value_or("")).value_or(0); };
  return Overview{number(0), number(1), number(2), only(answers[3]).value_or("")};
}

Result<std::int64_t> RedisState::revision(Part part) {
  SLUICE_TRY(const auto answers, read({{"HGET", kGate, name_of(part)}}));
  const auto text = only(answers.front());
  return text ? number_of(*text).value_or(0) : 0;
}

Result<std::vector<Grant>> RedisState::grants() {
  SLUICE_TRY(const auto rows, read_fields(kGrants));
  std::vector<Grant> all;
  for (const std::string& row : rows) {
    SLUICE_TRY(Grant grant, read_grant_row(row));
    all.push_back(std::move(grant));
  }
  std::sort(all.begin(), all.end(), [](const Grant& a, const Grant& b) { return a.name < b.name; });
  return all;
}

Result<std::string> RedisState::admin_hash() {
  SLUICE_TRY(const auto answers, read({{"HGET", kGate, "admin"}}));
  return only(answers.front()).value_or("");
}

Result<std::vector<RedisState::Brief>> RedisState::briefs() {
  SLUICE_TRY(const auto answers, read({{"HGETALL", kLive}}));
  const Texts& fields = answers.front();
  std::vector<Brief> all;
  for (std::size_t i = 0; i + 1 < fields.size(); i += 2) {
    const std::string text = fields[i + 1].value_or("");
    const std::vector<std::string_view> parts = split(text, ' ');
    const auto expires_ms = parts.size() == 3 ? number_of(parts[0]) : std::nullopt;
    if (!expires_ms) return fail(Code::kIo, "Redis holds an approval that cannot be true");
    all.push_back({fields[i].value_or(""), std::string(parts[1]), std::string(parts[2]), *expires_ms});
  }
  return all;
}

Result<GateRows::Waiting> RedisState::count_waiting(const std::string& grant, std::int64_t after_ms) {
  SLUICE_TRY(const std::vector<Brief> all, briefs());
  Waiting waiting;
  for (const Brief& one : all) {
    if (one.status != "pending" || one.expires_ms <= after_ms) continue;
    ++waiting.of_all;
    waiting.of_grant += one.grant == grant ? 1 : 0;
  }
  return waiting;
}

Result<std::vector<Approval>> RedisState::live_approvals(std::int64_t after_ms, Arguments arguments) {
  std::vector<Words> commands{{"HVALS", kApprovals}};
  if (arguments == Arguments::kWith) commands.push_back({"HGETALL", kArguments});
  SLUICE_TRY(const auto answers, read(commands));
  std::map<std::string, std::string> by_id;
  const Texts none, &fields = answers.size() > 1 ? answers[1] : none;
  for (std::size_t i = 0; i + 1 < fields.size(); i += 2) by_id[fields[i].value_or("")] = fields[i + 1].value_or("");
  std::vector<Approval> live;
  for (const std::optional<std::string>& row : answers.front()) {
    SLUICE_TRY(Approval approval, read_approval_row(row.value_or("")));
    if (!approval.is_live() || approval.expires_ms <= after_ms) continue;
    approval.arguments = by_id[approval.id];
    live.push_back(std::move(approval));
  }
  std::sort(live.begin(), live.end(), [](const Approval& a, const Approval& b) {
    return std::tie(a.created_ms, a.id) < std::tie(b.created_ms, b.id);
  });
  return live;
}

Result<std::optional<Approval>> RedisState::standing_approval(const std::string& grant, const std::string& digest,
                                                              std::int64_t after_ms) {
  SLUICE_TRY(const auto answers, read({{"HGET", kStanding, call_of(grant, digest)}}));
  const auto id = only(answers.front());
  if (!id) return std::optional<Approval>();
  SLUICE_TRY(auto found, approval(*id));
  // Unless it ended between the two questions.
  const bool stands =
      found && found->is_live() && found->expires_ms > after_ms && found->grant == grant && found->digest == digest;
  return stands ? std::move(found) : std::nullopt;
}

Result<std::optional<Approval>> RedisState::approval(const std::string& id) {
  SLUICE_TRY(const auto answers, read({{"HGET", kApprovals, id}, {"HGET", kArguments, id}, {"GET", kEnded + id}}));
  const auto live = only(answers[0]), ended = only(answers[2]);
  if (!live && !ended) return std::optional<Approval>();
  SLUICE_TRY(Approval approval, read_approval_row(live ? *live : *ended));
  if (live) approval.arguments = only(answers[1]).value_or("");
  return std::optional(std::move(approval));
}

Result<std::vector<Pin>> RedisState::pins(const std::string& server, const std::string& target) {
  // Which servers have pins stands beside the version, so that pins which are lost are not taken for none.
  SLUICE_TRY(const auto gate, read({{"HGETALL", kGate}}));
  const Texts& fields = gate.front();
  std::vector<Words> commands;
  for (std::size_t i = 0; i + 1 < fields.size(); i += 2) {
    const std::string name = fields[i].value_or("");
    if (!name.starts_with(kPinned)) continue;
    const auto whose = parse_json(fields[i + 1].value_or(""));
    const bool good =
        whose && whose->is_array() && whose->size() == 2 && (*whose)[0].is_string() && (*whose)[1].is_string();
    if (!good) return fail(Code::kIo, "Redis holds pins that cannot be true");
    if (!server.empty() && (*whose)[0] != server) continue;
    if (!target.empty() && (*whose)[1] != target) continue;
    commands.push_back({"HVALS", kPins + name.substr(kPinned.size())});
  }
  std::vector<Pin> all;
  if (commands.empty()) return all;
  SLUICE_TRY(const auto answers, read(commands));
  for (const Texts& rows : answers) {
    if (rows.empty()) return fail(gone("has lost pins"));
    for (const std::optional<std::string>& row : rows) {
      SLUICE_TRY(Pin pin, read_pin_row(row.value_or("")));
      all.push_back(std::move(pin));
    }
  }
  std::sort(all.begin(), all.end(), [](const Pin& a, const Pin& b) {
    return std::tie(a.server, a.target, a.tool) < std::tie(b.server, b.target, b.tool);
  });
  return all;
}

Status RedisState::put(const Grant& grant) { return change({"HSET", kGrants, grant.name, to_row(grant)}); }

Status RedisState::put_admin_hash(const std::string& hash) { return change({"HSET", kGate, "admin", hash}); }

Status RedisState::put(const Approval& approval) {
  if (!approval.is_live()) return end(approval, kVoidKeptMs);
  Approval row = approval;
  const std::string arguments = std::exchange(row.arguments, "");
  SLUICE_CHECK(change({"HSET", kApprovals, approval.id, to_row(row)}));
  SLUICE_CHECK(change(
      {"HSET", kLive, approval.id, fmt::format("{} {} {}", approval.expires_ms, approval.status, approval.grant)}));
  SLUICE_CHECK(change({"HSET", kStanding, call_of(approval.grant, approval.digest), approval.id}));
  return change({"HSET", kArguments, approval.id, arguments});
}

// It is not looked through any more, and Redis forgets it.
Status RedisState::end(Approval approval, std::int64_t kept_ms) {
  approval.arguments.clear();
  SLUICE_CHECK(change({"HDEL", kApprovals, approval.id}));
  SLUICE_CHECK(change({"HDEL", kArguments, approval.id}));
  SLUICE_CHECK(change({"HDEL", kLive, approval.id}));
  // What stands in its place is put behind this.
  SLUICE_CHECK(change({"HDEL", kStanding, call_of(approval.grant, approval.digest)}));
  return change({"SET", kEnded + approval.id, to_row(approval), "PX", std::to_string(kept_ms)});
}

Status RedisState::retire_approvals(std::int64_t now_ms, std::int64_t kept_ms) {
  SLUICE_TRY(const std::vector<Brief> all, briefs());
  std::vector<Words> commands;
  for (const Brief& one : all) {
    if (one.expires_ms <= now_ms) commands.push_back({"HGET", kApprovals, one.id});
  }
  if (commands.empty()) return {};
  SLUICE_TRY(const auto answers, read(commands));
  for (const Texts& answer : answers) {
    const auto row = only(answer);
    if (!row) continue;
    SLUICE_TRY(Approval approval, read_approval_row(*row));
    // For whoever's clock is behind: nobody decides about a call that cannot be looked at any more.
    if (approval.status != "denied") approval.status = "expired";
    SLUICE_CHECK(end(std::move(approval), kept_ms));
  }
  return {};
}

Status RedisState::put(const Pin& pin) {
  // Rows are JSON, where it would read otherwise: it would not be found again, and each contact be the first.
  if (!is_utf8(pin.server) || !is_utf8(pin.target)) {
    return fail(Code::kRefused, "a server whose name, command or URL is not UTF-8 cannot have pins in Redis");
  }
  const std::string id = id_of(pin.server, pin.target);
  SLUICE_CHECK(change({"HSET", kGate, std::string(kPinned) + id, dump_json(Json::array({pin.server, pin.target}))}));
  return change({"HSET", kPins + id, pin.tool, to_row(pin)});
}

Status RedisState::erase(const Pin& pin) { return change({"HDEL", kPins + id_of(pin.server, pin.target), pin.tool}); }

}  // namespace sluice::gateway
