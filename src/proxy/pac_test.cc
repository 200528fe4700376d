// Proxy scripts with their processes and servers, from resolve() on.
#include "proxy/pac.h"

#include <dirent.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <boost/asio/co_spawn.hpp>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "fakes/pac_program.h"
#include "fakes/scripted_origin.h"
#include "fakes/tls_socket.h"
#include "proxy/guard.h"
#include "proxy/pac_fetch.h"

namespace sluice::proxy {
namespace {

using namespace std::chrono_literals;
using fakes::ScriptedOrigin;
using fakes::TlsOrigin;
using Choices = Result<std::vector<PacChoice>>;

const std::string kEcho = "function FindProxyForURL(u, h) { alert(u + ' ' + h); return 'PROXY a.test:8080; DIRECT'; }";

// The children of this process, those that wait to be reaped too.
std::vector<pid_t> children() {
  std::vector<pid_t> found;
  for (const auto& entry : std::filesystem::directory_iterator("/proc")) {
    std::ifstream file(entry.path() / "stat");
    std::string text;
    if (!std::getline(file, text)) continue;
    std::istringstream rest(text.substr(text.rfind(')') + 1));
    char state;
    pid_t parent = 0;
    rest >> state >> parent;
    if (parent == ::getpid()) found.push_back(std::stoi(entry.path().filename()));
  }
  return found;
}

// Processor time of a process, in ticks; 0 if there is none.
long ticks(pid_t pid) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/stat");
  std::string text, skipped;
  std::getline(file, text);
  std::istringstream rest(text.substr(std::min(text.size(), text.rfind(')') + 1)));
  for (int i = 0; i < 11; ++i) rest >> skipped;
  long count = 0;
  return rest >> count ? count : 0;
}

class PacTest : public testing::Test {
 protected:
  PacTest() { std::filesystem::create_directory(root_); }
  ~PacTest() override {
    pac_.reset();
    EXPECT_TRUE(children().empty()) << "a process was left behind";
    EXPECT_TRUE(bugs_.empty()) << bugs_.front();
    std::filesystem::remove_all(root_);
  }

  Pac& pac() {
    if (!pac_) {
      PacDeps deps{clock_, resolver_, guard_, client_tls_, {root_}, 0, {}, {}, "", ""};
      deps.on_bug = [this](std::string_view what) {
        std::lock_guard lock(mutex_);
        bugs_.emplace_back(what);
      };
      deps.on_alert = [this](std::string_view text) {
        std::lock_guard lock(mutex_);
        alerts_.emplace_back(text);
      };
      pac_ = std::make_unique<Pac>(std::move(deps), limits_);
    }
    return *pac_;
  }
  // Several at once, from one thread.
  std::vector<Choices> resolve_all(const std::vector<std::array<std::string, 3>>& questions) {
    net::asio::io_context io;
    std::vector<Choices> answers(questions.size(), fail(Code::kInternal, "nothing came"));
    for (std::size_t i = 0; i < questions.size(); ++i) {
      const auto& [script, url, host] = questions[i];
      net::asio::co_spawn(io, pac().resolve(script, url, host), [&answers, i](std::exception_ptr bug, Choices got) {
        EXPECT_FALSE(bug);
        answers[i] = std::move(got);
      });
    }
    io.run();
    return answers;
  }
  static std::string read(const Choices& choices) {
    if (!choices) return "error: " + choices.error().message;
    std::string list;
    for (const PacChoice& choice : *choices) list += (list.empty() ? "" : "; ") + pac::to_string(choice);
    return list;
  }
  std::string resolve(const std::string& script, const std::string& url = "http://h.test/p?q",
                      const std::string& host = "h.test") {
    return read(resolve_all({{script, url, host}}).front());
  }
  std::string file(const std::string& text, const std::string& name = "a.pac") {
    std::ofstream(root_ + "/" + name) << text;
    return "pac+file://" + root_ + "/" + name;
  }
  static std::string answer(const std::string& body, const std::string& status = "200 OK",
                            const std::string& more = "") {
    return "HTTP/1.1 " + status + "\r\n" + more + "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
  }
  static std::string script_at(const ScriptedOrigin& origin, const std::string& path = "/proxy.pac") {
    return "pac+http://" + origin.authority() + path;
  }
  static std::string saying(const std::string& proxy) {
    return "function FindProxyForURL() { return '" + proxy + "'; }";
  }

  SystemClock clock_;
  net::Resolver resolver_{1};
  OwnListeners guard_;
  std::shared_ptr<tls::ClientContext> client_tls_ = *tls::ClientContext::create({false, {}}, "");
  PacLimits limits_;
  std::string root_ = testing::TempDir() + "sluice-pac-" + std::to_string(::getpid());
  std::mutex mutex_;
  std::vector<std::string> bugs_, alerts_;
  std::unique_ptr<Pac> pac_;
};

// --- what scripts are told, and what they say ---

TEST_F(PacTest, AScriptSaysWhichProxiesInOrder) {
  const auto answers = resolve_all({{file(kEcho), "http://h.test/p?q", "h.test"}});
  ASSERT_TRUE(answers.front()) << answers.front().error().message;
  const std::vector<PacChoice> expected{{PacChoice::Kind::kHttp, "a.test", 8080}, {}};
  EXPECT_EQ(*answers.front(), expected);
}

TEST_F(PacTest, ScriptsSeeNoPathsOfHttpsNorSecretsOfUrls) {
  const std::string script = file(kEcho);
  for (const char* url : {"http://h.test/p?q#f", "https://h.test:8443/secret?token", "wss://h.test/secret",
                          "ws://h.test/chat", "https://user:pass@h.test/secret", "HTTPS://H.TEST"}) {
    resolve(script, url, "H.test");
  }
  resolve(script, "http://[2001:DB8::1]:81/", "[2001:DB8::1]");
  const std::vector<std::string> expected{"http://h.test/p?q h.test",
                                          "https://h.test:8443/ h.test",
                                          "wss://h.test/ h.test",
                                          "ws://h.test/chat h.test",
                                          "https://h.test/ h.test",
                                          "https://h.test/ h.test",
                                          "http://[2001:db8::1]:81/ 2001:db8::1"};
  EXPECT_EQ(alerts_, expected);
}

TEST_F(PacTest, NonsenseIsAnErrorAndNeverDirect) {
  const std::pair<const char*, const char*> table[] = {
      {"return '';", "returned nothing where it should name a proxy or DIRECT"},
      {"", "returned nothing where it should name a proxy or DIRECT"},
      {"return 'nonsense';", "returned \"nonsense\", which names no proxy and is not DIRECT"},
      {"return 1;", "returned a number where it should name a proxy or DIRECT"},
      {"return new Array(100001).join('PROXY a;');", "returned 800000 octets where it should name a proxy"},
      {"throw new Error('bad');", "threw Error: bad at line 1"}};
  for (const auto& [body, said] : table) {
    EXPECT_EQ(resolve(file("function FindProxyForURL() { " + std::string(body) + " }")),
              "error: the proxy script file://" + root_ + "/a.pac " + said);
  }
}

TEST_F(PacTest, AFloodOfAlertsIsNotedOnlyInPart) {
  const std::string script =
      file("function FindProxyForURL() { for (var i = 0; i < 1000; ++i) alert(i); return 'DIRECT'; }");
  for (int i = 0; i < 10; ++i) EXPECT_EQ(resolve(script), "DIRECT");
  EXPECT_EQ(alerts_.size(), limits_.alerts);
}

// --- processes ---

TEST_F(PacTest, AScriptThatLoopsIsKilledAndTheNextCallWorks) {
  limits_.evaluate = 300ms;
  const std::string script = file("function FindProxyForURL(u, h) { while (h == 'loop') {} return 'PROXY a:1'; }");
  EXPECT_EQ(resolve(script), "PROXY a:1");
  const auto first = children();
  EXPECT_EQ(resolve(script, "http://loop/", "loop"),
            "error: the proxy script file://" + root_ +
                "/a.pac did not answer within 0.3 s: it loops, or the names that it looks up take so long");
  EXPECT_TRUE(children().empty()) << "killed and reaped";
  EXPECT_EQ(resolve(script), "PROXY a:1");
  EXPECT_NE(children(), first);
}

TEST_F(PacTest, AScriptThatLoopsWhileItIsLoadedIsKilledAndNotTriedAgainAtOnce) {
  limits_.evaluate = 300ms;
  const std::string script = file("while (true) {}");
  EXPECT_NE(resolve(script).find("did not answer within 0.3 s"), std::string::npos);
  EXPECT_TRUE(children().empty());
  const auto began = std::chrono::steady_clock::now();
  EXPECT_NE(resolve(script).find("did not answer within 0.3 s"), std::string::npos);
  EXPECT_LT(std::chrono::steady_clock::now() - began, 250ms);
  EXPECT_EQ(resolve(file(saying("PROXY b:2"))), "PROXY b:2") << "another text is another script";
}

TEST_F(PacTest, ARegularExpressionThatTakesForEverIsKilled) {
  limits_.evaluate = 300ms;
  const std::string script = file(
      "function FindProxyForURL(u, h) { return shExpMatch(new Array(60).join('a'), '(a+)+b') ? 'DIRECT' : 'PROXY a'; "
      "}");
  EXPECT_NE(resolve(script).find("did not answer within 0.3 s"), std::string::npos);
}

TEST_F(PacTest, MemoryWithoutBoundIsAnErrorAndTheNextCallWorks) {
  const std::string script = file(
      "var kept = []; function FindProxyForURL(u, h) { for (var s = h; h == 'eat'; s += s) kept.push(s);"
      " return 'PROXY a:' + (kept.length + 1); }");
  EXPECT_EQ(resolve(script, "http://eat/", "eat"),
            "error: the proxy script file://" + root_ + "/a.pac used more than 64 MiB of memory");
  EXPECT_EQ(resolve(script), "PROXY a:1") << "with a fresh process";
}

TEST_F(PacTest, AProcessThatSomebodyKilledIsReplaced) {
  const std::string script = file(saying("PROXY a:1"));
  for (int round = 0; round < 3; ++round) {
    EXPECT_EQ(resolve(script), "PROXY a:1");
    const auto running = children();
    ASSERT_EQ(running.size(), 1u);
    ::kill(running.front(), SIGKILL);
  }
  EXPECT_EQ(resolve(script), "PROXY a:1");
}

TEST_F(PacTest, AProcessKilledInTheMiddleOfItsFirstCallIsAnError) {
  std::thread killer;
  const std::string script = file("function FindProxyForURL() { while (true) {} }");
  killer = std::thread([] {
    const auto until = std::chrono::steady_clock::now() + 10s;
    for (int killed = 0; killed < 1 && std::chrono::steady_clock::now() < until;) {
      for (const pid_t pid : children()) {
        if (ticks(pid) > 5) {  // it is at it
          ::kill(pid, SIGUSR1);
          ++killed;
        }
      }
      std::this_thread::yield();
    }
  });
  EXPECT_NE(resolve(script).find("ended its process: signal 10"), std::string::npos);
  killer.join();
}

TEST_F(PacTest, AProcessIsKeptBetweenCallsAndEndsWhenIdle) {
  limits_.idle = 200ms;
  const std::string script = file("var n = 0; function FindProxyForURL() { return 'PROXY a:' + ++n; }");
  EXPECT_EQ(resolve(script), "PROXY a:1");
  EXPECT_EQ(resolve(script), "PROXY a:2");
  const auto until = std::chrono::steady_clock::now() + 10s;
  while (!children().empty() && std::chrono::steady_clock::now() < until) std::this_thread::sleep_for(10ms);
  EXPECT_TRUE(children().empty());
  EXPECT_EQ(resolve(script), "PROXY a:1");
}

TEST_F(PacTest, ThereAreOnlySoManyProcessesAndTheOldestGoes) {
  limits_.processes = 2;
  for (int round = 0; round < 2; ++round) {
    for (int i = 1; i <= 5; ++i) {
      const std::string port = std::to_string(i);
      EXPECT_EQ(resolve(file(saying("PROXY a:" + port), port + ".pac")), "PROXY a:" + port);
      EXPECT_LE(children().size(), 2u);
    }
  }
}

TEST_F(PacTest, ManyScriptsAtOnceTakeTurnsWithTheFewProcesses) {
  limits_.processes = 2;
  std::vector<std::array<std::string, 3>> questions;
  for (int i = 1; i <= 40; ++i) {
    const std::string port = std::to_string(1 + i % 5);
    questions.push_back({file(saying("PROXY a:" + port), port + ".pac"), "http://h/", "h"});
  }
  const auto answers = resolve_all(questions);
  for (std::size_t i = 0; i < answers.size(); ++i) {
    EXPECT_EQ(read(answers[i]), "PROXY a:" + std::to_string(1 + (i + 1) % 5));
  }
}

TEST_F(PacTest, CallsOfOneScriptGoOneAfterTheOther) {
  const std::string script = file("var n = 0; function FindProxyForURL(u, h) { return 'PROXY a:' + ++n; }");
  const auto answers = resolve_all(std::vector<std::array<std::string, 3>>(200, {script, "http://h/", "h"}));
  for (std::size_t i = 0; i < answers.size(); ++i) EXPECT_EQ(read(answers[i]), "PROXY a:" + std::to_string(i + 1));
  EXPECT_EQ(children().size(), 1u);
}

TEST_F(PacTest, ACallThatWaitsTooLongForOthersIsAnErrorOfItsOwn) {
  limits_.evaluate = 400ms;
  limits_.patience = 600ms;
  const std::string script = file("function FindProxyForURL() { while (true) {} }");
  const auto answers = resolve_all(std::vector<std::array<std::string, 3>>(4, {script, "http://h/", "h"}));
  for (const auto& answer : answers) EXPECT_EQ(answer.error().code, Code::kTimeout);
}

TEST_F(PacTest, ManyThreadsMayAsk) {
  const std::string script = file("function FindProxyForURL(u, h) { return 'PROXY ' + h; }");
  pac();
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 50; ++i) {
        const std::string host = "h" + std::to_string(t * 100 + i);
        EXPECT_EQ(resolve(script, "http://" + host + "/", host), "PROXY " + host + ":80");
      }
    });
  }
  for (auto& thread : threads) thread.join();
}

TEST_F(PacTest, NothingIsLeftWhenItEndsInTheMiddleOfACall) {
  const std::string script = file("function FindProxyForURL() { while (true) {} }");
  auto io = std::make_unique<net::asio::io_context>();
  for (int i = 0; i < 3; ++i) {
    net::asio::co_spawn(*io, pac().resolve(script, "http://h/", "h"), [](std::exception_ptr, Choices) {});
  }
  const auto until = std::chrono::steady_clock::now() + 10s;
  while (children().empty() && std::chrono::steady_clock::now() < until) io->poll();
  ASSERT_EQ(children().size(), 1u);
  io.reset();  // the askers go, as they do with their worker
  const auto began = std::chrono::steady_clock::now();
  pac_.reset();
  EXPECT_LT(std::chrono::steady_clock::now() - began, 2s);
  EXPECT_TRUE(children().empty());
}

// As after a crash of ours, or the kernel's choice when memory ends: nobody kills what loops any more.
TEST_F(PacTest, AProcessThatLoopsDiesWithItsParent) {
  ASSERT_EQ(::prctl(PR_SET_CHILD_SUBREAPER, 1), 0);
  const auto parent_until = std::chrono::steady_clock::now() + 10s;
  const pid_t parent = ::fork();
  if (parent == 0) {
    net::asio::io_context io;
    const auto child = net::Child::start(io.get_executor(), {"/proc/self/exe", pac::child_arguments(), {}});
    net::asio::co_spawn(io, (*child)->exchange(R"({"script":"while (true) {}"})", clock_.mono() + 1000s, kMiB),
                        [](std::exception_ptr, const Result<std::string>&) {});
    while (ticks((*child)->pid()) < 5 && parent_until > std::chrono::steady_clock::now()) io.run_for(10ms);
    ::kill(::getpid(), SIGKILL);
  }
  int status = 0;
  EXPECT_EQ(::waitpid(parent, &status, 0), parent);
  EXPECT_TRUE(WIFSIGNALED(status));
  ASSERT_EQ(children().size(), 1u) << "it is ours now";
  const pid_t orphan = children().front();
  const auto until = std::chrono::steady_clock::now() + 10s;
  while (::waitpid(orphan, &status, WNOHANG) == 0 && std::chrono::steady_clock::now() < until)
    std::this_thread::yield();
  EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
  if (!children().empty()) ::kill(orphan, SIGKILL);
  ::prctl(PR_SET_CHILD_SUBREAPER, 0);
}

TEST_F(PacTest, OneThatWasStartedByNobodyDoesNothing) {
  net::asio::io_context io;
  const auto child = net::Child::start(io.get_executor(), {"/proc/self/exe", {pac::kChildCommand, "1"}, {}});
  net::asio::co_spawn(
      io, (*child)->exchange(R"({"script":""})", clock_.mono() + 10s, kMiB),
      [](std::exception_ptr, const Result<std::string>& answer) { EXPECT_EQ(answer.error().code, Code::kClosed); });
  io.run();
  EXPECT_EQ((*child)->end(), "status 3");
}

TEST_F(PacTest, AProcessHasNoWaysOut) {
  ::setenv("SLUICE_TEST_SECRET", "hidden", 1);
  EXPECT_EQ(resolve(file(kEcho)), "PROXY a.test:8080; DIRECT");
  ::unsetenv("SLUICE_TEST_SECRET");
  ASSERT_EQ(children().size(), 1u);
  const std::string process = "/proc/" + std::to_string(children().front());
  const auto content = [&](const char* name) {
    std::ifstream in(process + name);
    return std::string((std::istreambuf_iterator<char>(in)), {});
  };
  EXPECT_EQ(content("/environ").find("SECRET"), std::string::npos);
  EXPECT_EQ(content("/environ").find("PATH"), std::string::npos);
  std::set<std::string> fds;
  for (const auto& entry : std::filesystem::directory_iterator(process + "/fd")) fds.insert(entry.path().filename());
  EXPECT_EQ(fds, (std::set<std::string>{"0", "1", "2"}));
  const std::string limits = content("/limits"), status = content("/status");
  for (const char* line : {"Max core file size        0                    0", "Max file size             0 ",
                           "Max open files            16                   16", "Max cpu time              60"}) {
    EXPECT_NE(limits.find(line), std::string::npos) << line << "\n" << limits;
  }
  EXPECT_NE(status.find("NoNewPrivs:\t1"), std::string::npos);
}

// --- files ---

TEST_F(PacTest, AChangedFileIsReadAgain) {
  const std::string script = file(saying("PROXY a:1"));
  EXPECT_EQ(resolve(script), "PROXY a:1");
  file(saying("PROXY a:22"));
  EXPECT_EQ(resolve(script), "PROXY a:22");
  EXPECT_EQ(children().size(), 1u);
  std::filesystem::remove(root_ + "/a.pac");
  EXPECT_NE(resolve(script).find("could not be read: there is no file"), std::string::npos);
  file(saying("PROXY a:3"));
  EXPECT_EQ(resolve(script), "PROXY a:3");
}

TEST_F(PacTest, FilesBeyondTheAllowedRootsAreNotRead) {
  const std::string outside = testing::TempDir() + "sluice-outside-" + std::to_string(::getpid()) + ".pac";
  std::ofstream(outside) << saying("PROXY stolen:1");
  std::filesystem::create_symlink(outside, root_ + "/link.pac");
  std::filesystem::create_directory_symlink(testing::TempDir(), root_ + "/folder");
  ::mkfifo((root_ + "/fifo.pac").c_str(), 0600);
  const std::string name = outside.substr(outside.rfind('/') + 1);
  for (const std::string& path :
       {outside, root_ + "/link.pac", root_ + "/folder/" + name, root_ + "/../" + name, root_ + "/%2e%2e/" + name,
        root_ + "/fifo.pac", root_, root_ + "/", root_ + "x/../" + name, std::string("/dev/stdin")}) {
    EXPECT_NE(resolve("pac+file://" + path).find(" could not be read: "), std::string::npos) << path;
  }
  for (const char* odd : {"pac+file://", "pac+file://a.pac", "pac+file://host/a.pac", "pac+file:///a%00b"}) {
    EXPECT_FALSE(Pac::check_url(odd)) << odd;
    EXPECT_TRUE(resolve(odd).starts_with("error: ")) << odd;
  }
  pac().permit("pac+file://" + outside);
  EXPECT_NE(resolve("pac+file://" + root_ + "/link.pac").find(" could not be read: "), std::string::npos);
  std::filesystem::remove(outside);
}

TEST_F(PacTest, AFileThatTheCommandLineNamesMayLieAnywhere) {
  const std::string outside = testing::TempDir() + "sluice-named-" + std::to_string(::getpid()) + ".pac";
  std::ofstream(outside) << saying("PROXY named:1");
  pac().permit("pac+file://" + outside);
  EXPECT_EQ(resolve("pac+file://" + outside), "PROXY named:1");
  std::filesystem::remove(outside);
}

TEST_F(PacTest, AFileThatIsTooLargeIsRefused) {
  EXPECT_NE(resolve(file(std::string(kMiB + 1, ' '))).find("could not be read: it is larger than 1 MiB"),
            std::string::npos);
  EXPECT_EQ(resolve(file(saying("PROXY a:1") + std::string(kMiB - 100, ' '))), "PROXY a:1");
  EXPECT_EQ(resolve(file(saying("PROXY a:2") + "/*" + std::string(kMiB - 100, '\1') + "*/")), "PROXY a:2")
      << "each octet escaped on the pipe";
}

// --- servers ---

TEST_F(PacTest, AScriptIsFetchedOnceAndKept) {
  ScriptedOrigin origin({{answer("\xef\xbb\xbf" + saying("PROXY a:1"), "200 OK", "Content-Type: text/plain\r\n")}});
  const auto answers = resolve_all(std::vector<std::array<std::string, 3>>(20, {script_at(origin), "http://h/", "h"}));
  for (const auto& one : answers) EXPECT_EQ(read(one), "PROXY a:1");
  EXPECT_EQ(resolve(script_at(origin)), "PROXY a:1");
  EXPECT_EQ(origin.accepted(), 1);
  EXPECT_EQ(children().size(), 1u);
  const std::string request = origin.received();
  EXPECT_TRUE(request.starts_with("GET /proxy.pac HTTP/1.1\r\nHost: " + origin.authority() + "\r\n")) << request;
}

TEST_F(PacTest, WhatTheServerSaysInsteadIsAnError) {
  const std::pair<std::string, const char*> table[] = {
      {answer("", "404 Not Found"), "the server answered 404"},
      {answer("x", "204 No Content"), "the server answered 204"},
      {answer("x", "206 Partial Content"), "the server answered 206"},
      {answer("x", "200 OK", "Content-Encoding: gzip\r\n"), "the server answered with a content coding"},
      {answer(std::string(kMiB + 1, ' ')), "it is larger than 1 MiB"},
      {"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort", ""},
      {"", ""},
      {"nonsense\r\n\r\n", ""},
      {answer("", "302 Found"), ""},
      {answer("", "302 Found", "Location: ftp://h/\r\n"), ""},
      {answer("", "302 Found", "Location: file:///etc/passwd\r\n"), ""}};
  for (const auto& [said, why] : table) {
    ScriptedOrigin origin({{said, ScriptedOrigin::Then::kClose}});
    const std::string outcome = resolve(script_at(origin));
    EXPECT_NE(outcome.find("/*** could not be fetched: " + std::string(why)), std::string::npos) << outcome;
  }
  ScriptedOrigin origin({});
  EXPECT_NE(resolve("pac+http://127.0.0.1:1/x?token=secret").find("/*** could not be fetched: connection refused"),
            std::string::npos);
}

TEST_F(PacTest, AServerThatSaysNothingIsGivenUp) {
  limits_.fetch = 300ms;
  ScriptedOrigin origin({{"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf"}});
  EXPECT_NE(resolve(script_at(origin)).find("could not be fetched: it took too long"), std::string::npos);
}

TEST_F(PacTest, ALogInPageIsNoScript) {
  ScriptedOrigin origin({{answer("<!doctype html><title>Log in</title>")}});
  EXPECT_NE(resolve(script_at(origin)).find("could not be parsed, line 1: "), std::string::npos);
}

TEST_F(PacTest, RedirectsAreFollowedAFewTimes) {
  ScriptedOrigin last({{answer(saying("PROXY a:1"))}});
  ScriptedOrigin first({{answer("", "302 Found", "Location: /b?c\r\n"), ScriptedOrigin::Then::kClose},
                        {answer("", "301 Moved", "Location: http://" + last.authority() + "/d\r\n")}});
  EXPECT_EQ(resolve(script_at(first)), "PROXY a:1");
  EXPECT_NE(first.received().find("GET /b?c "), std::string::npos);
  const ScriptedOrigin::Script again{answer("", "302 Found", "Location: /\r\n"), ScriptedOrigin::Then::kClose};
  ScriptedOrigin circle(std::vector<ScriptedOrigin::Script>(10, again));
  EXPECT_NE(resolve(script_at(circle)).find("too many redirects"), std::string::npos);
  EXPECT_EQ(circle.accepted(), 6);
}

TEST_F(PacTest, RedirectsAreReadAsUrlReferences) {
  const Url base = *parse_url("https://h.test:8443/a/b?c");
  const std::pair<const char*, const char*> table[] = {{"https://other.test/x", "https://other.test/x"},
                                                       {"//other.test/x", "https://other.test/x"},
                                                       {"/x?y", "https://h.test:8443/x?y"},
                                                       {"x", "https://h.test:8443/a/x"},
                                                       {"?z", "https://h.test:8443/a/b?z"},
                                                       {"/x#frag", "https://h.test:8443/x"},
                                                       {"x/y:z", "https://h.test:8443/a/x/y:z"}};
  for (const auto& [location, expected] : table) {
    const auto url = redirect_target(base, location);
    ASSERT_TRUE(url) << location;
    EXPECT_EQ(to_string(*url), expected);
  }
  for (const char* location : {"http://h.test/", "ftp://h.test/", "javascript:1", "https://u:p@h.test/", "https://"}) {
    EXPECT_FALSE(redirect_target(base, location)) << location;
  }
}

TEST_F(PacTest, OurOwnListenersServeNoScripts) {
  ScriptedOrigin origin({{answer(saying("PROXY a:1"))}});
  guard_.add({"127.0.0.1", origin.port()});
  EXPECT_NE(resolve(script_at(origin)).find("could not be fetched: "), std::string::npos);
  EXPECT_EQ(origin.accepted(), 0);
}

TEST_F(PacTest, OverHttpsTheCertificateMustBeTrusted) {
  SystemEntropy entropy;
  const auto authority = *tls::CertificateAuthority::create(clock_, entropy);
  TlsOrigin origin(*authority, "127.0.0.1", answer(saying("PROXY a:1")));
  const std::string script = "pac+https://127.0.0.1:" + std::to_string(origin.port()) + "/p.pac";
  EXPECT_NE(resolve(script).find("could not be fetched: the certificate of 127.0.0.1:"), std::string::npos);
  pac_.reset();
  std::ofstream(root_ + "/ca.pem") << authority->certificate_pem();
  client_tls_ = *tls::ClientContext::create({false, {root_ + "/ca.pem"}}, "");
  EXPECT_EQ(resolve(script), "PROXY a:1");
}

TEST_F(PacTest, AnOldScriptIsFetchedAgainBesideTheCalls) {
  limits_.fresh = 50ms;
  ScriptedOrigin origin({{answer(saying("PROXY a:1")), ScriptedOrigin::Then::kClose},
                         {answer(saying("PROXY a:2")), ScriptedOrigin::Then::kClose}});
  EXPECT_EQ(resolve(script_at(origin)), "PROXY a:1");
  const auto until = std::chrono::steady_clock::now() + 10s;
  std::string said = "PROXY a:1";
  while (said == "PROXY a:1" && std::chrono::steady_clock::now() < until) said = resolve(script_at(origin));
  EXPECT_EQ(said, "PROXY a:2");
  EXPECT_EQ(children().size(), 1u);
}

TEST_F(PacTest, AFailedRefetchIsAnErrorAfterTheGraceAndNeverDirect) {
  limits_.fresh = 50ms;
  limits_.grace = 300ms;
  limits_.refetch = 20ms;
  ScriptedOrigin origin({{answer(saying("PROXY a:1")), ScriptedOrigin::Then::kClose}});  // then it closes
  const auto began = std::chrono::steady_clock::now();  // before the fetch that the grace counts from
  EXPECT_EQ(resolve(script_at(origin)), "PROXY a:1");
  const auto until = std::chrono::steady_clock::now() + 10s;
  std::string said = "PROXY a:1";
  while (said == "PROXY a:1" && std::chrono::steady_clock::now() < until) said = resolve(script_at(origin));
  EXPECT_GE(std::chrono::steady_clock::now() - began, 300ms);
  EXPECT_NE(said.find("could not be fetched: "), std::string::npos) << said;
}

TEST_F(PacTest, AFetchThatFailedIsTriedAgainSoon) {
  limits_.refetch = 50ms;
  ScriptedOrigin origin({{answer("", "503 Busy"), ScriptedOrigin::Then::kClose}, {answer(saying("PROXY a:1"))}});
  const auto until = std::chrono::steady_clock::now() + 10s;
  std::string said;
  int errors = 0;
  while ((said = resolve(script_at(origin))) != "PROXY a:1" && std::chrono::steady_clock::now() < until) ++errors;
  EXPECT_EQ(said, "PROXY a:1");
  EXPECT_GE(errors, 1);
  EXPECT_EQ(origin.accepted(), 2);
}

TEST_F(PacTest, UrlsOfScriptsAreChecked) {
  for (const char* good : {"pac+http://h/p", "pac+https://h:8443/p.pac?x", "PAC+HTTP://h/", "pac+file:///etc/p.pac",
                           "pac+file:/etc/p.pac", "pac+file://localhost/etc/p.pac"}) {
    EXPECT_TRUE(Pac::check_url(good)) << good;
  }
  for (const char* bad :
       {"", "http://h/p", "pac+ftp://h/p", "pac+http://", "pac+ws://h/", "pac+http://u:p@h/", "pac+"}) {
    const Status checked = Pac::check_url(bad);
    ASSERT_FALSE(checked) << bad;
    EXPECT_EQ(checked.error().message.find("u:p"), std::string::npos);
    EXPECT_TRUE(resolve(bad).starts_with("error: ")) << bad;
  }
}

}  // namespace
}  // namespace sluice::proxy
