#include "tls/record_buffers.h"

#include <malloc.h>
#include <openssl/crypto.h>

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

void* allocate(std::size_t size, const char*, int) {
  if (size == 0) return nullptr;  // as OpenSSL's own does
  if (size < kSmallest || size > kLargest) return std::malloc(size);
  for (std::size_t i = kept.count; i > 0; --i) {  // the newest first: it is still in the processor's cache
    void* const buffer = kept.buffers[i - 1];
    const std::size_t usable = ::malloc_usable_size(buffer);
    if (usable < size || usable > 2 * size) continue;
    --kept.count;
    for (std::size_t j = i - 1; j < kept.count; ++j) kept.buffers[j] = kept.buffers[j + 1];
    return buffer;
  }
  return std::malloc(size);
}

void* reallocate(void* memory, std::size_t size, const char*, int) { return std::realloc(memory, size); }

void release(void* memory, const char*, int) {
  if (memory != nullptr && kept.count < kMostKept && !kept.closed) {
    const std::size_t usable = ::malloc_usable_size(memory);
    if (usable >= kSmallest && usable <= kLargest) {
      static thread_local const AtThreadEnd at_thread_end;
      kept.buffers[kept.count++] = memory;
      return;
    }
  }
  std::free(memory);
}

}  // namespace

void keep_record_buffers() {
  [[maybe_unused]] static const int once = CRYPTO_set_mem_functions(allocate, reallocate, release);
}

}  // namespace sluice::tls
