// A Ring on a disk in memory, and short words for what a worker reports. For tests and benches of this folder and
// above.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/fake_file.h"
#include "capture/capture.h"
#include "capture/segment.h"

namespace sluice::capture {

// A segment as a file holds it.
struct SegmentText {
  std::string octets;
  std::uint32_t seed;

  explicit SegmentText(const SegmentHeader& header) : seed(checksum_seed(header.salt)) {
    const auto formed = format_segment_header(header);
    octets.assign(formed.begin(), formed.end());
  }
  FramePlace add(RecordType type, std::uint64_t subject, std::span<const Bytes> pieces) {
    const FramePlace place{octets.size(), 0};
    const auto frame = format_frame(type, subject, pieces, seed);
    octets.append(frame.begin(), frame.end());
    for (const Bytes piece : pieces) octets += piece;
    return {place.offset, static_cast<std::uint32_t>(octets.size() - place.offset)};
  }
  FramePlace add(RecordType type, std::uint64_t subject, Bytes payload) {
    return add(type, subject, std::span(&payload, 1));
  }
};

struct RingFixture {
  FakeFileSystem disk;
  FakeClock clock;
  SeededEntropy entropy{7};
  Ring::Options options;
  std::unique_ptr<Ring> ring;

  RingFixture() {
    disk.add_directory("/home/spool");
    options.spool_directory = "/home/spool/42-abc";
  }
  ~RingFixture() { ring.reset(); }
  Status open() {
    ring = std::make_unique<Ring>(options, disk, clock, entropy);
    return ring->open();
  }
  flow::Sink& sink(std::size_t worker = 0) { return ring->sink(worker); }

  static flow::ConnectionPtr connection(std::uint64_t id = 1, flow::Source source = flow::Source::kExplicit) {
    auto made = std::make_shared<flow::Connection>();
    made->id = ConnectionId{id};
    made->source = source;
    made->client_address = "127.0.0.1";
    return made;
  }

  struct Spec {
    std::string method = "GET", host = "example.com", target = "/", request_body, response_body = "hello";
    int status = 200;
    flow::ConnectionPtr connection = RingFixture::connection();
    flow::State state = flow::State::kDone;
    std::string response_fields, request_fields, response_trailers;
    flow::Protocol protocol = flow::Protocol::kHttp1;
    flow::UpstreamPtr upstream = nullptr;
  };
  ExchangeSeq begin(const Spec& spec, std::size_t worker = 0) {
    flow::Opened opened;
    opened.connection = spec.connection;
    opened.method = spec.method;
    opened.scheme = "https";
    opened.host = spec.host;
    opened.target = spec.target;
    opened.port = 443;
    opened.protocol = spec.protocol;
    opened.started = clock.wall();
    const std::string head =
        spec.method + " " + spec.target + " HTTP/1.1\r\nHost: " + spec.host + "\r\n" + spec.request_fields + "\r\n";
    opened.head = head;
    return sink(worker).opened(opened);
  }
  void respond(ExchangeSeq seq, const Spec& spec, std::size_t worker = 0) {
    flow::Responded responded;
    responded.status = spec.status;
    responded.protocol = spec.protocol;
    responded.upstream = spec.upstream;
    const std::string head = "HTTP/1.1 " + std::to_string(spec.status) + " Fine\r\n" + spec.response_fields + "\r\n";
    responded.head = head;
    sink(worker).responded(seq, responded);
  }
  void end(ExchangeSeq seq, const Spec& spec, std::size_t worker = 0) {
    flow::Ended ended;
    ended.state = spec.state;
    ended.protocol = spec.protocol;
    const flow::Failure failure{"timeout", flow::Phase::kFirstByte, "the origin did not answer"};
    if (spec.state != flow::State::kDone) ended.failure = &failure;
    ended.request_ended = ended.response_ended = true;
    ended.timings.end = 1'234;
    sink(worker).ended(seq, ended);
  }
  ExchangeSeq exchange(const Spec& spec, std::size_t worker = 0) {
    const ExchangeSeq seq = begin(spec, worker);
    sink(worker).body(seq, flow::Direction::kRequest, spec.request_body);
    respond(seq, spec, worker);
    sink(worker).body(seq, flow::Direction::kResponse, spec.response_body);
    if (!spec.response_trailers.empty()) {
      sink(worker).trailers(seq, flow::Direction::kResponse, spec.response_trailers);
    }
    end(seq, spec, worker);
    return seq;
  }
  // As a pump does it: into the read space.
  Bytes read_in(Bytes octets, std::size_t worker = 0) {
    const MutableBytes space = sink(worker).read_space(octets.size());
    const std::size_t count = std::min(octets.size(), space.size());
    octets.copy(space.data(), count);
    return Bytes(space.data(), count);
  }
  void read_body_in(ExchangeSeq seq, Bytes octets, std::size_t worker = 0) {
    while (!octets.empty()) {
      const Bytes piece = read_in(octets, worker);
      sink(worker).body(seq, flow::Direction::kResponse, piece);
      octets.remove_prefix(piece.size());
    }
  }
  std::string body(const flow::Exchange& exchange, flow::Direction direction = flow::Direction::kResponse) {
    auto slice = ring->read_body(exchange.id, direction, 0, UINT64_MAX);
    return slice ? slice->octets : "error: " + slice.error().message;
  }
  Page all() { return ring->list({}, 0, SIZE_MAX); }
};

}  // namespace sluice::capture
