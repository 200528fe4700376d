// TLS over a Stream, as a Stream: tls::Session with waiting. Owns the stream beneath.
#pragma once

#include <memory>

#include "net/stream.h"
#include "tls/session.h"

namespace sluice::net {

class TlsStream final : public Stream {
 public:
  // The session was made over `*lower`.
  TlsStream(std::unique_ptr<Stream> lower, std::unique_ptr<tls::Session> session)
      : lower_(std::move(lower)), session_(std::move(session)) {}
  ~TlsStream() override;

  // kInvalid: the handshake failed, see session().failure(); kTimeout, kClosed, kCancelled: the transport did.
  Task<Status> handshake();

  tls::Session& session() { return *session_; }
  const tls::Session& session() const { return *session_; }
  Stream& lower() { return *lower_; }

  tls::IoResult read(MutableBytes out) override;
  tls::IoResult write(Bytes octets) override { return session_->write(octets); }
  bool is_drained() const override { return session_->is_drained(); }
  tls::IoResult flush() override { return session_->flush(); }
  bool has_pending_output() const override { return session_->has_pending_output(); }
  tls::WaitFor read_waits_for() const override { return session_->read_waits_for(); }
  tls::WaitFor write_waits_for() const override { return session_->write_waits_for(); }
  void close_write() override { session_->close_write(); }
  std::string error_text() const override { return session_->error_text(); }

  Task<Status> wait_readable() override { return lower_->wait_readable(); }
  Task<Status> wait_writable() override { return lower_->wait_writable(); }
  void watch_readable(Watcher* who) override { lower_->watch_readable(who); }
  void watch_writable(Watcher* who) override { lower_->watch_writable(who); }
  void set_deadline(MonoTime at) override { lower_->set_deadline(at); }
  void clear_deadline() override { lower_->clear_deadline(); }
  void expect_silence() override { lower_->expect_silence(); }
  void close() override;
  void reset() override { lower_->reset(); }
  void cancel(Code why) override { lower_->cancel(why); }
  bool is_quiet(Look look) override;
  bool has_partial_record() override { return session_->has_partial_record(); }
  bool is_dead() override { return lower_->is_dead(); }
  bool has_ended() override { return lower_->has_ended(); }
  bool truncated() const override { return truncated_; }
  bool heard() const { return heard_; }  // an octet was read

 private:
  std::unique_ptr<Stream> lower_;
  std::unique_ptr<tls::Session> session_;
  bool truncated_ = false;
  bool done_ = false;
  bool heard_ = false;
};

}  // namespace sluice::net
