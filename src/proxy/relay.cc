#include "proxy/relay.h"

namespace sluice::proxy {
namespace {

// A run that is not larger is copied behind a made head, so that both leave in one write.
constexpr std::size_t kJoin = 16 * 1024;

}  // namespace

void Outbox::add_made(Bytes octets) {
  settle();
  made_.append(octets);
}

void Outbox::add_view(Bytes octets) {
  if (octets.empty()) return;
  if (run_.empty()) {
    run_ = octets;
  } else if (run_.data() + run_.size() == octets.data()) {
    run_ = Bytes(run_.data(), run_.size() + octets.size());
  } else {
    settle();
    run_ = octets;
  }
}

void Outbox::add_wire(Bytes fed, Bytes wire) {
  if (wire.data() >= fed.data() && wire.data() + wire.size() <= fed.data() + fed.size())
    add_view(wire);
  else
    add_made(wire);
}

void Outbox::settle() {
  if (run_.empty()) return;
  made_.append(run_);
  run_ = {};
  if (!held_.view().empty()) held_ = flow::Held();
}

bool Outbox::try_send() {
  if (!made_.empty() && run_.size() <= kJoin) settle();
  while (made_sent_ < made_.size()) {
    const tls::IoResult sent = to_.write(Bytes(made_).substr(made_sent_));
    if (sent.status != tls::IoStatus::kOk) {
      failed_ = sent.status == tls::IoStatus::kError;
      return false;
    }
    made_sent_ += sent.count;
  }
  made_.clear();
  made_sent_ = 0;
  while (!run_.empty()) {
    const tls::IoResult sent = to_.write(run_);
    if (sent.status != tls::IoStatus::kOk) {
      failed_ = sent.status == tls::IoStatus::kError;
      return false;
    }
    run_.remove_prefix(sent.count);
  }
  if (!held_.view().empty()) held_ = flow::Held();
  if (!to_.has_pending_output()) return true;
  const tls::IoResult flushed = to_.flush();
  failed_ = flushed.status == tls::IoStatus::kError;
  return flushed.status == tls::IoStatus::kOk && !to_.has_pending_output();
}

void Outbox::hold() {
  if (run_.empty()) return;
  flow::Held held = sink_.hold(run_);
  held_ = std::move(held);
  run_ = held_.view();
}

net::Task<Status> Outbox::send_rest(Duplex* duplex) {
  while (!try_send()) {
    if (failed_) co_return fail(Code::kClosed, to_.error_text());
    hold();
    if (duplex) duplex->arm();
    const Status ready =
        to_.write_waits_for() == tls::WaitFor::kWrite ? co_await to_.wait_writable() : co_await to_.wait_readable();
    if (!ready) co_return fail(ready.error());
  }
  co_return Status{};
}

}  // namespace sluice::proxy
