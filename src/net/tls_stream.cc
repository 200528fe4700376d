#include "net/tls_stream.h"

namespace sluice::net {

TlsStream::~TlsStream() = default;

Task<Status> TlsStream::handshake() {
  for (;;) {
    switch (session_->handshake()) {
      case tls::HandshakeStep::kDone:
        done_ = true;
        co_return Status{};
      case tls::HandshakeStep::kFailed:
        co_return fail(Code::kInvalid, session_->failure().text);
      case tls::HandshakeStep::kWouldBlock:
        break;
    }
    const Status ready = session_->handshake_waits_for() == tls::WaitFor::kRead ? co_await lower_->wait_readable()
                                                                                : co_await lower_->wait_writable();
    if (!ready) co_return fail(ready.error());
  }
}

tls::IoResult TlsStream::read(MutableBytes out) {
  const tls::IoResult got = session_->read(out);
  if (got.status == tls::IoStatus::kTruncated) truncated_ = true;
  if (got.status == tls::IoStatus::kOk) heard_ = true;
  return got;
}

void TlsStream::close() {
  if (done_) session_->close_write();
  lower_->close();
}

bool TlsStream::is_quiet(Look look) {
  if (lower_->is_quiet(look) && session_->is_drained()) return true;
  // Records may lie in OpenSSL's own buffer, behind the last one that was asked for. Tickets are quiet, data and ends
  // are not.
  char octet;
  return session_->read(MutableBytes(&octet, 1)).status == tls::IoStatus::kWouldBlock && lower_->is_quiet(Look::kTold);
}

}  // namespace sluice::net
