// Memory for what lives as long as one exchange. In a coroutine's frame it would make that frame too large for Asio to
// recycle (1,020 octets), and each request would go to malloc for it. A worker keeps the blocks of exchanges that are
// over; the newest one, still in the processor's cache, is the next one's. One thread; outlives what sits in it.
#pragma once

#include <cstddef>
#include <memory>
#include <new>
#include <utility>
#include <vector>

namespace sluice::proxy {

class Seats {
 public:
  static constexpr std::size_t kSize = 1056;    // octets of a block
  static constexpr std::size_t kMostKept = 64;  // blocks that nobody sits in

  template <class T>
  struct Leave {
    Seats* seats;
    void operator()(T* object) const {
      object->~T();
      seats->give(object);
    }
  };
  template <class T>
  using Seat = std::unique_ptr<T, Leave<T>>;

  Seats() { kept_.reserve(kMostKept); }
  ~Seats() {
    for (void* block : kept_) ::operator delete(block);
  }
  Seats(const Seats&) = delete;
  Seats& operator=(const Seats&) = delete;

  template <class T, class... Arguments>
  Seat<T> make(Arguments&&... arguments) {
    static_assert(sizeof(T) <= kSize && alignof(T) <= __STDCPP_DEFAULT_NEW_ALIGNMENT__);
    void* const block = take();
    try {
      return Seat<T>(new (block) T(std::forward<Arguments>(arguments)...), Leave<T>{this});
    } catch (...) {
      give(block);
      throw;
    }
  }

 private:
  void* take() {
    if (kept_.empty()) return ::operator new(kSize);
    void* const block = kept_.back();
    kept_.pop_back();
    return block;
  }
  void give(void* block) {
    if (kept_.size() < kMostKept)
      kept_.push_back(block);
    else
      ::operator delete(block);
  }

  std::vector<void*> kept_;
};

}  // namespace sluice::proxy
