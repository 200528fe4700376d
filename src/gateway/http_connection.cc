#include "gateway/http_connection.h"

#include <fmt/format.h>

#include <array>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "base/text.h"
#include "http/framing.h"

namespace sluice::gateway {

using net::Task;

namespace {

constexpr std::size_t kReadSize = 16 * kKiB;
// A client that sends faster than we read would keep the loop for itself.
constexpr int kReadsInARow = 8;
constexpr std::chrono::seconds kLinger{2};
constexpr ByteCount kLingerOctets = 8 * kMiB;

std::string head_text(const HttpAnswer& answer, bool keep, std::string_view framing) {
  std::string head = fmt::format("HTTP/1.1 {} {}\r\n", answer.status, http::reason_phrase(answer.status));
  for (const auto& [name, value] : answer.fields) head += fmt::format("{}: {}\r\n", name, value);
  head += "X-Content-Type-Options: nosniff\r\n";
  head += framing;
  if (!keep) head += "Connection: close\r\n";
  return head + "\r\n";
}

}  // namespace

HttpConnection::HttpConnection(int fd, std::string local_address, std::shared_ptr<HttpLoop> loop, HttpHandler& handler,
                               const HttpServerLimits& limits)
    : loop_(std::move(loop)),
      stream_(fd, loop_->readiness, *loop_->deadlines),
      local_address_(std::move(local_address)),
      handler_(handler),
      limits_(limits),
      reader_(limits.http) {}

void HttpConnection::close() {
  stream_.close();
  if (reply_) reply_->gone();
}

void HttpConnection::set_deadline(std::chrono::milliseconds from_now) {
  stream_.set_deadline(std::chrono::steady_clock::now() + from_now);
}

Task<Result<std::size_t>> HttpConnection::read_some() {
  for (;;) {
    buffer_.resize(kReadSize);
    const tls::IoResult got = stream_.read(buffer_);
    if (got.status == tls::IoStatus::kOk) {
      if (++reads_in_a_row_ >= kReadsInARow) co_await let_others();
      co_return got.count;
    }
    if (got.status != tls::IoStatus::kWouldBlock) co_return fail(Code::kClosed, stream_.error_text());
    reads_in_a_row_ = 0;
    // Most connections are silent for most of their life: they need no memory for that.
    std::string().swap(buffer_);
    const Status ready = co_await stream_.wait_readable();
    if (!ready) co_return fail(ready.error());
  }
}

Task<void> HttpConnection::let_others() {
  reads_in_a_row_ = 0;
  co_await boost::asio::post(loop_->executor(), boost::asio::use_awaitable);
}

Task<bool> HttpConnection::read_more() {
  const auto got = co_await read_some();
  if (!got) co_return false;
  reader_.feed(Bytes(buffer_).substr(0, *got));
  co_return true;
}

Task<bool> HttpConnection::write(std::string octets) {
  set_deadline(limits_.write);
  const Status sent = co_await stream_.write_all(octets);
  stream_.clear_deadline();
  co_return sent.has_value();
}

Task<void> HttpConnection::linger() {
  stream_.close_write();
  set_deadline(kLinger);
  ByteCount left = kLingerOctets;
  while (left > 0) {
    const auto got = co_await read_some();
    if (!got) break;
    left -= std::min<ByteCount>(left, *got);
  }
  close();
}

Task<void> HttpConnection::refuse(int status, std::string_view text) {
  HttpAnswer answer{status, {{"Content-Type", "text/plain; charset=utf-8"}}, std::string(text) + "\n"};
  const std::string framing = fmt::format("Content-Length: {}\r\n", answer.body.size());
  const bool sent = co_await write(head_text(answer, false, framing) + answer.body);
  if (sent) co_await linger();
}

Task<std::optional<http::RequestHead>> HttpConnection::read_head() {
  set_deadline(limits_.idle);
  bool begun = false;
  for (;;) {
    auto event = reader_.next();
    if (!event) {
      const Error& error = event.error();
      const int status = error.code == Code::kTooLarge ? 431 : error.message == http1::kUnsupportedVersion ? 505 : 400;
      co_await refuse(status, error.message);
      co_return std::nullopt;
    }
    if (auto* head = std::get_if<http::RequestHead>(&*event)) co_return std::move(*head);
    if (reader_.in_head() && !begun) {
      begun = true;
      set_deadline(limits_.head);
    }
    const bool more = co_await read_more();
    if (!more) co_return std::nullopt;
  }
}

Task<std::optional<std::string>> HttpConnection::read_body(const http::RequestHead& head) {
  if (reader_.framing().kind == http::Framing::kLength && reader_.framing().length > limits_.max_body) {
    co_await write_answer(handler_.too_large(head), Asked(head), false);
    co_await linger();
    co_return std::nullopt;
  }
  if (reader_.framing().kind != http::Framing::kNone && head.fields.has_token("expect", "100-continue")) {
    const bool sent = co_await write("HTTP/1.1 100 Continue\r\n\r\n");
    if (!sent) co_return std::nullopt;
  }
  set_deadline(limits_.body);
  std::string body;
  for (;;) {
    auto event = reader_.next();
    if (!event) {
      co_await refuse(400, event.error().message);
      co_return std::nullopt;
    }
    if (const auto* piece = std::get_if<http::BodyPiece>(&*event)) {
      body.append(piece->content);
      if (body.size() > limits_.max_body) {
        co_await write_answer(handler_.too_large(head), Asked(head), false);
        co_await linger();
        co_return std::nullopt;
      }
    } else if (std::holds_alternative<http::MessageEnd>(*event)) {
      co_return body;
    } else if (std::holds_alternative<http::NeedMore>(*event)) {
      const bool more = co_await read_more();
      if (!more) co_return std::nullopt;
    }
  }
}

Task<HttpConnection::Next> HttpConnection::write_answer(HttpAnswer answer, Asked asked, bool keep) {
  std::string octets = head_text(answer, keep, fmt::format("Content-Length: {}\r\n", answer.body.size()));
  if (!asked.for_head) octets += answer.body;
  const bool sent = co_await write(std::move(octets));
  co_return sent&& keep ? Next::kKeep : Next::kClose;
}

// While a request is answered nobody reads: an end shows here. One request at a time may have it looked for.
void HttpConnection::watch_for_end() { stream_.watch_readable(this); }

void HttpConnection::on_wait_over(Status how) {
  // Not from within what told it: reading may end this connection.
  boost::asio::post(loop_->executor(), [weak = weak_from_this(), how = std::move(how)] {
    const auto self = weak.lock();
    if (!self || !self->reply_) return;
    if (how) {
      self->look_for_end();
    } else {
      self->reply_->gone();
    }
  });
}

void HttpConnection::look_for_end() {
  std::array<char, 1> octet;
  const tls::IoResult got = stream_.read(octet);
  if (got.status == tls::IoStatus::kWouldBlock) return watch_for_end();
  // A pipelined request is no end: it waits its turn, and an end behind it is seen when it is read.
  if (got.status == tls::IoStatus::kOk) return stream_.unread(std::string(octet.data(), 1));
  reply_->gone();
}

// `octets` go before the first of them. What is there at once leaves at once: each write wakes the client.
Task<bool> HttpConnection::write_events(HttpReply& reply, bool chunked, std::string octets) {
  bool silent = false;
  while (!reply.is_gone()) {
    std::string events = reply.take_events();
    const bool last = reply.ended();
    if (events.empty() && silent && !last) events = ": keep-alive\n\n";
    if (!chunked) {
      octets += events;
    } else if (!events.empty()) {
      http1::append_chunk(octets, events);
    }
    if (chunked && last) http1::append_last_chunk(octets, {});
    const bool sent = octets.empty() || co_await write(std::exchange(octets, {}));
    if (!sent || last) co_return sent;
    silent = !co_await reply.wait(limits_.keep_alive);
  }
  co_return false;
}

Task<HttpConnection::Next> HttpConnection::pump(HttpReply& reply, Asked asked) {
  stream_.clear_deadline();
  watch_for_end();
  while (!reply.begun() && !reply.ended() && !reply.is_gone()) (void)co_await reply.wait(std::chrono::hours(1));
  if (reply.streaming() && asked.by_post) {
    loop_->flush_soon(reply_);
    co_await reply.gather();
  }
  auto answer = reply.take_head();
  if (!answer) co_return Next::kClose;
  if (!reply.streaming()) co_return co_await write_answer(*std::move(answer), asked, asked.keeps_alive);
  const bool goes_on = asked.keeps_alive && asked.takes_chunks;
  std::string begin = head_text(*answer, goes_on, asked.takes_chunks ? "Transfer-Encoding: chunked\r\n" : "");
  answer.reset();
  const bool whole = co_await write_events(reply, asked.takes_chunks, std::move(begin));
  co_return whole&& goes_on ? Next::kKeep : Next::kClose;
}

HttpConnection::Asked::Asked(const http::RequestHead& head)
    : for_head(head.method == "HEAD"),
      by_post(head.method == "POST"),
      takes_chunks(head.version != http::Version::kHttp10),
      keeps_alive(http::keeps_alive(head)) {}

Task<std::variant<HttpConnection::Asked, HttpConnection::Next>> HttpConnection::receive() {
  auto head = co_await read_head();
  if (!head) co_return Next::kClose;
  HttpRequest request{*std::move(head), "", local_address_};
  const Asked asked(request.head);
  if (auto refusal = handler_.judge(request)) {
    const bool keep = reader_.framing().kind == http::Framing::kNone && asked.keeps_alive;
    const Next next = co_await write_answer(*std::move(refusal), asked, keep);
    if (next == Next::kClose) co_await linger();
    // Without a body the message has ended: the next event is its end.
    if (next == Next::kKeep) (void)reader_.next();
    co_return next;
  }
  auto body = co_await read_body(request.head);
  if (!body) co_return Next::kClose;
  request.body = *std::move(body);
  if (!reader_.has_rest()) std::string().swap(buffer_);
  reply_ = std::make_shared<HttpReply>(loop_->deadlines);
  handler_.handle(std::move(request), reply_);
  co_return asked;
}

// What was read of a request lies in the frame of receive(), which is gone while its answer is waited for.
Task<HttpConnection::Next> HttpConnection::exchange() {
  const auto received = co_await receive();
  if (const Next* over = std::get_if<Next>(&received)) co_return *over;
  Next next = Next::kClose;
  try {
    next = co_await pump(*reply_, std::get<Asked>(received));
  } catch (...) {
    reply_->gone();
    throw;
  }
  // Whatever was not written to its end is over for the handler too.
  stream_.watch_readable(nullptr);
  reply_->gone();
  reply_.reset();
  co_return next;
}

Task<void> HttpConnection::run() {
  for (;;) {
    const Next next = co_await exchange();
    if (next == Next::kClose) break;
    if (reader_.has_rest()) co_await let_others();
  }
  close();
}

}  // namespace sluice::gateway
