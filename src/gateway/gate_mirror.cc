#include "gateway/gate_mirror.h"

#include <algorithm>
#include <utility>

namespace sluice::gateway {
namespace {

constexpr Duration kLeastPause = std::chrono::milliseconds(5), kMostPause = std::chrono::milliseconds(250);
constexpr Duration kLate = 2 * GateMirror::kEach;  // of the timer

}  // namespace

GateMirror::GateMirror(boost::asio::any_io_executor control, const Clock& clock, StateLane& lane, RedisState& rows)
    : clock_(clock),
      lane_(lane),
      rows_(rows),
      timer_(std::move(control)),
      readable_(fail(Code::kUnavailable, "the state was not read yet")) {}

GateMirror::~GateMirror() = default;

Result<GateMirror::Known> GateMirror::read(RedisState& rows, Known before, std::int64_t now_ms) {
  Known known = std::move(before);
  SLUICE_TRY(auto now, rows.overview());
  const RedisState::Overview was = std::exchange(known.overview, std::move(now));
  if (known.overview.grants != was.grants) {
    SLUICE_TRY(known.grants, rows.grants());
  }
  if (known.overview.approvals != was.approvals) {
    SLUICE_TRY(const auto live, rows.live_approvals(now_ms, GateRows::Arguments::kWithout));
    known.waiting_until_ms.clear();
    for (const Approval& one : live) {
      if (one.is_open(now_ms)) known.waiting_until_ms.push_back(one.expires_ms);
    }
  }
  return known;
}

void GateMirror::prime() {
  const MonoTime began = clock_.mono();
  take(read(rows_, {}, unix_ms(clock_.wall())), began);
}

void GateMirror::start() {
  ticked_ = clock_.mono();
  wait();
}

void GateMirror::wait() {
  timer_.expires_after(kEach);
  timer_.async_wait([this](const boost::system::error_code& error) {
    if (error) return;
    const MonoTime now = clock_.mono();
    if (now - *ticked_ > kLate) woke_ = now;
    ticked_ = now;
    if (!looking_) begin();
    wait();
  });
}

void GateMirror::begin() {
  looking_ = true;
  const MonoTime began = clock_.mono();
  const auto found = std::make_shared<Result<Known>>(known_);
  const std::int64_t now_ms = unix_ms(clock_.wall());
  StateLane::Piece piece;
  piece.work = [rows = &rows_, found, now_ms] { *found = read(*rows, std::move(**found), now_ms); };
  piece.done = [this, weak = std::weak_ptr(alive_), found, began](Status done) {
    if (weak.expired()) return;
    take(done ? std::move(*found) : Result<Known>(fail(std::move(done).error())), began);
  };
  lane_.submit(StateLane::Kind::kLook, std::move(piece));
}

void GateMirror::take(Result<Known> read, MonoTime began) {
  looking_ = false;
  began_ = began;
  readable_ = read ? Status() : fail(read.error());
  if (read) known_ = *std::move(read);
  pause_ = std::clamp<Duration>(10 * (clock_.mono() - began), kLeastPause, kMostPause);
  const auto ready = std::exchange(waiting_, std::exchange(later_, {}));
  if (!waiting_.empty()) begin();
  const std::weak_ptr alive(alive_);
  for (const auto& then : ready) {
    if (!alive.expired()) then();
  }
}

void GateMirror::look(std::function<void()> then) {
  if (!readable_) return then();  // it is tried again without anybody who waits
  // What is under way may have been answered before.
  if (looking_) return later_.push_back(std::move(then));
  waiting_.push_back(std::move(then));
  begin();
}

void GateMirror::look_soon(std::function<void()> then) {
  if (clock_.mono() - began_ < pause_) return then();
  look(std::move(then));
}

Status GateMirror::usable() const {
  if (!readable_) return readable_;
  const MonoTime now = clock_.mono();
  const bool stands_still = ticked_ && now - *ticked_ > kLate;
  if (stands_still || now - std::max(began_, woke_) < kMostAge) return {};
  return fail(Code::kUnavailable, "Redis cannot be used: it answers too slowly");
}

Result<std::int64_t> GateMirror::revision(GateRows::Part part) const {
  SLUICE_CHECK(usable());
  switch (part) {
    case GateRows::Part::kGrants:
      return known_.overview.grants;
    case GateRows::Part::kApprovals:
      return known_.overview.approvals;
    case GateRows::Part::kPins:
      return known_.overview.pins;
  }
  return 0;
}

Result<const std::vector<Grant>*> GateMirror::grants() const {
  SLUICE_CHECK(usable());
  return &known_.grants;
}

Result<std::string> GateMirror::admin_hash() const {
  SLUICE_CHECK(usable());
  return known_.overview.admin_hash;
}

Result<std::size_t> GateMirror::count_waiting(std::int64_t now_ms) const {
  SLUICE_CHECK(usable());
  const auto& all = known_.waiting_until_ms;
  return static_cast<std::size_t>(std::count_if(all.begin(), all.end(), [&](auto until) { return now_ms < until; }));
}

}  // namespace sluice::gateway
