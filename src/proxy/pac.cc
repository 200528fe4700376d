#include "proxy/pac.h"

#include <pthread.h>

#include <algorithm>
#include <boost/asio/post.hpp>
#include <boost/asio/this_coro.hpp>
#include <map>
#include <mutex>
#include <optional>
#include <set>

#include "base/text.h"
#include "base/url.h"
#include "net/answer_slot.h"
#include "net/spawn.h"
#include "proxy/file_roots.h"
#include "proxy/pac_processes.h"
#include "proxy/pac_source.h"
#include "proxy/upstream_proxy.h"

namespace sluice::proxy {
namespace {

namespace asio = net::asio;
using Choices = Result<std::vector<PacChoice>>;

constexpr std::string_view kPrefix = "pac+";
constexpr std::string_view kFile = "pac+file:";
constexpr int kMostFarewells = 1000;  // turns of the loop that ends what still runs
constexpr std::chrono::minutes kAlertMinute{1};

// The absolute path of pac+file:///… or pac+file:/…; nullopt if it is none.
std::optional<std::string> file_path(std::string_view pac_url) {
  if (!iequals(pac_url.substr(0, kFile.size()), kFile)) return std::nullopt;
  std::string_view rest = pac_url.substr(kFile.size());
  if (rest.starts_with("//")) {
    rest.remove_prefix(2);
    if (iequals(rest.substr(0, 10), "localhost/")) rest.remove_prefix(9);
  }
  std::string path = percent_decode(rest);
  if (!path.starts_with('/') || path.find('\0') != std::string::npos) return std::nullopt;
  return path;
}

Result<Url> script_url(std::string_view pac_url) {
  if (iequals(pac_url.substr(0, kPrefix.size()), kPrefix)) {
    auto url = parse_url(pac_url.substr(kPrefix.size()));
    if (url && (url->scheme == "http" || url->scheme == "https")) return url;
    if (!url) return fail(Code::kInvalid, "the URL of the proxy script is not valid: " + url.error().message);
  }
  return fail(Code::kInvalid, "a proxy script is named pac+http://…, pac+https://… or pac+file:///…");
}

// For messages: of a server's scripts path and query may hold a secret (proxy.md g); files are our own.
std::string shown_name(const std::string& pac_url) {
  const std::string name = file_path(pac_url) ? pac_url : redacted_proxy_url(pac_url);
  return pac::shown(
      std::string_view(name).substr(iequals(name.substr(0, kPrefix.size()), kPrefix) ? kPrefix.size() : 0), 200);
}

// As browsers give it to scripts (Pac::resolve).
std::string sanitised(std::string_view text) {
  if (auto url = parse_url(text)) {
    if (url->scheme == "https" || url->scheme == "wss") url->target = "/";
    return to_string(*url);
  }
  // Nothing that we make, but no reason to tell a script more than it should know.
  const std::size_t begin = text.find("://");
  if (begin == std::string_view::npos) return {};
  std::string_view authority = text.substr(begin + 3);
  authority = authority.substr(0, authority.find_first_of("/?#"));
  authority.remove_prefix(authority.rfind('@') + 1);
  return to_lower(text.substr(0, begin)) + "://" + to_lower(authority) + "/";
}

struct Question {
  std::string pac_url, url, host, grant;
  MonoTime until;
  std::shared_ptr<net::AnswerSlot<Choices>> slot;
};

}  // namespace

// What lives on Pac's thread.
class Pac::Desk {
 public:
  Desk(asio::io_context& io, PacDeps deps, const PacLimits& limits)
      : deps_(std::move(deps)),
        limits_(limits),
        roots_(deps_.allow_roots, pac::kMostScript, deps_.home, deps_.sessions, deps_.policy_folder),
        fetches_(io, deps_, limits),
        processes_(io, limits, deps_.clock) {}

  void permit(std::string path) {
    std::lock_guard lock(mutex_);
    permitted_.insert(std::move(path));
  }

  net::Task<void> serve(Question question) {
    Choices answer = co_await find(question);
    if (!answer) {
      answer.error().message = "the proxy script " + shown_name(question.pac_url) + " " + answer.error().message;
    }
    question.slot->give(std::move(answer));
  }

  bool cancel() {
    fetches_.cancel();
    return processes_.cancel();
  }
  void stop() {
    scripts_.clear();
    processes_.stop();
    fetches_.stop();
  }

 private:
  struct Script {
    std::shared_ptr<PacSource> source;
    MonoTime used;
  };

  net::Task<Choices> find(const Question& question) {
    auto source = script(question);
    if (!source) co_return fail(std::move(source.error()));
    auto text = co_await (*source)->current();
    if (!text) co_return fail(std::move(text.error()));
    if (!question.slot->is_wanted()) co_return fail(Code::kCancelled, "is no longer asked");
    auto reply = co_await processes_.evaluate(key_of(question), *std::move(text),
                                              {std::nullopt, question.url, question.host}, question.until);
    if (!reply) co_return fail(std::move(reply.error()));
    note(reply->alerts);
    if (!reply->answer) co_return fail(std::move(reply->answer.error()));
    co_return pac::parse_answer(*reply->answer);
  }

  // What one grant has fetched is no answer for another: each of them must be allowed to.
  static std::string key_of(const Question& question) {
    return question.grant.empty() ? question.pac_url : question.pac_url + ' ' + question.grant;
  }

  Result<std::shared_ptr<PacSource>> script(const Question& question) {
    const std::string& pac_url = question.pac_url;
    const std::string key = key_of(question);
    const MonoTime now = deps_.clock.mono();
    if (const auto found = scripts_.find(key); found != scripts_.end()) {
      found->second.used = now;
      return found->second.source;
    }
    std::shared_ptr<PacSource> source;
    if (auto path = file_path(pac_url)) {
      source = file_pac(*path, is_permitted(*path) ? nullptr : &roots_);
    } else {
      SLUICE_TRY(Url url, script_url(pac_url));
      source = fetches_.source(std::move(url), question.grant);
    }
    if (scripts_.size() >= limits_.scripts) {
      scripts_.erase(std::min_element(scripts_.begin(), scripts_.end(),
                                      [](const auto& a, const auto& b) { return a.second.used < b.second.used; }));
    }
    scripts_.emplace(key, Script{source, now});
    return source;
  }

  bool is_permitted(const std::string& path) {
    std::lock_guard lock(mutex_);
    return permitted_.contains(path);
  }

  void note(const pac::Script::Alerts& alerts) {
    if (!deps_.on_alert) return;
    const MonoTime now = deps_.clock.mono();
    if (now - minute_ >= kAlertMinute) {
      minute_ = now;
      noted_ = 0;
    }
    for (const std::string& text : alerts.texts) {
      if (noted_++ < limits_.alerts) deps_.on_alert(text);
    }
  }

  const PacDeps deps_;
  const PacLimits& limits_;
  const FileRoots roots_;
  PacFetches fetches_;
  PacProcesses processes_;
  std::map<std::string, Script> scripts_;
  MonoTime minute_{};
  std::size_t noted_ = 0;
  std::mutex mutex_;
  std::set<std::string> permitted_;
};

Pac::Pac(PacDeps deps, PacLimits limits)
    : limits_(limits), on_bug_(deps.on_bug), desk_(std::make_unique<Desk>(*io_, std::move(deps), limits_)) {}

Pac::~Pac() {
  io_->stop();
  if (thread_.joinable()) thread_.join();
  io_->restart();
  for (int round = 0; round < kMostFarewells && !desk_->cancel(); ++round) io_->poll();
  io_->poll();
  desk_->stop();
  work_.reset();
  io_.reset();  // with it what waits for a name or a connect, and still uses the desk
}

Status Pac::check_url(std::string_view pac_url) {
  if (file_path(pac_url)) return {};
  SLUICE_CHECK(script_url(pac_url));
  return {};
}

void Pac::permit(const std::string& pac_url) {
  if (auto path = file_path(pac_url)) desk_->permit(*std::move(path));
}

net::Task<Choices> Pac::resolve(Worker&, std::string pac_url, std::string url, std::string host, std::string grant) {
  return resolve(std::move(pac_url), std::move(url), std::move(host), std::move(grant));
}

net::Task<Choices> Pac::resolve(std::string pac_url, std::string url, std::string host, std::string grant) {
  if (host.size() > 2 && host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  const auto until = std::chrono::steady_clock::now() + limits_.patience;
  std::call_once(started_, [this] {
    thread_ = std::thread([this] {
      ::pthread_setname_np(::pthread_self(), "pac");
      io_->run();
    });
  });
  net::Asking<Choices> asking(co_await asio::this_coro::executor, until);
  Question question{std::move(pac_url), sanitised(url), to_lower(host), std::move(grant), until, asking.slot()};
  const std::string name = shown_name(question.pac_url);
  asio::post(*io_, [this, question = std::move(question)] {
    net::spawn(io_->get_executor(), desk_->serve(question), on_bug_);
  });
  auto answer = co_await asking.wait();
  if (!answer) co_return fail(Code::kTimeout, "the proxy script " + name + " was not answered in time");
  co_return *std::move(answer);
}

}  // namespace sluice::proxy
