#include "net/server_process.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <boost/asio/io_context.hpp>

namespace sluice::net {
namespace {

// Runs until the program ended; its code.
int run(asio::io_context& io, const int& code) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  while (code < 0 && std::chrono::steady_clock::now() < end) {
    io.restart();
    io.run_one_for(std::chrono::milliseconds(50));
  }
  return code;
}

std::string read_line(int fd) {
  std::string line;
  for (char c = 0; ::read(fd, &c, 1) == 1 && c != '\n';) line += c;
  return line;
}

TEST(ServerProcess, ItsExitCodeIsPassedOn) {
  asio::io_context io;
  int code = -1;
  const auto started = ServerProcess::start(io.get_executor(), {"sh", "-c", "exit 7"}, [&](int c) { code = c; });
  ASSERT_TRUE(started);
  EXPECT_EQ(run(io, code), 7);
  EXPECT_TRUE((*started)->has_ended());
}

TEST(ServerProcess, WhatItReadsAndWritesGoesThroughOurPipes) {
  asio::io_context io;
  int code = -1;
  const auto started = ServerProcess::start(io.get_executor(), {"cat"}, [&](int c) { code = c; });
  ASSERT_TRUE(started);
  ASSERT_EQ(::write((*started)->to_it(), "hello\n", 6), 6);
  EXPECT_EQ(read_line((*started)->from_it()), "hello");
  (*started)->close_pipes();
  EXPECT_EQ(run(io, code), 0) << "the end of its input ends it";
}

TEST(ServerProcess, ASignalReachesWhatItStarted) {
  asio::io_context io;
  int code = -1;
  const auto started = ServerProcess::start(
      io.get_executor(),
      {"sh", "-c", "sh -c 'trap \"echo inner; exit\" TERM; echo ready; while :; do sleep 0.01; done'"},
      [&](int c) { code = c; });
  ASSERT_TRUE(started);
  EXPECT_EQ(read_line((*started)->from_it()), "ready");
  (*started)->signal(SIGTERM);
  EXPECT_EQ(read_line((*started)->from_it()), "inner");
}

TEST(ServerProcess, AProgramThatIsNotThereIsSaidByName) {
  asio::io_context io;
  const auto started = ServerProcess::start(io.get_executor(), {"/no/such/program"}, [](int) {});
  ASSERT_FALSE(started);
  EXPECT_EQ(started.error().message, "/no/such/program cannot be started: No such file or directory");
}

TEST(ServerProcess, NothingOfItsGroupOutlivesIt) {
  asio::io_context io;
  pid_t inner = 0;
  {
    const auto started = ServerProcess::start(
        io.get_executor(), {"sh", "-c", "sh -c 'trap \"\" TERM HUP; echo $$; exec sleep 1000' & wait"}, [](int) {});
    ASSERT_TRUE(started);
    inner = static_cast<pid_t>(std::stol(read_line((*started)->from_it())));
    EXPECT_EQ(::kill(inner, 0), 0);
  }
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  const auto gone = [&] {
    const std::string path = "/proc/" + std::to_string(inner) + "/cmdline";
    FILE* file = ::fopen(path.c_str(), "r");
    if (!file) return true;
    const int first = ::fgetc(file);  // a zombie that nobody reaped has none
    ::fclose(file);
    return first == EOF;
  };
  while (!gone() && std::chrono::steady_clock::now() < end) ::usleep(1'000);
  EXPECT_TRUE(gone());
}

}  // namespace
}  // namespace sluice::net
