#include "tls/session.h"

#include <openssl/err.h>

#include <algorithm>

#include "tls/session_core.h"

namespace sluice::tls {
namespace {

// SSL_get_error() needs an empty queue; looking is cheaper than clearing, which walks all of its slots.
void clear_errors() {
  if (ERR_peek_error() != 0) ERR_clear_error();
}

// Plaintext taken by one write(): its ciphertext leaves in one transport write (measured: 64 to 128 KB pay).
constexpr std::size_t kMaxWrite = 128 * 1024;

// Where a server has sent its certificate and waits for the client's answer to it.
bool awaits_answer_to_certificate(const SSL* ssl) {
  switch (SSL_get_state(ssl)) {
    case TLS_ST_SW_SRVR_DONE:  // TLS 1.2: waits for ClientKeyExchange
    case TLS_ST_SR_KEY_EXCH:
    case TLS_ST_SR_CHANGE:
    case TLS_ST_EARLY_DATA:  // TLS 1.3: waits for Finished
    case TLS_ST_SW_FINISHED:
      return SSL_session_reused(ssl) == 0;
    default:
      return false;
  }
}

}  // namespace

template <class T>
SessionCore<T>::SessionCore(SslPtr ssl, ByteTransport& transport, Side peer)
    : bio_(transport), ssl_(std::move(ssl)), peer_(peer) {}

template <class T>
bool SessionCore<T>::attach() {
  BIO* bio = bio_.make_bio();
  if (bio == nullptr) return false;
  SSL_set_bio(ssl(), bio, bio);
  SSL_set_app_data(ssl(), static_cast<SessionCore<T>*>(this));
  SSL_set_info_callback(ssl(), on_info);
  return true;
}

template <class T>
void SessionCore<T>::on_info(const SSL* ssl, int where, int value) {
  if ((where & SSL_CB_ALERT) == 0) return;
  auto* self = static_cast<SessionCore<T>*>(SSL_get_app_data(ssl));
  const bool from_peer = (where & SSL_CB_READ) != 0;
  if (!from_peer && (value & 0xff) == SSL_AD_NO_RENEGOTIATION) {  // a warning: the peer may go on without
    self->renegotiation_ = true;
    return;
  }
  // The alert that the peer sent is the cause; what we say in answer to it is not.
  if (self->alert_ >= 0 && self->alert_from_peer_ && !from_peer) return;
  self->alert_ = value & 0xff;
  self->alert_from_peer_ = from_peer;
}

template <class T>
HandshakeStep SessionCore<T>::handshake() {
  if (dead_) return HandshakeStep::kFailed;
  bio_.begin_call();
  if (!established_) {
    const bool all_was_sent = bio_.pending() == 0;
    ERR_clear_error();
    const int result = SSL_do_handshake(ssl());
    if (result != 1) {
      const int error = SSL_get_error(ssl(), result);
      if (error != SSL_ERROR_WANT_READ && error != SSL_ERROR_WANT_WRITE) return fail_handshake(error);
    } else {
      established_ = true;
      // A TLS 1.3 server has only tickets to send now; nobody waits for them, so they save a transport write of their
      // own by leaving with the first one.
      tickets_wait_ =
          peer_ == Side::kClient && all_was_sent && bio_.pending() != 0 && SSL_version(ssl()) == TLS1_3_VERSION;
    }
  }
  if (!tickets_wait_) {
    IoResult flushed = bio_.flush_all();
    if (flushed.status == IoStatus::kOk && bio_.transport().has_pending_output()) flushed = bio_.transport().flush();
    if (flushed.status == IoStatus::kError) return fail_handshake(SSL_ERROR_SYSCALL);
    if (flushed.status == IoStatus::kWouldBlock) return HandshakeStep::kWouldBlock;
  }
  return established_ ? HandshakeStep::kDone : HandshakeStep::kWouldBlock;
}

template <class T>
WaitFor SessionCore<T>::handshake_waits_for() const {
  const bool unsent = bio_.pending() != 0 || bio_.transport().has_pending_output();
  return unsent ? bio_.transport().write_waits_for() : bio_.transport().read_waits_for();
}

template <class T>
FailureFacts SessionCore<T>::facts(int ssl_error) const {
  FailureFacts facts;
  facts.peer = peer_;
  facts.alert = alert_;
  facts.alert_from_peer = alert_from_peer_;
  facts.renegotiation = renegotiation_;
  facts.reason = ssl_error == SSL_ERROR_SSL ? ERR_GET_REASON(ERR_peek_error()) : 0;
  facts.peer_closed = bio_.saw_eof();
  facts.after_certificate = !established_ && peer_ == Side::kClient && awaits_answer_to_certificate(ssl());
  const bool broke = bio_.read_failed() || bio_.write_failed() || (ssl_error == SSL_ERROR_SYSCALL && !bio_.saw_eof());
  if (broke) facts.transport_error = bio_.transport().error_text();
  facts.minimum = static_cast<int>(SSL_get_min_proto_version(ssl()));
  add_facts(facts);
  return facts;
}

template <class T>
HandshakeStep SessionCore<T>::fail_handshake(int ssl_error) {
  dead_ = true;
  failure_ = std::make_unique<HandshakeFailure>(explain(facts(ssl_error)));
  error_text_ = failure_->text;
  ERR_clear_error();
  (void)bio_.flush_all();  // our alert, as far as it goes
  bio_.drop_output();
  return HandshakeStep::kFailed;
}

template <class T>
bool SessionCore<T>::is_drained() const {
  return established_ && !dead_ && read_end_ == IoStatus::kOk && !read_blocked_on_write_ &&
         bio_.transport().is_drained() && SSL_has_pending(ssl()) == 0;
}

template <class T>
IoResult SessionCore<T>::read(MutableBytes out) {
  if (read_end_ != IoStatus::kOk) return {read_end_, 0};
  if (dead_ || !established_) return {IoStatus::kError, 0};
  if (is_drained()) return {IoStatus::kWouldBlock, 0};  // an SSL_read that only says so costs a fifth of a record's
  bio_.begin_call();
  read_blocked_on_write_ = false;
  const std::size_t unsent = bio_.pending();
  std::size_t have = 0;
  int error = SSL_ERROR_NONE;
  clear_errors();
  // Another SSL_read that can only say "would block" costs as much as a small record.
  while (have < out.size() && (have == 0 || !bio_.is_drained() || SSL_has_pending(ssl()) == 1)) {
    std::size_t got = 0;
    const int result = SSL_read_ex(ssl(), out.data() + have, out.size() - have, &got);
    if (result != 1) {
      error = SSL_get_error(ssl(), result);
      break;
    }
    have += got;
    if (have < out.size()) bio_.saw_record(got);
  }
  if (bio_.pending() != unsent) {  // the answer to a key update
    tickets_wait_ = false;
    (void)bio_.flush_once();
  }
  if (have != 0) {
    // A wait will be met again by the next call; an end may be the last that is heard, and a broken record has its
    // words only now.
    if (error == SSL_ERROR_ZERO_RETURN) (void)end_of_read(error);
    if (error == SSL_ERROR_SSL && !bio_.saw_eof()) (void)fail_io();
    if (error != SSL_ERROR_NONE) clear_errors();
    return {IoStatus::kOk, have};
  }
  return error == SSL_ERROR_NONE ? IoResult{IoStatus::kOk, 0} : end_of_read(error);
}

template <class T>
IoResult SessionCore<T>::end_of_read(int ssl_error) {
  switch (ssl_error) {
    case SSL_ERROR_WANT_READ:
      return {IoStatus::kWouldBlock, 0};
    case SSL_ERROR_WANT_WRITE:
      read_blocked_on_write_ = true;
      return {IoStatus::kWouldBlock, 0};
    case SSL_ERROR_ZERO_RETURN:
      // SSL_OP_IGNORE_UNEXPECTED_EOF makes both ends look alike; only the bare end of the transport was seen by the
      // BIO.
      read_end_ = bio_.saw_eof() ? IoStatus::kTruncated : IoStatus::kEof;
      return {read_end_, 0};
    default:
      break;
  }
  if (bio_.saw_eof()) {
    read_end_ = IoStatus::kTruncated;
    return {read_end_, 0};
  }
  return fail_io();
}

template <class T>
IoResult SessionCore<T>::fail_io() {
  dead_ = true;
  const char* peer = peer_ == Side::kClient ? "the client" : "the origin";
  // What the peer said explains a transport that broke, too: it sends its alert and hangs up on what we still write.
  const bool told = alert_ > 0 && alert_from_peer_;
  if (!told && (bio_.read_failed() || bio_.write_failed())) {
    error_text_ = bio_.transport().error_text();
  } else if (alert_ >= 0 && alert_from_peer_) {
    // TLS 1.3: a refused certificate may come after the handshake.
    failure_ = std::make_unique<HandshakeFailure>(explain(facts(SSL_ERROR_SSL)));
    error_text_ = failure_->text;
  } else {
    const char* reason = ERR_reason_error_string(ERR_peek_error());
    error_text_ = std::string("TLS with ") + peer + " broke: " + (reason == nullptr ? "protocol error" : reason);
  }
  ERR_clear_error();
  (void)bio_.flush_once();  // our alert
  bio_.drop_output();
  return {IoStatus::kError, 0};
}

template <class T>
IoResult SessionCore<T>::write(Bytes octets) {
  if (dead_ || !established_ || close_wanted_) {
    if (error_text_.empty()) error_text_ = "nothing can be written: TLS is not established or was ended by us";
    return {IoStatus::kError, 0};
  }
  if (!tickets_wait_) {
    const IoResult flushed = bio_.flush_once();
    if (flushed.status == IoStatus::kError) return write_failure();
    if (flushed.status == IoStatus::kWouldBlock) return flushed;
  }
  if (octets.empty()) return {IoStatus::kOk, 0};
  const std::size_t count = std::min(octets.size(), kMaxWrite);
  bio_.reserve_for(count);
  clear_errors();
  std::size_t taken = 0;
  const int result = SSL_write_ex(ssl(), octets.data(), count, &taken);
  if (result != 1) {
    const int error = SSL_get_error(ssl(), result);
    if (error != SSL_ERROR_WANT_READ && error != SSL_ERROR_WANT_WRITE) return fail_io();
    return {IoStatus::kWouldBlock, 0};
  }
  tickets_wait_ = false;
  if (bio_.flush_once().status == IoStatus::kError) return write_failure();
  return {IoStatus::kOk, taken};
}

// The read side lives on: an answer that came before the peer stopped listening can still be read.
template <class T>
IoResult SessionCore<T>::write_failure() {
  if (error_text_.empty()) error_text_ = bio_.transport().error_text();
  return {IoStatus::kError, 0};
}

template <class T>
bool SessionCore<T>::has_pending_output() const {
  return (bio_.pending() != 0 && !tickets_wait_) || bio_.transport().has_pending_output();
}

template <class T>
IoResult SessionCore<T>::flush() {
  tickets_wait_ = false;
  const IoResult flushed = bio_.flush_all();
  if (flushed.status == IoStatus::kError) return write_failure();
  if (flushed.status != IoStatus::kOk) return flushed;
  if (close_wanted_ && !close_done_) {
    close_done_ = true;
    bio_.transport().close_write();
  }
  const IoResult below = bio_.transport().flush();
  if (below.status == IoStatus::kError && error_text_.empty()) error_text_ = bio_.transport().error_text();
  return below;
}

template <class T>
WaitFor SessionCore<T>::read_waits_for() const {
  return read_blocked_on_write_ ? bio_.transport().write_waits_for() : bio_.transport().read_waits_for();
}

template <class T>
void SessionCore<T>::close_write() {
  if (close_wanted_) return;
  close_wanted_ = true;
  if (established_ && !dead_) {
    ERR_clear_error();
    (void)SSL_shutdown(ssl());
    ERR_clear_error();
  }
  (void)flush();
}

template <class T>
SessionInfo SessionCore<T>::basic_info() const {
  SessionInfo info;
  const SSL_CIPHER* cipher = SSL_get_current_cipher(ssl());
  if (cipher == nullptr) return info;  // the hellos were not exchanged yet
  info.protocol = SSL_get_version(ssl());
  const char* name = SSL_CIPHER_standard_name(cipher);
  info.cipher = name == nullptr ? SSL_CIPHER_get_name(cipher) : name;
  const unsigned char* alpn = nullptr;
  unsigned alpn_size = 0;
  SSL_get0_alpn_selected(ssl(), &alpn, &alpn_size);
  if (alpn_size != 0) info.alpn.assign(reinterpret_cast<const char*>(alpn), alpn_size);
  info.resumed = SSL_session_reused(ssl()) != 0;
  return info;
}

template class SessionCore<Session>;
template class SessionCore<ClientSession>;

}  // namespace sluice::tls
