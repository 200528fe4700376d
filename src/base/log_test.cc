#include "base/log.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <array>
#include <thread>
#include <vector>

#include "base/json.h"
#include "base/text.h"

namespace sluice {
namespace {

class LogTest : public testing::Test {
 protected:
  LogTest() { EXPECT_EQ(::pipe2(pipe_.data(), O_NONBLOCK | O_CLOEXEC), 0); }
  ~LogTest() override {
    for (int fd : pipe_) ::close(fd);
  }
  LogOptions options(LogFormat format = LogFormat::kText, LogLevel level = LogLevel::kInfo) {
    return {.fd = pipe_[1], .level = level, .format = format};
  }
  std::string lines() {
    std::string text;
    std::array<char, 4096> buffer;
    for (ssize_t got; (got = ::read(pipe_[0], buffer.data(), buffer.size())) > 0;) {
      text.append(buffer.data(), static_cast<std::size_t>(got));
    }
    return text;
  }

  std::array<int, 2> pipe_{};
  FakeClock clock_;
  SeededEntropy entropy_{1};
  Redactor redactor_{entropy_};
};

TEST_F(LogTest, WritesOneLineOfFields) {
  Log log(options(), clock_, redactor_);
  log.info("listening", {{"address", "127.0.0.1"}, {"port", 8080}, {"tls", true}, {"text", "two words"}, {"none", ""}});
  EXPECT_EQ(
      lines(),
      "2023-11-14T22:13:20.000Z info listening address=127.0.0.1 port=8080 tls=true text=\"two words\" none=\"\"\n");
}

TEST_F(LogTest, WritesJsonLines) {
  Log log(options(LogFormat::kJson), clock_, redactor_);
  const std::string name = "a\"b";
  log.warning("odd", {{"name", name}, {"count", std::uint64_t{18446744073709551615u}}, {"ratio", 0.5}, {"minus", -1}});
  EXPECT_EQ(lines(),
            "{\"time\":\"2023-11-14T22:13:20.000Z\",\"level\":\"warning\",\"event\":\"odd\",\"name\":\"a\\\"b\","
            "\"count\":18446744073709551615,\"ratio\":0.5,\"minus\":-1}\n");
}

TEST_F(LogTest, LeavesOutWhatIsBelowItsLevel) {
  Log log(options(LogFormat::kText, LogLevel::kWarning), clock_, redactor_);
  log.debug("no");
  log.info("no");
  log.error("yes");
  EXPECT_EQ(lines(), "2023-11-14T22:13:20.000Z error yes\n");
  Log silent(options(LogFormat::kText, LogLevel::kOff), clock_, redactor_);
  silent.error("no");
  EXPECT_EQ(lines(), "");
}

TEST_F(LogTest, MasksSecrets) {
  for (LogFormat format : {LogFormat::kText, LogFormat::kJson}) {
    Log log(options(format), clock_, redactor_);
    log.info("request", {{"url", "https://u:hunter2@h/?token=hunter2"}, {"password", "hunter2"}});
    const std::string text = lines();
    EXPECT_EQ(text.find("hunter2"), std::string::npos) << text;
    EXPECT_NE(text.find("[redacted:password:"), std::string::npos);
  }
}

TEST_F(LogTest, ALineStaysALineWhateverItsValues) {
  Log log(options(), clock_, redactor_);
  log.info("odd", {{"value", std::string_view("a\n2023 error forged\x1b[2J\xc2\x9b\xff\0", 27)}});
  EXPECT_EQ(lines(), "2023-11-14T22:13:20.000Z info odd value=\"a<0a>2023 error forged<1b>[2J<9b>\xef\xbf\xbd<00>\"\n");
}

TEST_F(LogTest, CutsLongValuesBetweenCharacters) {
  Log log(options(LogFormat::kJson), clock_, redactor_);
  std::string value = "x";
  while (value.size() < 5000) value += "\xc3\xa9";
  log.info("long", {{"value", value}});
  const std::string text = lines();
  EXPECT_LT(text.size(), 1200u);
  EXPECT_TRUE(is_utf8(text));
  EXPECT_NE(text.find("...\""), std::string::npos);
}

TEST_F(LogTest, CountsWhatItCouldNotWrite) {
  Log log(options(), clock_, redactor_);
  while (log.lost() < 3) log.info("fill", {{"value", std::string(900, 'x')}});
  EXPECT_EQ(log.lost(), 3u);
}

TEST_F(LogTest, KeepsTheLinesOfThreadsApart) {
  Log log(options(), clock_, redactor_);
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 100; ++i) log.info("same", {{"value", "0123456789"}});
    });
  }
  for (std::thread& thread : threads) thread.join();
  const std::string text = lines();
  std::size_t count = 0;
  for (std::string_view line : split(text, '\n')) {
    if (line.empty()) continue;
    EXPECT_EQ(line, "2023-11-14T22:13:20.000Z info same value=0123456789");
    ++count;
  }
  EXPECT_EQ(count, 400u);
}

TEST(LogLevels, AreReadBackFromTheirNames) {
  for (LogLevel level : {LogLevel::kDebug, LogLevel::kInfo, LogLevel::kWarning, LogLevel::kError, LogLevel::kOff}) {
    EXPECT_EQ(parse_log_level(to_string(level)), level);
  }
  EXPECT_EQ(parse_log_level("loud"), std::nullopt);
}

}  // namespace
}  // namespace sluice
