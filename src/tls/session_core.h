// Private to tls: what the sessions towards clients and towards origins have in common. One SSL over one TransportBio.
#pragma once

#include <memory>
#include <string>

#include "tls/openssl.h"
#include "tls/session.h"
#include "tls/transport_bio.h"

namespace sluice::tls {

enum class Side { kClient, kOrigin };  // who the peer is

// The alert's name in RFC 8446 §6, or "alert_N".
std::string alert_name(int description);

// Makes the words of a failed handshake. `reason` is OpenSSL's reason code, or 0.
struct FailureFacts {
  Side peer = Side::kClient;
  int alert = -1;  // the last fatal one, or -1
  bool alert_from_peer = false;
  int reason = 0;
  bool peer_closed = false;                                   // end of input instead of a message
  bool after_certificate = false;                             // ... and our certificate had been sent
  std::string transport_error;                                // the transport's own words, if it failed
  std::string verdict;                                        // the verifier's words, if it refused
  int minimum = 0;                                            // what we ask the peer to speak at least (TLS1_2_VERSION)
  bool certificate_asked = false, certificate_given = false;  // as in SessionInfo
  bool weak = false;                                          // ... it refused for a weak key or signature
  bool renegotiation = false;                                 // ... it asked to shake hands anew, and was refused it
};
HandshakeFailure explain(const FailureFacts& facts);

// T is Session or ClientSession: the shared part of either.
template <class T>
class SessionCore : public T {
 public:
  SessionCore(SslPtr ssl, ByteTransport& transport, Side peer);

  HandshakeStep handshake() final;
  WaitFor handshake_waits_for() const final;
  const HandshakeFailure& failure() const final {
    static const HandshakeFailure kNone;
    return failure_ ? *failure_ : kNone;
  }

  IoResult read(MutableBytes out) final;
  bool is_drained() const final;
  bool has_partial_record() const final { return established_ && SSL_has_pending(ssl()) == 1; }
  IoResult write(Bytes octets) final;
  bool has_pending_output() const final;
  IoResult flush() final;
  WaitFor read_waits_for() const final;
  WaitFor write_waits_for() const final { return bio_.transport().write_waits_for(); }
  void close_write() final;
  std::string error_text() const final { return error_text_; }

 protected:
  SSL* ssl() const { return ssl_.get(); }
  bool attach();  // SSL_set_bio and callbacks; false if memory is short
  SessionInfo basic_info() const;
  virtual void add_facts(FailureFacts&) const {}

 private:
  static void on_info(const SSL* ssl, int where, int value);
  FailureFacts facts(int ssl_error) const;
  HandshakeStep fail_handshake(int ssl_error);
  IoResult end_of_read(int ssl_error);
  IoResult fail_io();
  IoResult write_failure();

  TransportBio bio_;  // before ssl_: OpenSSL's BIO points here until SSL_free
  SslPtr ssl_;
  Side peer_;
  bool established_ = false;
  bool dead_ = false;
  bool tickets_wait_ = false;  // what is pending are tickets only, which travel with the first write
  bool close_wanted_ = false;
  bool close_done_ = false;
  bool read_blocked_on_write_ = false;
  IoStatus read_end_ = IoStatus::kOk;  // kEof or kTruncated once it came
  int alert_ = -1;
  bool alert_from_peer_ = false;
  bool renegotiation_ = false;
  std::unique_ptr<HandshakeFailure> failure_;
  std::string error_text_;
};

extern template class SessionCore<Session>;
extern template class SessionCore<ClientSession>;

}  // namespace sluice::tls
