#include "codings/stage.h"

#include <utility>

namespace sluice::codings {

Status MemberStage::accept(Bytes octets) {
  while (!octets.empty() && state_ != State::kAfter) {
    if (state_ == State::kInside) {
      SLUICE_CHECK(decode(octets));
      continue;
    }
    start_.push_back(octets.front());
    octets.remove_prefix(1);
    switch (match_start(start_)) {
      case Match::kPartly:
        break;
      case Match::kNo:
        if (whole_ == 0) return damaged();
        state_ = State::kAfter;
        break;
      case Match::kYes: {
        if (whole_ > 0) restart();
        state_ = State::kInside;
        const std::string start = std::exchange(start_, {});
        Bytes rest = start;
        SLUICE_CHECK(decode(rest));
        break;
      }
    }
  }
  return {};
}

Status MemberStage::decode(Bytes& octets) {
  SLUICE_TRY(const Step step, run(octets));
  octets.remove_prefix(step.consumed);
  if (step.ended) {
    ++whole_;
    state_ = State::kBetween;
  }
  return {};
}

}  // namespace sluice::codings
