#include "analysis/ring_text_index.h"

#include <fmt/format.h>

#include <array>
#include <utility>

#include "analysis/body.h"

namespace sluice::analysis {
namespace {

using capture::TextPagesFile;
using flow::Direction;

constexpr std::size_t kAtOnce = 128;  // exchanges whose heads are copied with the ring locked
constexpr std::uint64_t kFirstStretch = 512;
constexpr std::size_t kMostRows = 65'536;
constexpr std::chrono::seconds kPause{1};

// Those that have ended, behind a revision.
capture::Filter ended_after(std::uint64_t rev) {
  capture::Filter filter;
  filter.states = {flow::State::kDone, flow::State::kFailed, flow::State::kAborted, flow::State::kDropped};
  filter.after_rev = rev;
  return filter;
}

}  // namespace

struct RingTextIndex::Text {
  std::string id;
  std::uint64_t rev = 0;
  bool folded = false;  // values over several lines are searched joined, which these octets are not
  std::string heads;    // and the URL
  std::string request_coding, response_coding;
  bool request_body = false, response_body = false;
};

void WithoutText::set(std::uint64_t rev) {
  if (none_.empty()) first_ = rev;
  none_.resize(static_cast<std::size_t>(rev - first_) + 1);
  none_.back() = true;
}

RingTextIndex::RingTextIndex(const capture::Ring& ring, FileSystem& files, const Clock& clock, std::string directory,
                             ByteCount unit_text)
    : ring_(ring), files_(files), clock_(clock), directory_(std::move(directory)), unit_text_(unit_text) {}

// ---- any thread ----

void RingTextIndex::want() {
  const std::lock_guard guard(mutex_);
  wanted_at_ = clock_.mono();
  changed_.notify_all();
}

WithoutText RingTextIndex::without(std::string_view text) {
  WithoutText without;
  const auto slots = capture::slots_of(text);
  if (slots.empty()) return without;
  std::vector<bool> may;
  const std::lock_guard guard(mutex_);
  for (const auto& [path, unit] : units_) {
    if (unit.last() - units_.front().second.first() > static_cast<std::int64_t>(kMostRevs)) break;
    if (!unit.rows_that_may_hold(slots, may)) continue;
    for (std::size_t row = 0; row < may.size(); ++row) {
      if (!may[row]) without.set(unit.rows()[row]);
    }
  }
  return without;
}

void RingTextIndex::stop() {
  const std::lock_guard guard(mutex_);
  stopped_ = true;
  changed_.notify_all();
}

// ---- its thread ----

void RingTextIndex::work_until_stopped() {
  for (;;) {
    const bool goes_on = work();
    std::unique_lock guard(mutex_);
    if (stopped_) return;
    if (goes_on) continue;
    const auto awake = [this] { return stopped_ || wanted_at_; };
    if (!awake() && units_.empty()) changed_.wait(guard, awake);
    if (!stopped_) changed_.wait_for(guard, kPause, [this] { return stopped_; });
    if (stopped_) return;
  }
}

bool RingTextIndex::work() {
  remove_gone();
  {
    const std::lock_guard guard(mutex_);
    if (wanted_at_ && clock_.mono() - *wanted_at_ > kStays) wanted_at_.reset();
    if (!wanted_at_ || stopped_ || broken_) {
      if (!wanted_at_) forget();
      return false;
    }
  }
  const std::vector<Text> texts = next_texts();
  for (const Text& text : texts) {
    {
      const std::lock_guard guard(mutex_);
      if (stopped_) return false;
    }
    if (unit_.empty()) first_rev_ = text.rev;
    if (!add(text)) unit_.add_unknown(text.rev);
    last_rev_ = text.rev;
    const bool full = unit_.text() >= unit_text_ || unit_.pages() >= capture::TextPagesBuilder::kMostPages ||
                      unit_.rows() >= kMostRows;
    if (full) save();
  }
  return !texts.empty() && !broken_;
}

// What is begun is not kept for a search that may never come; it is gone through again then.
void RingTextIndex::forget() {
  if (unit_.empty()) return;
  unit_ = {};
  last_rev_ = units_.empty() ? 0 : static_cast<std::uint64_t>(units_.back().second.last());
}

void RingTextIndex::remove_gone() {
  for (;;) {
    capture::Filter filter = ended_after(0);
    {
      const std::lock_guard guard(mutex_);
      if (units_.empty()) return;
      filter.before_rev = static_cast<std::uint64_t>(units_.front().second.last()) + 1;
    }
    bool any = false;
    ring_.glance(filter, [&](const capture::Glance&) {
      any = true;
      return false;
    });
    if (any) return;
    const std::lock_guard guard(mutex_);
    (void)files_.remove(units_.front().first);
    units_.pop_front();
  }
}

// A stretch of revisions at a time, so that the ring is not locked for long.
std::vector<RingTextIndex::Text> RingTextIndex::next_texts() const {
  std::vector<Text> texts;
  const std::uint64_t newest = ring_.last_rev();
  capture::Filter filter = ended_after(last_rev_);
  for (std::uint64_t stretch = kFirstStretch; texts.empty() && *filter.after_rev < newest; stretch *= 2) {
    filter.before_rev = *filter.after_rev + stretch + 1;
    ring_.glance(filter, [&](const capture::Glance& glance) {
      take(texts.emplace_back(), glance);
      return texts.size() < kAtOnce;
    });
    filter.after_rev = *filter.before_rev - 1;
  }
  return texts;
}

void RingTextIndex::take(Text& text, const capture::Glance& glance) {
  text.id = glance.id();
  text.rev = glance.rev;
  text.folded = (glance.anomalies & http::bit(http::Anomaly::kObsFold)) != 0;
  for (const Bytes part : {Bytes(glance.url), glance.request_head, glance.request_trailers, glance.response_head,
                           glance.response_trailers}) {
    text.heads.append(part).append("\n");
  }
  text.request_body = glance.request_stored > 0;
  text.response_body = glance.response_stored > 0;
  if (text.request_body) text.request_coding = content_coding(glance.request_head);
  if (text.response_body) text.response_coding = content_coding(glance.response_head);
}

// False: nobody knows what is in it.
bool RingTextIndex::add(const Text& text) {
  if (text.folded) return false;
  std::array<std::string, 2> bodies;
  for (const Direction direction : {Direction::kRequest, Direction::kResponse}) {
    const bool request = direction == Direction::kRequest;
    if (!(request ? text.request_body : text.response_body)) continue;
    std::string& body = bodies[request ? 0 : 1];
    BodyStream stream(ring_, text.id, direction, request ? text.request_coding : text.response_coding,
                      {.budget = kIndexedBody});
    while (body.size() < kIndexedBody) {
      const auto piece = stream.next();
      if (!piece && piece.error().code != Code::kNotFound) return false;
      if (!piece || piece->empty()) break;  // its end, or it left the ring: nobody will find it there
      body.append(*piece);
    }
  }
  const std::array<Bytes, 3> all{text.heads, bodies[0], bodies[1]};
  unit_.add(text.rev, all);
  return true;
}

void RingTextIndex::save() {
  const auto first = static_cast<std::int64_t>(first_rev_), last = static_cast<std::int64_t>(last_rev_);
  const std::string path = fmt::format("{}/{:016}.tri", directory_, first);
  const std::string octets = unit_.octets(0, first, last);
  unit_ = {};
  const bool saved = files_.make_directories(directory_) && files_.save_file(path, octets);
  auto file = saved ? TextPagesFile::load(files_, path, 0) : std::nullopt;
  if (!file) {
    (void)files_.remove(path);
    broken_ = true;
    return;
  }
  const std::lock_guard guard(mutex_);
  units_.emplace_back(path, *std::move(file));
}

}  // namespace sluice::analysis
