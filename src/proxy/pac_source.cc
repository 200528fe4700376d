#include "proxy/pac_source.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <cerrno>
#include <optional>

#include "net/spawn.h"
#include "pac/script_text.h"
#include "pac/wire.h"

namespace sluice::proxy {
namespace {

namespace asio = net::asio;

// What changes when a file does.
struct Stamp {
  dev_t device{};
  ino_t inode{};
  off_t size{};
  timespec changed{}, written{};
  bool operator==(const Stamp& other) const {
    const auto same = [](const timespec& a, const timespec& b) {
      return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec;
    };
    return device == other.device && inode == other.inode && size == other.size && same(changed, other.changed) &&
           same(written, other.written);
  }
};

class FilePac final : public PacSource {
 public:
  FilePac(std::string path, const FileRoots* roots) : path_(std::move(path)), roots_(roots) {}

  net::Task<Result<Text>> current() override { co_return look(); }

 private:
  Result<Text> look() {
    const Result<int> opened = roots_ ? roots_->open(path_) : open_anywhere();
    if (!opened) return fail(opened.error().code, "could not be read: " + opened.error().message);
    const std::unique_ptr<const int, void (*)(const int*)> closer(&*opened, [](const int* fd) { ::close(*fd); });
    struct stat facts {};
    if (::fstat(*opened, &facts) != 0 || !S_ISREG(facts.st_mode)) {
      return fail(Code::kRefused, "could not be read: it is no file");
    }
    const Stamp stamp{facts.st_dev, facts.st_ino, facts.st_size, facts.st_ctim, facts.st_mtim};
    if (text_ && stamp == stamp_) return text_;
    if (static_cast<ByteCount>(facts.st_size) > pac::kMostScript) {
      return fail(Code::kTooLarge, "could not be read: it is larger than 1 MiB");
    }
    std::string content(static_cast<std::size_t>(facts.st_size), '\0');
    std::size_t have = 0;
    while (have < content.size()) {
      const ssize_t got = ::read(*opened, content.data() + have, content.size() - have);
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) return fail(Code::kIo, "could not be read: " + errno_text(errno));
      if (got == 0) break;
      have += static_cast<std::size_t>(got);
    }
    content.resize(have);
    text_ = std::make_shared<const std::string>(pac::decode_script(content));
    stamp_ = stamp;
    return text_;
  }

  Result<int> open_anywhere() const {
    const int fd = ::open(path_.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) return fail(errno == ENOENT ? Code::kNotFound : Code::kRefused, errno_text(errno));
    return fd;
  }

  const std::string path_;
  const FileRoots* const roots_;
  Text text_;
  Stamp stamp_;
};

}  // namespace

std::shared_ptr<PacSource> file_pac(std::string path, const FileRoots* roots) {
  return std::make_shared<FilePac>(std::move(path), roots);
}

class HttpPac final : public PacSource, public std::enable_shared_from_this<HttpPac> {
 public:
  HttpPac(PacFetches& fetches, Url url, std::string grant)
      : fetches_(fetches),
        url_(std::move(url)),
        grant_(std::move(grant)),
        fetched_(fetches.io_, asio::steady_timer::time_point::max()) {}

  net::Task<Result<Text>> current() override {
    const auto self = shared_from_this();
    const PacLimits& limits = fetches_.limits_;
    const MonoTime now = fetches_.deps_.clock.mono();
    if (text_ && now - when_ < limits.fresh) co_return text_;
    if (!fetching_ && (!error_ || now - tried_ >= limits.refetch)) {
      fetching_ = true;
      net::spawn(fetches_.io_.get_executor(), fetch(self), fetches_.deps_.on_bug);
    }
    if (text_ && now - when_ < limits.fresh + limits.grace) co_return text_;
    while (fetching_) co_await fetched_.async_wait(asio::as_tuple(asio::use_awaitable));
    if (error_) co_return fail(*error_);
    co_return text_;
  }

 private:
  // The end of a fetch, however it came.
  struct Fetching {
    explicit Fetching(std::shared_ptr<HttpPac> all) : source(std::move(all)) { source->fetches_.begin(); }
    ~Fetching() {
      source->fetches_.end();
      source->fetching_ = false;
      source->fetched_.cancel();
    }
    std::shared_ptr<HttpPac> source;
  };

  static net::Task<void> fetch(std::shared_ptr<HttpPac> self) {
    const Fetching fetching(self);
    const Clock& clock = self->fetches_.deps_.clock;
    const PacLimits& limits = self->fetches_.limits_;
    auto body =
        co_await fetch_pac({self->fetches_.deps_, self->fetches_.readiness_, self->fetches_.deadlines_, self->grant_},
                           self->url_, clock.mono() + limits.fetch, limits.redirects);
    self->tried_ = clock.mono();
    if (!body) {
      self->error_ = std::move(body.error());
      co_return;
    }
    self->error_.reset();
    self->when_ = self->tried_;
    std::string text = pac::decode_script(*body);
    if (!self->text_ || *self->text_ != text) self->text_ = std::make_shared<const std::string>(std::move(text));
  }

  PacFetches& fetches_;
  const Url url_;
  const std::string grant_;
  asio::steady_timer fetched_;  // cancelled at the end of each fetch
  Text text_;
  MonoTime when_{}, tried_{};
  std::optional<Error> error_;  // of the last fetch
  bool fetching_ = false;
};

PacFetches::PacFetches(asio::io_context& io, const PacDeps& deps, const PacLimits& limits)
    : io_(io), deps_(deps), limits_(limits), readiness_(io), ticker_(io) {}

void PacFetches::stop() {
  readiness_.stop();
  ticker_.reset();
}

std::shared_ptr<PacSource> PacFetches::source(Url url, std::string grant) {
  return std::make_shared<HttpPac>(*this, std::move(url), std::move(grant));
}

void PacFetches::begin() {
  ++running_;
  deadlines_.tick(deps_.clock.mono());
  if (!ticking_) tick();
}

void PacFetches::tick() {
  ticking_ = running_ > 0;
  if (!ticking_) return;
  ticker_->expires_after(net::kDeadlineTick);
  ticker_->async_wait([this](const boost::system::error_code& error) {
    if (error) return;
    deadlines_.tick(deps_.clock.mono());
    tick();
  });
}

}  // namespace sluice::proxy
