#include "net/child.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <cerrno>

namespace sluice::net {
namespace {

using namespace std::chrono_literals;

class ChildTest : public testing::Test {
 protected:
  // What this line of shell makes of its input.
  std::unique_ptr<Child> start(const std::string& line, std::vector<std::string> environment = {}) {
    auto child = Child::start(io_.get_executor(), {"/bin/sh", {"-c", line}, std::move(environment)});
    EXPECT_TRUE(child) << child.error().message;
    return child ? *std::move(child) : nullptr;
  }
  Result<std::string> exchange(Child& child, std::string line, std::chrono::milliseconds patience = 10s,
                               ByteCount most = kMiB) {
    Result<std::string> answer = fail(Code::kInternal, "nothing came");
    asio::co_spawn(io_, child.exchange(std::move(line), std::chrono::steady_clock::now() + patience, most),
                   [&](std::exception_ptr bug, Result<std::string> got) {
                     EXPECT_FALSE(bug);
                     answer = std::move(got);
                   });
    io_.restart();
    io_.run();
    return answer;
  }
  static bool exists(pid_t pid) { return ::kill(pid, 0) == 0; }

  asio::io_context io_;
};

TEST_F(ChildTest, ALineGoesOutAndALineComesBack) {
  const auto child = start("while read -r line; do echo \"<$line>\"; done");
  EXPECT_EQ(*exchange(*child, "one"), "<one>");
  EXPECT_EQ(*exchange(*child, ""), "<>");
  const std::string large(500'000, 'x');
  EXPECT_EQ(*exchange(*child, large), "<" + large + ">");
}

TEST_F(ChildTest, HasNothingOfOursButItsConnection) {
  ::setenv("SLUICE_TEST_SECRET", "hidden", 1);
  const int open = ::dup2(STDIN_FILENO, 77);  // inheritable
  const auto child = start(
      "read -r x; echo $(test -e /proc/$$/fd/77 && echo leaked) $SLUICE_TEST_SECRET $GIVEN $(readlink /proc/$$/fd/2)",
      {"GIVEN=given", "PATH=/usr/bin:/bin"});
  EXPECT_EQ(*exchange(*child, ""), "given /dev/null");
  ::close(open);
  ::unsetenv("SLUICE_TEST_SECRET");
}

TEST_F(ChildTest, BlockedAndIgnoredSignalsAreNotInherited) {
  const auto old = ::signal(SIGPIPE, SIG_IGN);
  sigset_t blocked, before;
  ::sigemptyset(&blocked);
  ::sigaddset(&blocked, SIGTERM);
  ::pthread_sigmask(SIG_BLOCK, &blocked, &before);
  const auto child = start("read -r x; echo $(grep -E 'Sig(Blk|Ign)' /proc/$$/status)", {"PATH=/usr/bin:/bin"});
  const std::string masks = *exchange(*child, "");
  EXPECT_TRUE(masks.starts_with("SigBlk: 0000000000000000 SigIgn: ")) << masks;
  EXPECT_TRUE(masks.ends_with("0000000")) << masks;  // 32 and 33 are the C library's
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  ::signal(SIGPIPE, old);
}

TEST_F(ChildTest, LeadsASessionOfItsOwn) {
  const auto child = start("read -r x");
  EXPECT_EQ(::getsid(child->pid()), child->pid());
}

TEST_F(ChildTest, OneThatDoesNotAnswerIsGivenUpAtTheDeadline) {
  const auto child = start("sleep 1000; echo late", {"PATH=/usr/bin:/bin"});
  const auto began = std::chrono::steady_clock::now();
  const auto answer = exchange(*child, "x", 100ms);
  EXPECT_EQ(answer.error().code, Code::kTimeout);
  EXPECT_LT(std::chrono::steady_clock::now() - began, 5s);
  EXPECT_EQ(child->end(), "");
}

TEST_F(ChildTest, OneThatAnswersWithoutEndIsCutOff) {
  const auto child = start("while :; do printf 'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx'; done");
  EXPECT_EQ(exchange(*child, "", 10s, 64 * kKiB).error().code, Code::kTooLarge);
}

TEST_F(ChildTest, OneThatSpeaksUnaskedIsNotListenedTo) {
  const auto child = start("read -r x; printf 'one\\ntwo\\n'; read -r x");
  EXPECT_EQ(*exchange(*child, ""), "one");
  EXPECT_EQ(exchange(*child, "").error().code, Code::kTooLarge);
}

TEST_F(ChildTest, HowItEndedIsKnown) {
  auto child = start("exit 7");
  EXPECT_EQ(exchange(*child, "").error().code, Code::kClosed);
  EXPECT_EQ(child->end(), "status 7");
  child = start("read -r x; kill -SEGV $$");
  EXPECT_EQ(exchange(*child, "").error().code, Code::kClosed);
  EXPECT_TRUE(child->end().starts_with("signal 11"));
  EXPECT_FALSE(child->is_running());
}

TEST_F(ChildTest, WhatIsNoProgramCannotBeStarted) {
  const auto child = Child::start(io_.get_executor(), {"/nowhere/at/all", {}, {}});
  ASSERT_FALSE(child);
  EXPECT_EQ(child.error().code, Code::kUnavailable);
}

TEST_F(ChildTest, GoesWithItsObjectAndLeavesOthersAlone) {
  const pid_t other = ::fork();
  if (other == 0) {
    ::pause();
    ::_exit(0);
  }
  pid_t pid = 0;
  {
    const auto child = start("read -r x; read -r y");
    pid = child->pid();
    EXPECT_TRUE(exists(pid));
    EXPECT_TRUE(child->is_running());
  }
  EXPECT_FALSE(exists(pid)) << "neither alive nor waiting to be reaped";
  int status = 0;
  EXPECT_EQ(::waitpid(other, &status, WNOHANG), 0) << "still there";
  ::kill(other, SIGKILL);
  EXPECT_EQ(::waitpid(other, &status, 0), other) << "still ours to reap";
}

}  // namespace
}  // namespace sluice::net
