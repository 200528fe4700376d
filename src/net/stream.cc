#include "net/stream.h"

namespace sluice::net {

Task<Result<std::size_t>> Stream::read_some(MutableBytes out) {
  for (;;) {
    const tls::IoResult got = read(out);
    switch (got.status) {
      case tls::IoStatus::kOk:
        co_return got.count;
      case tls::IoStatus::kEof:
        co_return std::size_t{0};
      case tls::IoStatus::kTruncated:
        co_return fail(Code::kClosed, "TLS ended without close_notify");
      case tls::IoStatus::kError:
        co_return fail(Code::kClosed, error_text());
      case tls::IoStatus::kWouldBlock:
        break;
    }
    const Status ready = read_waits_for() == tls::WaitFor::kRead ? co_await wait_readable() : co_await wait_writable();
    if (!ready) co_return fail(ready.error());
  }
}

Task<Status> Stream::write_all(Bytes octets) {
  for (;;) {
    const tls::IoResult sent = octets.empty() ? flush() : write(octets);
    if (sent.status == tls::IoStatus::kOk) {
      if (octets.empty()) co_return Status{};
      octets.remove_prefix(sent.count);
      if (octets.empty() && !has_pending_output()) co_return Status{};
      continue;
    }
    if (sent.status != tls::IoStatus::kWouldBlock) co_return fail(Code::kClosed, error_text());
    const Status ready =
        write_waits_for() == tls::WaitFor::kWrite ? co_await wait_writable() : co_await wait_readable();
    if (!ready) co_return fail(ready.error());
  }
}

}  // namespace sluice::net
