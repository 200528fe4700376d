#include "app/admin.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <termios.h>
#include <unistd.h>

#include <charconv>

#include "app/state_open.h"
#include "app/trusted_file.h"
#include "base/ids.h"
#include "base/text.h"
#include "gateway/credential.h"

namespace sluice::app {
namespace {

constexpr std::size_t kMaxLine = 4096;

// One line from the terminal itself, not echoed, whatever standard input is.
class Terminal {
 public:
  Terminal() : fd_(::open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY)) {
    quiet_ = fd_ >= 0 && ::tcgetattr(fd_, &before_) == 0;
    if (!quiet_) return;
    termios silent = before_;
    silent.c_lflag &= ~static_cast<tcflag_t>(ECHO);
    quiet_ = ::tcsetattr(fd_, TCSAFLUSH, &silent) == 0;
  }
  ~Terminal() {
    if (quiet_) (void)::tcsetattr(fd_, TCSAFLUSH, &before_);
    if (fd_ >= 0) ::close(fd_);
  }
  Terminal(const Terminal&) = delete;
  Terminal& operator=(const Terminal&) = delete;

  std::optional<Secret> ask(std::string_view question) {
    if (!quiet_) return std::nullopt;
    write(question);
    char line[kMaxLine];
    std::size_t length = 0;
    while (length < sizeof line) {
      const ssize_t got = ::read(fd_, line + length, 1);
      if (got < 0 && errno == EINTR) continue;
      if (got <= 0 || line[length] == '\n') break;
      ++length;
    }
    write("\n");
    Secret answer(trim(std::string_view(line, length)));
    ::explicit_bzero(line, sizeof line);
    return answer;
  }

 private:
  void write(std::string_view text) const {
    while (!text.empty()) {
      const ssize_t wrote = ::write(fd_, text.data(), text.size());
      if (wrote <= 0) return;
      text.remove_prefix(static_cast<std::size_t>(wrote));
    }
  }
  int fd_;
  termios before_{};
  bool quiet_ = false;
};

}  // namespace

Result<std::unique_ptr<AdminSession>> AdminSession::open(const Config& config) {
  std::unique_ptr<AdminSession> session(new AdminSession(config));
  SLUICE_TRY(session->home_, Home::open(session->files_, config.home));
  const bool is_gate = config.command == Command::kGate;
  // The brake needs no state, so nothing that is wrong with one holds it up.
  if (is_gate && (config.action == "close" || config.action == "status")) return session;
  SLUICE_CHECK(check_trusted(session->home_->state_db()));
  const EngineConfig& engine = config.engine;
  SLUICE_CHECK(check_state_options(engine));
  session->state_ = make_gate_state(make_state_link(engine, session->clock_, session->entropy_), *session->home_);
  if (engine.state.empty() && is_gate && config.action == "open") SLUICE_CHECK(check_no_other_state(*session->home_));
  if (engine.state.empty()) warn_of_other_states(*session->home_);
  session->grants_.emplace(*session->state_);
  return session;
}

Result<Secret> AdminSession::ask() const {
  if (!config_.admin_token_file.empty()) {
    SLUICE_TRY(std::string text, load_trusted(absolute_path(config_.admin_token_file), 4 * kKiB, Readers::kSelf));
    Secret given(trim(std::string_view(text).substr(0, text.find('\n'))));
    ::explicit_bzero(text.data(), text.size());
    return given;
  }
  Terminal terminal;
  if (auto given = terminal.ask("Admin credential: ")) return *std::move(given);
  return fail(Code::kRefused,
              "this needs the admin credential, and there is no terminal to ask at: --admin-token-file FILE");
}

Status AdminSession::require_word(std::string_view word, std::string_view question) const {
  Terminal terminal;
  const auto given = terminal.ask(question);
  if (!given) return fail(Code::kRefused, "this is asked at a terminal only, and there is none");
  if (given->view() != word) return fail(Code::kRefused, "nothing was changed");
  return {};
}

Status AdminSession::require_admin(std::string_view method, std::string_view subject) {
  if (proven_) return {};
  SLUICE_TRY(const std::string hash, grants_->admin_hash());
  if (hash.empty()) {
    return fail(Code::kRefused, "there is no admin credential yet: `sluice grant admin` makes it, and shows it once");
  }
  SLUICE_TRY(const Secret given, ask());
  if (!gateway::same_hash(hash, gateway::credential_hash(given.view()))) {
    SLUICE_CHECK(record(method, subject, "deny", "(admin credential)"));
    return fail(Code::kRefused, "that is not the admin credential");
  }
  proven_ = true;
  return {};
}

Status AdminSession::record(std::string_view method, std::string_view subject, std::string_view decision,
                            std::string_view rule, std::string_view approval, std::string_view message) {
  if (!audit_) {
    SLUICE_TRY(audit_, gateway::AuditLog::create(
                           files_, clock_, entropy_,
                           {.directory = home_->audit(), .key_file = home_->audit_key(), .pid = ::getpid()}));
  }
  const std::string id = make_uuid(entropy_);
  auto line = gateway::AuditLog::DecisionRecord::by_person(id, method, subject, decision, rule, approval,
                                                           proven_ ? "admin" : "");
  line.message = message;
  return audit_->append(line);
}

Result<std::int64_t> parse_span(const std::string& text, std::string_view flag) {
  if (text.empty()) return 0;
  std::int64_t count = 0;
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), count);
  const std::string_view unit(parsed.ptr, static_cast<std::size_t>(text.data() + text.size() - parsed.ptr));
  const std::int64_t seconds = unit == "s" ? 1 : unit == "m" ? 60 : unit == "h" ? 3'600 : unit == "d" ? 86'400 : 0;
  if (parsed.ec != std::errc() || seconds == 0 || count < 0 || count > 3'650 * 86'400LL / seconds) {
    return fail(Code::kInvalid, fmt::format("{} takes a time such as 30s, 15m, 12h or 30d, at most 3650d", flag));
  }
  return count * seconds;
}

}  // namespace sluice::app
