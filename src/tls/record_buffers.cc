#include "tls/record_buffers.h"

#include <malloc.h>
#include <openssl/crypto.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdlib>

namespace sluice::tls {
namespace {

constexpr std::size_t kSmallest = 16 * 1024;  // a record's plaintext
constexpr std::size_t kLargest = 80 * 1024;   // a read buffer (context.cc) with what OpenSSL and malloc add
constexpr std::size_t kMostKept = 8;          // at most 640 KiB for each thread

// OpenSSL's hooks carry no context, so this is the one mutable thing in tls that nobody owns. Trivial, because OpenSSL
// frees memory of a thread after the thread's own objects are gone.
struct Kept {
  std::array<void*, kMostKept> buffers;
  std::size_t count;
  bool closed;
};
constinit thread_local Kept kept{};

struct AtThreadEnd {
  ~AtThreadEnd() {
    kept.closed = true;
    while (kept.count > 0) std::free(kept.buffers[--kept.count]);
  }
};

// Takes the buffer at `index` out; the others keep their order, oldest first.
void* take(std::size_t index) {
  void* const buffer = kept.buffers[index];
  std::copy(kept.buffers.begin() + index + 1, kept.buffers.begin() + kept.count, kept.buffers.begin() + index);
  --kept.count;
  return buffer;
}

void* allocate(std::size_t size, const char*, int) {
  if (size == 0) return nullptr;  // as OpenSSL's own does
  if (size < kSmallest || size > kLargest) return std::malloc(size);
  for (std::size_t i = kept.count; i > 0; --i) {  // the newest first: it is still in the processor's cache
    const std::size_t usable = ::malloc_usable_size(kept.buffers[i - 1]);
    if (usable >= size && usable <= 2 * size) return take(i - 1);
  }
  return std::malloc(size);
}

void* reallocate(void* memory, std::size_t size, const char*, int) { return std::realloc(memory, size); }

void release(void* memory, const char*, int) {
  const std::size_t usable = memory == nullptr ? 0 : ::malloc_usable_size(memory);
  if (usable < kSmallest || usable > kLargest || kept.closed) return std::free(memory);
  static thread_local const AtThreadEnd at_thread_end;
  if (kept.count == kMostKept) std::free(take(0));
  kept.buffers[kept.count++] = memory;
}

}  // namespace

void keep_record_buffers() {
  [[maybe_unused]] static const int once = CRYPTO_set_mem_functions(allocate, reallocate, release);
}

}  // namespace sluice::tls
