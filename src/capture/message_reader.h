// Lists WebSocket messages from the segments they lie in: where they are is taken from the index while it is locked,
// what they say from the spool when it is not. Private to this folder.
#pragma once

#include <vector>

#include "capture/body_reader.h"

namespace sluice::capture {

struct MessagePlaces {
  std::uint64_t seq = 0, total = 0;
  std::uint64_t offset = 0;  // the first that is wanted
  std::vector<MessageRun> runs;
};
// Negative offsets count from the end.
MessagePlaces find_messages(const Entry& entry, std::int64_t offset, std::size_t limit, std::uint32_t first_segment);
// Without payloads, but those of control frames. What cannot be read is left out.
MessagePage read_messages(const Spool& spool, const MessagePlaces& places, std::size_t limit);

// Where the payloads of one direction lie.
BodyPlaces find_payloads(const Entry& entry, flow::Direction direction, const MessagePage& page);
void read_payload(Message& message, BodyReader& body, std::uint32_t first_segment, ByteCount most);

}  // namespace sluice::capture
