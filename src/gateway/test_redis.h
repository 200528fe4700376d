// Debian's redis-server for tests, on a port of its own, and stores on it; where there is none the tests that need it
// are skipped.
#pragma once

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <string>
#include <vector>

#include "gateway/redis_link.h"

namespace sluice::gateway {

class TestRedis {
 public:
  TestRedis() {
    std::filesystem::create_directories(directory_);
    for (int tries = 0; tries < 5 && child_ <= 0; ++tries) {
      port_ = static_cast<std::uint16_t>(20'000 + (::getpid() + 7'919 * tries) % 12'000);
      (void)start();
    }
  }
  ~TestRedis() {
    end();
    std::filesystem::remove_all(directory_);
  }
  TestRedis(const TestRedis&) = delete;
  TestRedis& operator=(const TestRedis&) = delete;

  bool is_there() const { return child_ > 0; }
  // Without what it had, unless `more` says otherwise.
  bool start(std::vector<std::string> more = {}) {
    std::vector<std::string> words{"redis-server", "--port",    std::to_string(port_), "--bind",      "127.0.0.1",
                                   "--save",       "",          "--appendonly",        "no",          "--dir",
                                   directory_,     "--logfile", directory_ + "/log",   "--daemonize", "no"};
    words.insert(words.end(), more.begin(), more.end());
    std::vector<char*> arguments;
    for (std::string& word : words) arguments.push_back(word.data());
    arguments.push_back(nullptr);
    child_ = ::fork();
    if (child_ == 0) {
      ::execvp(arguments[0], arguments.data());
      ::_exit(127);
    }
    for (int i = 0; i < 500; ++i) {
      const Status usable = link()->check();
      if (usable || usable.error().code == Code::kRefused) return true;
      int status = 0;
      if (::waitpid(child_, &status, WNOHANG) == child_) {
        child_ = -1;
        return false;
      }
      ::usleep(20'000);
    }
    return false;
  }
  void end() {
    if (child_ <= 0) return;
    ::kill(child_, SIGKILL);
    ::waitpid(child_, nullptr, 0);
    child_ = -1;
  }
  // Of redis-cli, for words as a shell takes them.
  std::string answer(const std::string& words) const {
    std::string out;
    FILE* pipe = ::popen(("redis-cli -p " + std::to_string(port_) + " -n 3 " + words).c_str(), "r");
    for (int c = std::fgetc(pipe); c != EOF; c = std::fgetc(pipe)) out.push_back(static_cast<char>(c));
    ::pclose(pipe);
    return out;
  }
  bool command(const std::string& words) const { return answer(words) == "OK\n"; }

  RedisLink::Options options() const {
    RedisLink::Options out;
    out.address = *parse_redis_address("redis://127.0.0.1:" + std::to_string(port_) + "/3");
    return out;
  }
  // A process's own.
  std::shared_ptr<RedisLink> link() { return link(options()); }
  std::shared_ptr<RedisLink> link(RedisLink::Options options) {
    return std::make_shared<RedisLink>(clock_, entropy_, std::move(options));
  }
  FakeClock& clock() { return clock_; }

 private:
  FakeClock clock_;
  SystemEntropy entropy_;
  std::uint16_t port_ = 0;
  pid_t child_ = -1;
  const std::string directory_ = ::testing::TempDir() + "sluice-redis-" + std::to_string(::getpid());
};

}  // namespace sluice::gateway
