// Memory for what lives as long as a request: malloc and free, and on threads that say so with free blocks kept in
// between (free_blocks.h). In programs that link this, operator new and delete come here, and with them the frames of
// coroutines; so does nghttp2. Any block may be freed on any thread, or by free(), and one of malloc() may be released
// here. With sanitizers nothing is kept, and new and delete are theirs.
#pragma once

#include <cstddef>

#include "base/bytes.h"

namespace sluice {

void* allocate(std::size_t size) noexcept;  // null: there is no memory
void release(void* block) noexcept;         // null: nothing

// While one lives, this thread keeps free blocks; one at a time for each thread. Its end gives all of them back.
class KeepsFreeBlocks {
 public:
  // What 80 HTTP/2 streams that run at once free when they end is 1.2 MB.
  static constexpr ByteCount kMost = 2 * kMiB;

  KeepsFreeBlocks();
  ~KeepsFreeBlocks();
  KeepsFreeBlocks(const KeepsFreeBlocks&) = delete;
  KeepsFreeBlocks& operator=(const KeepsFreeBlocks&) = delete;
};

// To be called by such a thread now and then: gives all back if hardly any was asked for since the last call, since
// small blocks keep whole pages from the system.
void give_back_unused_blocks();
// Octets that this thread keeps.
ByteCount kept_octets();

}  // namespace sluice
