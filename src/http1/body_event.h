// A BodyReader's steps as the events of either reader.
#pragma once

#include <utility>

#include "base/result.h"
#include "http/message.h"
#include "http1/body_reader.h"

namespace sluice::http1 {

template <class Event>
Result<Event> next_body_event(BodyReader& body, Bytes& input) {
  SLUICE_TRY(const BodyReader::Step step, body.next(input));
  switch (step) {
    case BodyReader::Step::kNeedMore:
      return Event(http::NeedMore{});
    case BodyReader::Step::kPiece:
      return Event(body.piece());
    case BodyReader::Step::kTrailers:
      return Event(body.take_trailers());
    case BodyReader::Step::kEnd:
      break;
  }
  return Event(http::MessageEnd{});
}

}  // namespace sluice::http1
