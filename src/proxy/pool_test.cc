#include "proxy/pool.h"

#include <gtest/gtest.h>

#include <boost/asio/io_context.hpp>

#include "net/memory_stream.h"

namespace sluice::proxy {
namespace {

using std::chrono::seconds;

class PoolTest : public ::testing::Test {
 protected:
  // An idle connection; its other end stays here.
  UpstreamConnectionPtr make(const std::string& key) {
    auto [near, far] = net::MemoryStream::pair(io_.get_executor());
    auto connection = std::make_unique<UpstreamConnection>();
    connection->stream = std::move(near);
    connection->route_key = key;
    connection->requests = ++made_;
    far_.push_back(std::move(far));
    return connection;
  }
  std::uint64_t take(const std::string& key, MonoTime now = MonoTime{}) {
    const auto taken = pool_.take(key, now);
    return taken ? taken->requests : 0;
  }

  net::asio::io_context io_;
  std::vector<std::unique_ptr<net::MemoryStream>> far_;
  std::uint64_t made_ = 0;
  Pool pool_{3, seconds(30)};
};

TEST_F(PoolTest, GivesTheNewestOfTheRoute) {
  for (const char* key : {"a", "b", "a"}) pool_.put(make(key), MonoTime{});
  EXPECT_EQ(take("a"), 3u);
  EXPECT_EQ(take("a"), 1u);
  EXPECT_EQ(take("a"), 0u);
  EXPECT_FALSE(pool_.has("a"));
  EXPECT_EQ(take("b"), 2u);
}

TEST_F(PoolTest, NeverGivesOneThatEndedOrSpokeUnasked) {
  for (int i = 0; i < 3; ++i) pool_.put(make("a"), MonoTime{});
  far_[2]->close();
  far_[1]->write("HTTP/1.1 200 OK\r\n\r\n");
  EXPECT_EQ(take("a"), 1u);
  EXPECT_EQ(pool_.size(), 0u);
}

TEST_F(PoolTest, ForgetsTheOldestBeyondItsCapacity) {
  for (const char* key : {"a", "b", "c", "d"}) pool_.put(make(key), MonoTime{});
  EXPECT_EQ(pool_.size(), 3u);
  EXPECT_EQ(take("a"), 0u);
  EXPECT_EQ(take("d"), 4u);
}

TEST_F(PoolTest, ForgetsWhatIsIdleForTooLong) {
  pool_.put(make("a"), MonoTime{});
  pool_.put(make("a"), MonoTime{} + seconds(20));
  pool_.expire(MonoTime{} + seconds(31));
  EXPECT_EQ(pool_.size(), 1u);
  EXPECT_EQ(take("a", MonoTime{} + seconds(51)), 0u);
  pool_.put(make("a"), MonoTime{});
  pool_.clear();
  EXPECT_FALSE(pool_.has("a"));
}

}  // namespace
}  // namespace sluice::proxy
