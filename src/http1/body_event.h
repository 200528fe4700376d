// A reader's steps as events: next() in terms of step().
#pragma once

#include <utility>

#include "base/result.h"
#include "http/message.h"
#include "http1/body_reader.h"

namespace sluice::http1 {

template <class Event, class Reader>
Result<Event> next_event(Reader& reader) {
  SLUICE_TRY(const Step step, reader.step());
  switch (step) {
    case Step::kNeedMore:
      break;
    case Step::kHead:
      return Event(std::move(reader.head()));
    case Step::kPiece:
      return Event(reader.piece());
    case Step::kTrailers:
      return Event(reader.take_trailers());
    case Step::kEnd:
      return Event(http::MessageEnd{});
  }
  return Event(http::NeedMore{});
}

}  // namespace sluice::http1
