// Private to tls: an OpenSSL BIO over a ByteTransport. It receives straight into OpenSSL's record buffer and remembers
// a short read; it gathers the records that OpenSSL writes, so that one Session::write is one transport write.
#pragma once

#include <string>

#include "tls/openssl.h"
#include "tls/transport.h"

namespace sluice::tls {

class TransportBio {
 public:
  explicit TransportBio(ByteTransport& transport) : transport_(transport) {}
  TransportBio(const TransportBio&) = delete;
  TransportBio& operator=(const TransportBio&) = delete;

  // A BIO that points back here; null if memory is short. SSL_set_bio takes it over; this object must outlive it.
  BIO* make_bio();

  // The layer above was called anew, perhaps after waiting: the transport may be asked again.
  void begin_call() { short_read_ = false; }
  // The transport had nothing more to give in this call.
  bool is_drained() const { return short_read_; }
  bool saw_eof() const { return eof_; }
  // A whole record of so much plaintext was read. OpenSSL moves what lies behind a record to the front of its buffer
  // for each record (ssl3_read_n), so that a full buffer of small ones is moved once for each: where records are small,
  // less is received at once.
  void saw_record(std::size_t plaintext);
  // The transport answered kError. Writing may have failed while octets that came before can still be read.
  bool read_failed() const { return read_failed_; }
  bool write_failed() const { return write_failed_; }

  // Room for the records of so much plaintext, at once instead of in steps. A session that has nothing to send holds
  // no memory for it.
  void reserve_for(std::size_t plaintext);
  std::size_t pending() const { return output_.size() - sent_; }
  // One transport write; kOk: nothing is left.
  IoResult flush_once();
  // Until nothing is left or the transport would block.
  IoResult flush_all();
  void drop_output();

  ByteTransport& transport() { return transport_; }
  const ByteTransport& transport() const { return transport_; }

 private:
  static const BIO_METHOD* method();
  static int on_read(BIO* bio, char* out, int size);
  static int on_write(BIO* bio, const char* octets, int size);
  static long on_control(BIO* bio, int command, long number, void* pointer);
  int read(BIO* bio, MutableBytes out);
  int write(BIO* bio, Bytes octets);
  void give_back();

  ByteTransport& transport_;
  std::string output_;    // ciphertext
  std::size_t sent_ = 0;  // of output_
  unsigned small_in_a_row_ = 0;
  bool short_read_ = false;
  bool eof_ = false;
  bool read_failed_ = false;
  bool write_failed_ = false;
};

}  // namespace sluice::tls
