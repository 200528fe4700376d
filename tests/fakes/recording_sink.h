// A flow::Sink that remembers what it was told, for tests of the proxy.
#pragma once

#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "flow/sink.h"

namespace sluice::fakes {

class RecordingSink final : public flow::Sink {
 public:
  struct Message {
    flow::MessageSeen seen;  // without `control`
    std::string control;
  };
  struct Record {
    std::string method, scheme, host, target, head, effective;
    flow::Protocol protocol = flow::Protocol::kHttp1;
    int status = 0;
    std::string response_head, response_effective, request_body, response_body, trailers;
    std::vector<Message> messages;
    flow::UpstreamPtr upstream;
    bool reused = false;
    bool ended = false, touched_after_end = false;
    flow::State state = flow::State::kOpen;
    std::string error;
    flow::Phase phase = flow::Phase::kClientTls;  // of the error
    flow::Timings timings;
    bool request_ended = false, response_ended = false;
    ByteCount request_counted = 0, response_counted = 0;
    http::AnomalySet anomalies = 0;
    std::vector<std::uint32_t> rules;
    std::uint32_t matched = 0;
    flow::ConnectionPtr connection;
  };
  std::deque<Record> records;

  MutableBytes read_space(std::size_t want) override {
    // A fresh poisoned block each time, so that octets used after their time show.
    if (space_) std::fill(space_.get(), space_.get() + kSpace, '#');
    if (!space_) space_ = std::make_unique<char[]>(kSpace);
    return MutableBytes(space_.get(), std::min(want, kSpace));
  }
  flow::Held hold(Bytes octets) override { return flow::Held(octets); }

  ExchangeSeq opened(const flow::Opened& opened) override {
    Record& record = records.emplace_back();
    record.method = opened.method;
    record.scheme = opened.scheme;
    record.host = opened.host;
    record.target = opened.target;
    record.head = opened.head;
    record.protocol = opened.protocol;
    record.connection = opened.connection;
    return ExchangeSeq{records.size()};
  }
  void request_sent(ExchangeSeq seq, Bytes head) override { at(seq).effective = head; }
  void responded(ExchangeSeq seq, const flow::Responded& responded) override {
    Record& record = at(seq);
    record.status = responded.status;
    record.response_head = responded.head;
    record.response_effective = responded.effective;
    record.upstream = responded.upstream;
    record.reused = responded.upstream_reused;
    record.protocol = responded.protocol;
  }
  void body(ExchangeSeq seq, flow::Direction direction, Bytes content) override {
    (direction == flow::Direction::kRequest ? at(seq).request_body : at(seq).response_body) += content;
  }
  void trailers(ExchangeSeq seq, flow::Direction, Bytes raw) override { at(seq).trailers += raw; }
  void message(ExchangeSeq seq, const flow::MessageSeen& seen) override {
    Message& message = at(seq).messages.emplace_back(Message{seen, std::string(seen.control)});
    message.seen.control = {};
  }
  void ended(ExchangeSeq seq, const flow::Ended& ended) override {
    Record& record = at(seq);
    record.ended = true;
    record.state = ended.state;
    record.timings = ended.timings;
    if (ended.failure) record.error = ended.failure->code;
    if (ended.failure) record.phase = ended.failure->phase;
    record.request_ended = ended.request_ended;
    record.response_ended = ended.response_ended;
    record.anomalies = ended.anomalies;
    record.rules.assign(ended.rule_ids.begin(), ended.rule_ids.end());
    record.matched = ended.matched_rule;
    record.protocol = ended.protocol;
    record.request_counted = ended.request_counted;
    record.response_counted = ended.response_counted;
  }

 private:
  static constexpr std::size_t kSpace = 64 * 1024;
  Record& at(ExchangeSeq seq) {
    Record& record = records.at(seq.value - 1);
    record.touched_after_end |= record.ended;
    return record;
  }
  std::unique_ptr<char[]> space_;
};

}  // namespace sluice::fakes
