// For builds with TSan alone. std::timed_mutex::try_lock_for() of libstdc++ calls pthread_mutex_clocklock(), which the
// runtime of clang 16 does not know: it would see such a mutex unlocked that nobody locked, and races between its
// holders. The timed lock that it does know does the same.
#include <pthread.h>
#include <time.h>

#include <cerrno>

extern "C" int pthread_mutex_clocklock(pthread_mutex_t* mutex, clockid_t clock, const timespec* until) {
  constexpr long kSecond = 1'000'000'000;
  timespec now{}, at{};
  if (clock_gettime(clock, &now) != 0 || clock_gettime(CLOCK_REALTIME, &at) != 0) return EINVAL;
  at.tv_sec += until->tv_sec - now.tv_sec;
  at.tv_nsec += until->tv_nsec - now.tv_nsec;
  if (at.tv_nsec < 0) {
    at.tv_nsec += kSecond;
    --at.tv_sec;
  } else if (at.tv_nsec >= kSecond) {
    at.tv_nsec -= kSecond;
    ++at.tv_sec;
  }
  return pthread_mutex_timedlock(mutex, &at);
}
