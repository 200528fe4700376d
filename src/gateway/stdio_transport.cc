#include "gateway/stdio_transport.h"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/write.hpp>
#include <cerrno>
#include <deque>

#include "gateway/session_driver.h"

namespace sluice::gateway {

namespace asio = boost::asio;
using boost::system::error_code;

namespace {

// Our own tools behind lines.
class DriverSession final : public LineSession {
 public:
  explicit DriverSession(std::function<void(std::string)> send) : send_(std::move(send)) {}
  void set_driver(std::shared_ptr<SessionDriver> driver) { driver_ = std::move(driver); }
  void take(std::string_view line) override {
    mcp::Step step = driver_->feed(mcp::parse_message(line));
    if (step.answer) send_(std::move(step.answer->text));
    if (step.operation) driver_->begin(*std::move(step.operation));
  }
  void too_long() override {
    driver_->count_malformed();
    send_(mcp::write_error(std::nullopt, {mcp::rpc::kInvalidRequest, "the message is larger than the limit", nullptr}));
  }
  std::size_t calls() const override { return driver_->calls(); }
  void close() override { driver_->close(); }

 private:
  std::function<void(std::string)> send_;
  std::shared_ptr<SessionDriver> driver_;
};

}  // namespace

struct StdioTransport::Impl : std::enable_shared_from_this<Impl> {
  Impl(const asio::any_io_executor& control, Ends given, int in, int out, std::function<void()> ended_call)
      : ends(std::move(given)),
        input(control, in),
        output(control, out),
        grace(control),
        on_end(std::move(ended_call)) {}

  void read() {
    if (reading || ended || stopped) return;
    if (pending > kMaxPending || held) return;  // write() or hold_reading() reads again
    reading = true;
    input.async_read_some(asio::buffer(buffer), [self = shared_from_this()](const error_code& error, std::size_t got) {
      if (!self->stopped && !error) self->take(std::string_view(self->buffer.data(), got));
      self->reading =
          false;  // not before: whoever takes a line may ask for more, and what it lies in would be written over
      if (self->stopped) return;
      if (error) return self->end_of_input();
      self->read();
    });
  }

  void take(std::string_view octets) {
    while (!octets.empty() && !stopped) {
      const std::size_t end = octets.find('\n');
      const std::string_view part = octets.substr(0, end);
      if (line.size() + part.size() > ends.max_line) {
        too_long = true;  // the rest of this line is skipped
        line.clear();
      }
      if (!too_long) line += part;
      if (end == std::string_view::npos) return;
      octets.remove_prefix(end + 1);
      take_line();
    }
  }

  void take_line() {
    if (too_long) {
      too_long = false;
      session->too_long();
      return;
    }
    if (line.ends_with('\r')) line.pop_back();
    if (!line.empty()) session->take(line);
    line.clear();
  }

  void send(std::string text) {
    if (stopped || output_ended || text.empty()) return;
    text += '\n';
    pending += text.size();
    queue.push_back(std::move(text));
    write();
  }

  void write() {
    if (writing || queue.empty() || stopped) return;
    writing = true;
    asio::async_write(output, asio::buffer(queue.front()),
                      [self = shared_from_this()](const error_code& error, std::size_t) {
                        self->writing = false;
                        if (self->stopped) return;
                        if (error) return self->finish();  // nobody listens any more
                        self->pending -= self->queue.front().size();
                        self->queue.pop_front();
                        if (self->queue.empty()) self->drained();
                        self->write();
                        self->read();
                        self->finish_if_done();
                      });
  }

  void drained() {
    error_code ignored;
    if (output_ended) output.close(ignored);
    if (ends.on_drained) ends.on_drained();
  }

  void end_output() {
    output_ended = true;
    error_code ignored;
    if (queue.empty()) output.close(ignored);
  }

  void end_of_input() {
    ended = true;
    if (!line.empty() && !too_long) take_line();  // a last line without its end
    grace.expires_after(kGrace);
    grace.async_wait([self = shared_from_this()](const error_code& error) {
      if (!error && !self->stopped) self->finish();
    });
    finish_if_done();
  }

  // Listens have no outcome: they do not keep the process.
  void finish_if_done() {
    if (ended && session->calls() == 0 && queue.empty()) finish();
  }

  void finish() {
    if (stopped) return;
    shut();
    const auto call = std::move(on_end);
    if (call) call();
  }

  void shut() {
    stopped = true;
    session->close();
    error_code ignored;
    input.close(ignored);
    output.close(ignored);
    grace.cancel();
  }

  Ends ends;
  asio::posix::stream_descriptor input, output;
  asio::steady_timer grace;
  std::function<void()> on_end;
  std::shared_ptr<LineSession> session;
  std::array<char, 64 * 1024> buffer;
  std::string line;
  std::deque<std::string> queue;
  ByteCount pending = 0;
  bool reading = false, writing = false, too_long = false, ended = false, stopped = false, held = false,
       output_ended = false;
};

StdioTransport::StdioTransport(std::shared_ptr<Impl> impl) : impl_(std::move(impl)) {}

StdioTransport::~StdioTransport() { stop(); }

void StdioTransport::stop() {
  if (!impl_->stopped) impl_->shut();
}

void StdioTransport::send(std::string text) { impl_->send(std::move(text)); }

ByteCount StdioTransport::pending() const { return impl_->pending; }

void StdioTransport::hold_reading(bool hold) {
  impl_->held = hold;
  if (!impl_->stopped) impl_->read();
}

void StdioTransport::end_output() {
  if (!impl_->stopped) impl_->end_output();
}

Result<std::unique_ptr<StdioTransport>> StdioTransport::create(const asio::any_io_executor& control, Ends ends,
                                                               std::shared_ptr<LineSession> session,
                                                               std::function<void()> on_end) {
  const int in = ::fcntl(ends.input, F_DUPFD_CLOEXEC, 3);
  if (in < 0) return fail(Code::kIo, "standard input cannot be used: " + errno_text(errno));
  const int out = ::fcntl(ends.output, F_DUPFD_CLOEXEC, 3);
  if (out < 0) {
    const int why = errno;
    ::close(in);
    return fail(Code::kIo, "standard output cannot be used: " + errno_text(why));
  }
  auto impl = std::make_shared<Impl>(control, std::move(ends), in, out, std::move(on_end));
  impl->session = std::move(session);
  impl->read();
  return std::unique_ptr<StdioTransport>(new StdioTransport(std::move(impl)));
}

Result<std::unique_ptr<StdioTransport>> StdioTransport::create(const asio::any_io_executor& control,
                                                               const mcp::ServerProfile& profile,
                                                               Dispatcher& dispatcher, Options options,
                                                               std::function<void()> on_end) {
  const auto impl = std::make_shared<std::weak_ptr<Impl>>();
  const auto send = [impl](std::string text) {
    if (const auto self = impl->lock()) self->send(std::move(text));
  };
  auto session = std::make_shared<DriverSession>(send);
  session->set_driver(SessionDriver::create(profile, mcp::Scope::kStdio, dispatcher, std::move(options.caller),
                                            [impl](Outgoing outgoing) {
                                              const auto self = impl->lock();
                                              if (!self || self->stopped) return;
                                              self->send(std::move(outgoing.text));
                                              self->finish_if_done();
                                            }));
  auto transport =
      create(control, Ends{options.input, options.output, options.limits.max_message, {}}, session, std::move(on_end));
  if (transport) *impl = (*transport)->impl_;
  return transport;
}

}  // namespace sluice::gateway
