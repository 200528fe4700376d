#include "base/memory.h"

#include <malloc.h>
#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <memory>

#include "base/limits.h"

namespace sluice {
namespace {

// 0: nobody knows.
ByteCount resident() {
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen("/proc/self/statm", "re"), std::fclose);
  unsigned long long size = 0, pages = 0;
  if (!file || std::fscanf(file.get(), "%llu %llu", &size, &pages) != 2) return 0;
  return pages * static_cast<ByteCount>(::sysconf(_SC_PAGESIZE));
}

}  // namespace

void give_back_memory() {
  constexpr ByteCount kWorthIt = 64 * kMiB;
  static std::atomic<ByteCount> before{resident()};
  const ByteCount now = resident();
  const bool grown = now > before + kWorthIt;
  if (grown) malloc_trim(0);
  before = grown ? resident() : std::min<ByteCount>(before, now);
}

}  // namespace sluice
