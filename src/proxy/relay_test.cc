#include "proxy/relay.h"

#include <gtest/gtest.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <optional>

#include "fakes/recording_sink.h"

namespace sluice::proxy {
namespace {

using namespace std::chrono_literals;

// Takes a few octets and then none until it was waited for; a tick of the clock passes with each wait.
class SlowStream final : public net::Stream {
 public:
  explicit SlowStream(net::Deadlines& deadlines) : deadlines_(deadlines) {}

  tls::IoResult read(MutableBytes) override { return {tls::IoStatus::kWouldBlock, 0}; }
  tls::IoResult write(Bytes octets) override {
    if (std::exchange(full_, true)) return {tls::IoStatus::kWouldBlock, 0};
    const Bytes now = octets.substr(0, 4);
    taken.append(now);
    return {tls::IoStatus::kOk, now.size()};
  }
  net::Task<Status> wait_readable() override { co_return Status{}; }
  net::Task<Status> wait_writable() override {
    now_ += net::kDeadlineTick;
    deadlines_.tick(now_);
    full_ = false;
    if (now_ >= deadline_) co_return fail(Code::kTimeout, "too late");
    co_return Status{};
  }
  void watch_readable(net::Watcher*) override {}
  void watch_writable(net::Watcher*) override {}
  void set_deadline(MonoTime at) override { deadline_ = at; }
  void clear_deadline() override { deadline_ = MonoTime::max(); }
  void close_write() override {}
  std::string error_text() const override { return "an error"; }
  void close() override {}
  void reset() override {}
  void cancel(Code) override {}
  bool is_quiet(net::Look) override { return true; }
  bool is_dead() override { return false; }
  bool has_ended() override { return false; }

  std::string taken;

 private:
  net::Deadlines& deadlines_;
  MonoTime now_{1h}, deadline_ = MonoTime::max();
  bool full_ = false;
};

class OutboxTest : public ::testing::Test {
 protected:
  OutboxTest() {
    deadlines_.tick(MonoTime(1h));
    timeouts_.idle = 300ms;
  }
  std::optional<Status> send(Outbox& out, Duplex* duplex) {
    std::optional<Status> outcome;
    asio_.restart();
    net::asio::co_spawn(asio_, out.send_rest(duplex),
                        [&](std::exception_ptr, Status status) { outcome = std::move(status); });
    asio_.run();
    return outcome;
  }

  net::asio::io_context asio_;
  net::Deadlines deadlines_;
  Timeouts timeouts_;
  fakes::RecordingSink sink_;
  SlowStream to_{deadlines_}, other_{deadlines_};
};

TEST_F(OutboxTest, AReceiverThatIsSlowButSteadyIsNotIdle) {
  Duplex duplex(deadlines_, timeouts_, to_, other_);
  duplex.arm();
  Outbox out(sink_, to_);
  const std::string octets(200, 'x');  // fifty waits of 100 ms
  out.add_view(octets);
  const auto sent = send(out, &duplex);
  ASSERT_TRUE(sent);
  EXPECT_TRUE(sent->has_value());
  EXPECT_EQ(to_.taken, octets);
}

TEST_F(OutboxTest, WithoutADuplexTheDeadlineStaysWhereItWas) {
  to_.set_deadline(deadlines_.in(300ms));
  Outbox out(sink_, to_);
  const std::string octets(200, 'x');
  out.add_view(octets);
  const auto sent = send(out, nullptr);
  ASSERT_TRUE(sent && !*sent);
  EXPECT_EQ(sent->error().code, Code::kTimeout);
}

TEST_F(OutboxTest, JoinsWhatLiesTogetherAndCopiesWhatWillNotLast) {
  Outbox out(sink_, to_);
  const std::string fed = "headbody";
  out.add_wire(fed, Bytes(fed).substr(0, 4));
  out.add_wire(fed, Bytes(fed).substr(4));
  {
    const std::string passing = "-chunk-";
    out.add_wire(fed, passing);
  }
  EXPECT_EQ(out.size(), 15u);
  ASSERT_TRUE(send(out, nullptr));
  EXPECT_EQ(to_.taken, "headbody-chunk-");
}

}  // namespace
}  // namespace sluice::proxy
