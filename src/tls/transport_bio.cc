#include "tls/transport_bio.h"

#include <algorithm>

namespace sluice::tls {
namespace {

constexpr std::size_t kRecordPlaintext = 16 * 1024;  // RFC 8446 §5.1
constexpr std::size_t kRecordOverhead = 96;          // header, explicit IV, padding and MAC of the widest CBC suite
// Beyond this OpenSSL is told to wait: a peer that asks for key updates without reading must not fill our memory.
constexpr std::size_t kMaxUnsent = 512 * 1024;
constexpr std::size_t kMostSpare = 256 * 1024;
constexpr std::size_t kSmallRecord = 2 * 1024, kSmallRead = 8 * 1024;
constexpr unsigned kFew = 4;  // small records in a row that bulk has, too: a head, the rest of a body

// The buffer that was emptied last on this thread: sessions write one after the other, so one serves them all.
std::string& spare_buffer() {
  static thread_local std::string kept;
  return kept;
}

}  // namespace

const BIO_METHOD* TransportBio::method() {
  // Made once, never changed. The type number is from the range that OpenSSL leaves to applications.
  static const BIO_METHOD* const kMethod = [] {
    BIO_METHOD* made = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "sluice transport");
    if (made != nullptr) {
      BIO_meth_set_read(made, on_read);
      BIO_meth_set_write(made, on_write);
      BIO_meth_set_ctrl(made, on_control);
    }
    return made;
  }();
  return kMethod;
}

BIO* TransportBio::make_bio() {
  if (method() == nullptr) return nullptr;
  BIO* bio = BIO_new(method());
  if (bio == nullptr) return nullptr;
  BIO_set_data(bio, this);
  BIO_set_init(bio, 1);
  return bio;
}

int TransportBio::on_read(BIO* bio, char* out, int size) {
  return size <= 0 ? 0
                   : static_cast<TransportBio*>(BIO_get_data(bio))->read(bio, {out, static_cast<std::size_t>(size)});
}

int TransportBio::on_write(BIO* bio, const char* octets, int size) {
  return size <= 0
             ? 0
             : static_cast<TransportBio*>(BIO_get_data(bio))->write(bio, {octets, static_cast<std::size_t>(size)});
}

long TransportBio::on_control(BIO* bio, int command, long, void*) {
  switch (command) {
    case BIO_CTRL_FLUSH:
      return 1;  // the session flushes, once, when OpenSSL is done
    case BIO_CTRL_EOF:
      return static_cast<TransportBio*>(BIO_get_data(bio))->eof_ ? 1 : 0;
    default:
      return 0;
  }
}

int TransportBio::read(BIO* bio, MutableBytes out) {
  BIO_clear_retry_flags(bio);
  if (eof_) return 0;
  if (read_failed_) return -1;
  if (short_read_) {
    BIO_set_retry_read(bio);
    return -1;
  }
  if (small_in_a_row_ > kFew) out = out.first(std::min(out.size(), kSmallRead));
  const IoResult got = transport_.read(out);
  switch (got.status) {
    case IoStatus::kOk:
      short_read_ = got.count < out.size();
      return static_cast<int>(got.count);
    case IoStatus::kWouldBlock:
      short_read_ = true;
      BIO_set_retry_read(bio);
      return -1;
    case IoStatus::kEof:
    case IoStatus::kTruncated:
      eof_ = true;
      return 0;
    case IoStatus::kError:
      break;
  }
  read_failed_ = true;
  return -1;
}

void TransportBio::saw_record(std::size_t plaintext) {
  if (plaintext >= kSmallRecord)
    small_in_a_row_ = 0;
  else if (small_in_a_row_ <= kFew)
    ++small_in_a_row_;
}

int TransportBio::write(BIO* bio, Bytes octets) {
  BIO_clear_retry_flags(bio);
  if (write_failed_) return static_cast<int>(octets.size());  // into the void: what came before can still be read
  if (pending() > kMaxUnsent) {
    BIO_set_retry_write(bio);
    return -1;
  }
  output_.append(octets);
  return static_cast<int>(octets.size());
}

void TransportBio::reserve_for(std::size_t plaintext) {
  if (output_.empty()) output_.swap(spare_buffer());
  const std::size_t records = plaintext / kRecordPlaintext + 1;
  const std::size_t wanted = output_.size() + plaintext + records * kRecordOverhead;
  if (wanted > output_.capacity()) output_.reserve(wanted);
}

IoResult TransportBio::flush_once() {
  if (write_failed_) return {IoStatus::kError, 0};
  if (pending() == 0) return {IoStatus::kOk, 0};
  const IoResult sent = transport_.write(Bytes(output_).substr(sent_));
  if (sent.status != IoStatus::kOk) {
    if (sent.status == IoStatus::kWouldBlock) return sent;
    write_failed_ = true;
    drop_output();
    return {IoStatus::kError, 0};
  }
  sent_ += sent.count;
  if (pending() != 0) return {IoStatus::kWouldBlock, 0};
  give_back();
  return {IoStatus::kOk, 0};
}

IoResult TransportBio::flush_all() {
  for (;;) {
    const std::size_t before = pending();
    const IoResult result = flush_once();
    if (result.status != IoStatus::kWouldBlock || pending() == before) return result;
  }
}

void TransportBio::give_back() {
  output_.clear();
  std::string& spare = spare_buffer();
  if (output_.capacity() > spare.capacity() && output_.capacity() <= kMostSpare) output_.swap(spare);
  drop_output();
}

void TransportBio::drop_output() {
  std::string().swap(output_);
  sent_ = 0;
}

}  // namespace sluice::tls
