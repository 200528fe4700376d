#include "net/tcp_stream.h"

#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <time.h>

#include <algorithm>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <optional>
#include <string>
#include <thread>
#include <vector>

namespace sluice::net {
namespace {

using namespace std::chrono_literals;

// A stream and the bare socket at its other end. The loop runs only where a test says so.
class TcpStreamTest : public ::testing::Test {
 protected:
  TcpStreamTest() {
    using asio::ip::tcp;
    tcp::acceptor acceptor(io_, tcp::endpoint(asio::ip::address_v4::loopback(), 0));
    tcp::socket here(io_);
    here.connect(acceptor.local_endpoint());
    here.non_blocking(true);
    peer_.emplace(acceptor.accept());
    deadlines_.tick(MonoTime(1h));
    stream_.emplace(std::move(here), readiness_, deadlines_);
  }
  ~TcpStreamTest() override { readiness_.stop(); }

  // Returns when the octets are in the other end's receive buffer.
  void say(std::string_view octets) {
    ASSERT_EQ(::send(peer_->native_handle(), octets.data(), octets.size(), MSG_NOSIGNAL),
              static_cast<ssize_t>(octets.size()));
  }
  void hear_of_events() { io_.run_for(50ms); }
  void wait(bool reading = true) {
    outcome_.reset();
    asio::co_spawn(io_, reading ? stream_->wait_readable() : stream_->wait_writable(),
                   [this](std::exception_ptr, Status status) { outcome_ = std::move(status); });
  }
  tls::IoStatus read() { return stream_->read(MutableBytes(space_)).status; }

  asio::io_context io_;
  Readiness readiness_{io_};
  Deadlines deadlines_;
  std::optional<asio::ip::tcp::socket> peer_;
  std::optional<TcpStream> stream_;
  std::optional<Status> outcome_;
  std::string space_ = std::string(64, '\0');
};

TEST_F(TcpStreamTest, AfterAShortReadNobodyIsAskedUntilEpollTellsOfMore) {
  say("one");
  EXPECT_FALSE(stream_->is_drained()) << "not known before the first look";
  EXPECT_EQ(read(), tls::IoStatus::kOk);
  EXPECT_TRUE(stream_->is_drained());
  say("two");
  EXPECT_EQ(read(), tls::IoStatus::kWouldBlock) << "without a system call: epoll has not been heard";
  hear_of_events();
  EXPECT_FALSE(stream_->is_drained());
  EXPECT_EQ(read(), tls::IoStatus::kOk);
  stream_->unread("again");
  EXPECT_FALSE(stream_->is_drained());
}

// A peer that sends as fast as it is read would otherwise keep the thread to itself.
TEST_F(TcpStreamTest, WhoeverHasMoreThanATurnToReadWaitsForTheOthers) {
  say(std::string(64 * 10, 'x'));
  hear_of_events();
  ASSERT_EQ(read(), tls::IoStatus::kOk);
  std::this_thread::sleep_for(3ms);
  EXPECT_EQ(read(), tls::IoStatus::kWouldBlock);
  EXPECT_EQ(read(), tls::IoStatus::kWouldBlock);
  EXPECT_FALSE(stream_->is_quiet(Look::kTold));
  EXPECT_FALSE(stream_->is_drained());
  std::vector<std::string> order;
  asio::post(io_, [&] { order.emplace_back("somebody else"); });
  asio::co_spawn(io_, stream_->wait_readable(), [&](std::exception_ptr, Status status) {
    order.emplace_back(status ? "readable" : "failed");
    EXPECT_EQ(read(), tls::IoStatus::kOk);
  });
  hear_of_events();
  EXPECT_EQ(order, (std::vector<std::string>{"somebody else", "readable"}));
}

TEST_F(TcpStreamTest, ARestEndsWithTheConnectionOrTheStream) {
  say(std::string(64 * 10, 'x'));
  hear_of_events();
  ASSERT_EQ(read(), tls::IoStatus::kOk);
  std::this_thread::sleep_for(3ms);
  ASSERT_EQ(read(), tls::IoStatus::kWouldBlock);
  peer_->close();  // what it has sent is still read
  std::size_t rest = 0;
  bool ended = false;
  asio::co_spawn(
      io_,
      [&]() -> Task<void> {
        for (;;) {
          const auto got = co_await stream_->read_some(MutableBytes(space_));
          if (!got || *got == 0) co_return void(ended = got.has_value());
          rest += *got;
          std::this_thread::sleep_for(1ms);  // several turns
        }
      },
      asio::detached);
  hear_of_events();
  EXPECT_EQ(rest, 64u * 9);
  EXPECT_TRUE(ended);
}

// A read whose octets take long to go through costs the others as much: less is read at a time.
TEST_F(TcpStreamTest, ReadsGetSmallerWhereWhatTheyBringTakesLong) {
  constexpr std::size_t kAll = 1'000'000;
  std::thread sender([&] { say(std::string(kAll, 'x')); });
  std::this_thread::sleep_for(50ms);  // as much as the system takes
  std::string space(64 * 1024, '\0');
  std::vector<std::size_t> reads;
  std::size_t all = 0;
  asio::co_spawn(
      io_,
      [&]() -> Task<void> {
        while (all < kAll) {
          const auto got = co_await stream_->read_some(MutableBytes(space));
          if (!got || *got == 0) co_return;
          reads.push_back(*got);
          all += *got;
          // As TLS does: less than there is room for is all there is.
          if (*got < space.size() && all < kAll) (void)co_await stream_->wait_readable();
          timespec now{}, begin{};
          (void)::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &begin);
          do (void)::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
          while ((now.tv_sec - begin.tv_sec) * 1'000'000'000L + now.tv_nsec - begin.tv_nsec < 6'000'000);
        }
      },
      asio::detached);
  for (int i = 0; i < 200 && all < kAll; ++i) hear_of_events();
  sender.join();
  EXPECT_EQ(all, kAll);
  EXPECT_GE(std::ranges::count_if(reads, [](std::size_t size) { return size == 40'960 || size == 20'480; }), 1);
}

// As whoever sends on a kept connection does: an end that lies in the socket is seen, however long it was not read.
TEST_F(TcpStreamTest, ALookAtTheSocketIsFollowedByAReadOfIt) {
  say("x");
  hear_of_events();
  ASSERT_EQ(read(), tls::IoStatus::kOk);
  peer_->close();
  std::this_thread::sleep_for(5ms);
  EXPECT_FALSE(stream_->is_quiet(Look::kSocket));
  EXPECT_EQ(read(), tls::IoStatus::kEof);
}

TEST_F(TcpStreamTest, NobodyIsResumedWhoseStreamIsGone) {
  say(std::string(64 * 10, 'x'));
  hear_of_events();
  ASSERT_EQ(read(), tls::IoStatus::kOk);
  std::this_thread::sleep_for(3ms);
  ASSERT_EQ(read(), tls::IoStatus::kWouldBlock);
  stream_.reset();
  hear_of_events();
}

TEST_F(TcpStreamTest, AQuietConnectionIsLookedAtAsCloselyAsAsked) {
  say("x");
  ASSERT_EQ(read(), tls::IoStatus::kOk);
  hear_of_events();
  ASSERT_EQ(read(), tls::IoStatus::kWouldBlock);
  EXPECT_TRUE(stream_->is_quiet(Look::kTold));
  EXPECT_TRUE(stream_->is_quiet(Look::kSocket));
  say("nobody asked for this");
  EXPECT_TRUE(stream_->is_quiet(Look::kTold)) << "nothing was told yet";
  EXPECT_FALSE(stream_->is_quiet(Look::kSocket));
  EXPECT_EQ(read(), tls::IoStatus::kOk) << "the look has taken nothing";
}

TEST_F(TcpStreamTest, AnEndIsSeenAtTheSocketBeforeEpollTellsOfIt) {
  say("x");
  ASSERT_EQ(read(), tls::IoStatus::kOk);
  hear_of_events();
  ASSERT_EQ(read(), tls::IoStatus::kWouldBlock);
  peer_->close();
  EXPECT_FALSE(stream_->is_quiet(Look::kSocket));
}

TEST_F(TcpStreamTest, AWaitEndsWithOctetsWithACancelAtTheDeadlineOrWithTheStream) {
  wait();
  io_.run_for(5ms);
  EXPECT_FALSE(outcome_) << "nothing has come";
  say("x");
  hear_of_events();
  ASSERT_TRUE(outcome_);
  EXPECT_TRUE(outcome_->has_value());
  ASSERT_EQ(read(), tls::IoStatus::kOk);

  wait();
  io_.run_for(5ms);
  stream_->cancel(Code::kCancelled);
  hear_of_events();
  ASSERT_TRUE(outcome_ && !*outcome_);
  EXPECT_EQ(outcome_->error().code, Code::kCancelled);

  stream_->set_deadline(deadlines_.in(1s));
  wait();
  io_.run_for(5ms);
  deadlines_.tick(MonoTime(1h + 1s));
  io_.run_for(5ms);
  EXPECT_FALSE(outcome_) << "a deadline is never early";
  deadlines_.tick(MonoTime(1h + 1s + kDeadlineTick));
  hear_of_events();
  ASSERT_TRUE(outcome_ && !*outcome_);
  EXPECT_EQ(outcome_->error().code, Code::kTimeout);
  wait();
  hear_of_events();
  ASSERT_TRUE(outcome_ && !*outcome_) << "what has expired stays so for waits that begin later";
  stream_->clear_deadline();

  wait();
  io_.run_for(5ms);
  stream_->close();
  hear_of_events();
  ASSERT_TRUE(outcome_ && !*outcome_);
  EXPECT_EQ(outcome_->error().code, Code::kCancelled);
}

TEST_F(TcpStreamTest, AWaitForWhatIsThereAlreadyIsOverAtOnce) {
  say("x");
  hear_of_events();
  wait();
  hear_of_events();
  ASSERT_TRUE(outcome_);
  EXPECT_TRUE(outcome_->has_value());
  wait(false);
  hear_of_events();
  ASSERT_TRUE(outcome_);
  EXPECT_TRUE(outcome_->has_value());
}

struct Told final : Watcher {
  void on_wait_over(Status how) override {
    outcomes.push_back(how ? "ready" : std::string(to_string(how.error().code)));
  }
  std::vector<std::string> outcomes;
};

TEST_F(TcpStreamTest, AWatcherIsToldOnceOfEachWait) {
  Told told;
  ASSERT_EQ(read(), tls::IoStatus::kWouldBlock);
  stream_->watch_readable(&told);
  hear_of_events();
  EXPECT_TRUE(told.outcomes.empty());
  say("one");
  hear_of_events();
  say("two");
  hear_of_events();
  EXPECT_EQ(told.outcomes, std::vector<std::string>{"ready"});
  stream_->watch_readable(&told);
  EXPECT_EQ(told.outcomes.size(), 2u) << "what epoll has told of before counts at once";
}

TEST_F(TcpStreamTest, AWatcherIsToldOfWhatEndsItsWait) {
  Told told;
  ASSERT_EQ(read(), tls::IoStatus::kWouldBlock);
  stream_->set_deadline(MonoTime(1h) + 1s);
  stream_->watch_readable(&told);
  deadlines_.tick(MonoTime(1h) + 2s);
  stream_->watch_readable(&told);
  stream_->clear_deadline();
  stream_->watch_readable(&told);
  stream_->cancel(Code::kCancelled);
  stream_->watch_readable(&told);
  stream_->close();
  EXPECT_EQ(told.outcomes, (std::vector<std::string>{"timeout", "timeout", "cancelled", "cancelled"}));
}

TEST_F(TcpStreamTest, WhoWatchesNoMoreIsNotTold) {
  Told told;
  ASSERT_EQ(read(), tls::IoStatus::kWouldBlock);
  stream_->watch_readable(&told);
  stream_->watch_readable(nullptr);
  say("x");
  hear_of_events();
  stream_->close();
  EXPECT_TRUE(told.outcomes.empty());
}

}  // namespace
}  // namespace sluice::net
