#include "capture/flat_map.h"

#include <gtest/gtest.h>

#include <random>
#include <unordered_map>

namespace sluice::capture {
namespace {

TEST(FlatMap, FindsNothingInAnEmptyOne) {
  const FlatMap<int> map;
  EXPECT_EQ(map.find(1), nullptr);
}

// Few keys, so that they collide and are erased in the middle of chains, which also wrap.
TEST(FlatMap, SaysWhatAnUnorderedMapSays) {
  for (const std::uint64_t keys : {40u, 300u, 5'000u}) {
    FlatMap<std::uint64_t> map;
    std::unordered_map<std::uint64_t, std::uint64_t> model;
    std::mt19937_64 random(keys);
    for (int step = 0; step < 30'000; ++step) {
      const std::uint64_t key = 1 + random() % keys, value = random();
      if (model.contains(key)) {
        map.erase(key);
        model.erase(key);
      } else {
        map.insert(key, value);
        model.emplace(key, value);
      }
      const std::uint64_t asked = 1 + random() % keys;
      const auto* const found = map.find(asked);
      ASSERT_EQ(found != nullptr, model.contains(asked));
      if (found) ASSERT_EQ(*found, model[asked]);
    }
    ASSERT_EQ(map.size(), model.size());
    for (const auto& [key, value] : model) {
      const auto* const found = map.find(key);
      ASSERT_TRUE(found && *found == value);
    }
  }
}

TEST(FlatMap, HoldsNoZero) {
  FlatMap<int> map;
  map.insert(7, 1);
  EXPECT_EQ(map.find(0), nullptr);
}

TEST(FlatMap, LetsGoOfWhatIsErased) {
  FlatMap<std::shared_ptr<int>> map;
  const auto shared = std::make_shared<int>(1);
  for (std::uint64_t key = 1; key <= 200; ++key) map.insert(key, shared);
  for (std::uint64_t key = 1; key <= 200; ++key) map.erase(key);
  EXPECT_EQ(shared.use_count(), 1);
}

}  // namespace
}  // namespace sluice::capture
