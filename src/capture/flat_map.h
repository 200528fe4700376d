// A map from numbers other than 0 to small values, in one piece of memory: no node for each entry. Linear probing;
// erasing moves what follows back, so that there are no graves. Pointers to values are good until the next insert or
// erase. Belongs to one thread. Private to this folder.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

namespace sluice::capture {

template <class Value>
class FlatMap {
 public:
  std::size_t size() const { return size_; }

  const Value* find(std::uint64_t key) const {
    if (slots_.empty()) return nullptr;
    for (std::size_t at = home_of(key);; at = next(at)) {
      if (slots_[at].key == 0) return nullptr;  // also if that is what was asked for
      if (slots_[at].key == key) return &slots_[at].value;
    }
  }
  Value* find(std::uint64_t key) { return const_cast<Value*>(std::as_const(*this).find(key)); }

  // The key must not be there.
  void insert(std::uint64_t key, Value value) {
    if ((size_ + 1) * 4 > slots_.size() * 3) grow();
    place(key, std::move(value));
    ++size_;
  }

  // The key must be there.
  void erase(std::uint64_t key) {
    std::size_t hole = home_of(key);
    while (slots_[hole].key != key) hole = next(hole);
    for (std::size_t at = next(hole); slots_[at].key != 0; at = next(at)) {
      // Whoever's home lies behind the hole, on the way to where it is, must stay.
      const std::size_t from_home = (at - home_of(slots_[at].key)) & mask();
      if (from_home < ((at - hole) & mask())) continue;
      slots_[hole] = std::move(slots_[at]);
      hole = at;
    }
    slots_[hole] = Slot();
    --size_;
  }

 private:
  struct Slot {
    std::uint64_t key = 0;
    Value value{};
  };

  std::size_t mask() const { return slots_.size() - 1; }
  std::size_t next(std::size_t at) const { return (at + 1) & mask(); }
  // Multiplied by 2^64 divided by the golden ratio, the highest bits: neighbours and multiples are spread alike.
  std::size_t home_of(std::uint64_t key) const {
    return static_cast<std::size_t>(key * 0x9e3779b97f4a7c15 >> (64 - std::countr_zero(slots_.size())));
  }

  void place(std::uint64_t key, Value value) {
    std::size_t at = home_of(key);
    while (slots_[at].key != 0) at = next(at);
    slots_[at] = {key, std::move(value)};
  }

  void grow() {
    std::vector<Slot> old(slots_.empty() ? 64 : slots_.size() * 2);
    old.swap(slots_);
    for (Slot& slot : old) {
      if (slot.key != 0) place(slot.key, std::move(slot.value));
    }
  }

  std::vector<Slot> slots_;
  std::size_t size_ = 0;
};

}  // namespace sluice::capture
