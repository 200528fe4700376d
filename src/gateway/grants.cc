#include "gateway/grants.h"

#include <algorithm>

#include "gateway/credential.h"

namespace sluice::gateway {
namespace {

// Between looks: ten times as long as one takes, so that a Redis far away does not slow each call down.
constexpr Duration kLeastPause = std::chrono::milliseconds(5), kMostPause = std::chrono::milliseconds(250);

}  // namespace

void Grants::set_options(Options options) {
  options_ = std::move(options);
  default_hash_ = options_.default_token.empty() ? "" : credential_hash(options_.default_token);
}

std::int64_t Grants::now() {
  newest_ms_ = std::max(newest_ms_, unix_ms(clock_.wall()));
  return newest_ms_;
}

Result<std::int64_t> Grants::read_revision() {
  return mirror_ ? mirror_->revision(GateRows::Part::kGrants) : store_.revision();
}

Result<std::vector<Grant>> Grants::read_all() {
  if (!mirror_) return store_.load();
  SLUICE_TRY(const auto* known, mirror_->grants());
  return *known;
}

void Grants::refresh() {
  const MonoTime began = clock_.mono();
  const auto revision = read_revision();
  bool changed = false;
  Status read = revision ? Status() : fail(revision.error());
  if (read && (*revision != revision_ || !readable_)) {
    if (auto loaded = read_all()) {
      grants_ = *std::move(loaded);
      revision_ = *revision;
      changed = true;
    } else {
      read = fail(std::move(loaded).error());
    }
  }
  if (!read && readable_) {
    grants_.clear();
    changed = true;
    if (told_) told_(read.error().message);
  }
  readable_ = read.has_value();
  why_ = readable_ ? "" : read.error().message;
  looked_ = clock_.mono();
  pause_ = std::clamp<Duration>(10 * (looked_ - began), kLeastPause, kMostPause);
  if (changed && changed_) changed_();
}

const Grant* Grants::find(std::string_view name) const {
  const auto found = std::find_if(grants_.begin(), grants_.end(), [&](const Grant& one) { return one.name == name; });
  return found == grants_.end() ? nullptr : &*found;
}

// Of a grant that is live: its own token's hash, the one before for a while, or none where it has none.
bool Grants::holds(const Grant& grant, std::string_view credential) const {
  if (grant.hash.empty()) return grant.stdio && credential.empty();
  const bool own = same_hash(grant.hash, credential);
  const bool before = same_hash(grant.old_hash, credential) && newest_ms_ < grant.old_until_ms;
  return own || before;
}

bool Grants::is_ours(const Grant& grant) const {
  const auto& also = options_.also;
  return grant.server == options_.server || std::find(also.begin(), also.end(), grant.server) != also.end();
}

Identity Grants::identity_of(const std::string& grant, std::string credential) const {
  Identity identity;
  identity.caller.grant = grant;
  identity.caller.credential = std::move(credential);
  identity.profile = profile_of_(grant);
  return identity;
}

// The one that is live and shows this, among what was read last.
const Grant* Grants::recognise(std::string_view hash) {
  const std::int64_t at = now();
  const Grant* found = nullptr;
  // All of them, whatever was found: how long it takes tells nothing.
  for (const Grant& grant : grants_) {
    const bool fits = !grant.hash.empty() && holds(grant, hash);
    if (fits && grant.is_live(at) && is_ours(grant)) found = &grant;
  }
  return found;
}

// Where a look takes long there are fewer of them, as of is_valid().
bool Grants::may_look_for_new() {
  const Duration each = std::max<Duration>(kLookEach, mirror_ ? mirror_->pause() : pause_);
  const MonoTime now = clock_.mono();
  const auto more = static_cast<std::size_t>(std::max<Duration::rep>((now - looks_since_) / each, 0));
  if (more > 0) {
    looks_left_ = std::min(kMostLooks, looks_left_ + std::min(more, kMostLooks));
    looks_since_ = now;
  }
  if (looks_left_ == 0) return false;
  --looks_left_;
  return true;
}

std::optional<Identity> Grants::identify(std::optional<std::string_view> token) {
  // All grants' tokens look so: what does not is none, however new.
  const bool may_be_grant = token && token->starts_with(kGrantPrefix);
  const std::string hash = token ? credential_hash(*token) : "";
  const Grant* found = nullptr;
  if (may_be_grant) {
    const bool known = recognise(hash) != nullptr;
    if (mirror_ || known || may_look_for_new()) {
      refresh();
      found = recognise(hash);
      if (found && !known && !mirror_) found_new();
    }
  }
  const bool is_default = same_hash(default_hash_, hash);
  if (found) return identity_of(found->name, hash);
  if (is_default) return identity_of("default", "");
  // What was a grant's token once must not fall back to something larger.
  if (!options_.needs_token && !may_be_grant) return identity_of("default", "");
  return std::nullopt;
}

bool Grants::must_look(std::optional<std::string_view> token) const {
  return mirror_ && token && token->starts_with(kGrantPrefix);
}

void Grants::look(std::string_view token, std::function<void()> then) {
  const std::string hash = credential_hash(token);
  const bool known = recognise(hash) != nullptr;
  mirror_->look([this, hash, known, then = std::move(then)] {
    refresh();
    if (!known && recognise(hash)) found_new();
    then();
  });
}

bool Grants::may_be_new(std::optional<std::string_view> token) { return must_look(token) && may_look_for_new(); }

Result<Identity> Grants::identify_stdio(const std::string& name, std::string_view token) {
  refresh();
  const std::int64_t at = now();
  const Grant* grant = find(name);
  const bool live = grant && grant->is_live(at) && is_ours(*grant);
  if (live && !grant->hash.empty() && token.empty()) {
    return fail(Code::kRefused, "the grant '" + name + "' needs its token in the environment: SLUICE_GRANT_TOKEN");
  }
  if (!readable_) return fail(Code::kUnavailable, "grants cannot be read: " + why_);
  const std::string hash = token.empty() ? "" : credential_hash(token);
  // A grant without a token is known by its name alone, whatever else the environment holds.
  const std::string credential = live && grant->hash.empty() ? "" : hash;
  if (!live || !holds(*grant, credential)) {
    return fail(Code::kRefused, "the grant '" + name + "' cannot be used: it or its token is unknown, or has ended");
  }
  return identity_of(name, credential);
}

bool Grants::is_valid(const Caller& caller) {
  if (caller.grant == "default" || caller.grant == "owner") return true;
  // A list asks once for each tool.
  if (mirror_ || clock_.mono() - looked_ >= pause_) refresh();
  const std::int64_t at = now();
  const Grant* grant = find(caller.grant);
  return grant && grant->is_live(at) && is_ours(*grant) && holds(*grant, caller.credential);
}

}  // namespace sluice::gateway
