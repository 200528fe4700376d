#include "base/memory.h"

#include <malloc.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <memory>
#include <mutex>
#include <thread>

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

void keep_little_memory() {
  // Said explicitly, neither grows by itself any more. Larger blocks are mapped, and go back when they are freed. With
  // less kept, an arena that serves streams gives and takes pages all the time.
  constexpr int kMapped = 2 * kMiB, kMost = 8 * kMiB;
  (void)::mallopt(M_MMAP_THRESHOLD, kMapped);
  (void)::mallopt(M_TRIM_THRESHOLD, kMost);
  // malloc_trim() cannot take the top of any arena but the first, and glibc makes eight arenas for each core.
  (void)::mallopt(M_ARENA_MAX, static_cast<int>(std::thread::hardware_concurrency()) + 2);
}

void give_back_memory() {
  constexpr ByteCount kWorthIt = 64 * kMiB;
  constexpr ByteCount kCreep = 4 * kMiB, kStill = kMiB;
  constexpr unsigned kQuietCalls = 3;
  constexpr unsigned kAllEndedCalls = 8;  // pooled connections are closed by then, and left holes in what is resident
  constexpr unsigned kMostCalls = 4;      // between two tries where much is in use, as it is while a large call runs
  struct State {
    std::mutex mutex;
    ByteCount least = resident();
    unsigned wait = 0, pause = 1;
    ByteCount last = least, at_rest = least;
    unsigned quiet = 0;
    bool worked = false;  // since all of it was given back
  };
  static State state;
  const std::unique_lock lock(state.mutex, std::try_to_lock);
  if (!lock) return;
  ByteCount now = resident();
  // At rest: what pieces of many sizes left behind would go on creeping from one burst of work to the next.
  state.quiet = std::max(now, state.last) - std::min(now, state.last) < kStill ? state.quiet + 1 : 0;
  state.last = now;
  if (state.quiet == 0) state.worked = true;
  const bool all_ended = state.quiet == kAllEndedCalls && state.worked;
  if (all_ended || (state.quiet == kQuietCalls && now > state.at_rest + kCreep)) {
    malloc_trim(0);
    state.at_rest = state.last = now = resident();
    if (all_ended) state.worked = false;
  }
  if (now > state.least + kWorthIt) {
    if (state.wait > 0) {
      --state.wait;
      return;
    }
    malloc_trim(0);
    now = resident();
    state.wait = state.pause = std::min(2 * state.pause, kMostCalls);
  }
  if (now <= state.least + kWorthIt) state.wait = 0, state.pause = 1;
  state.least = std::min(state.least, now);
}

}  // namespace sluice
