// The payloads of records: what stands in queues and segments, and back. docs/formats/segment.md, "Payloads".
// Readers ignore octets behind what they know. For this folder and for recordings (session/). Pure.
#pragma once

#include <array>
#include <optional>
#include <string>
#include <vector>

#include "capture/octets.h"
#include "flow/sink.h"

namespace sluice::capture {

using Uuid = std::array<char, 16>;

// The id of an exchange: a UUID as text; of one that Sluice itself sent (version 8, RFC 9562 §5.8) with "replay_" in
// front; of an import (version 9, which RFC 9562 §4.2 leaves open) har_<session>_<n> (engine.md 10).
std::string id_text(const Uuid& uuid);
std::optional<Uuid> parse_id(std::string_view text);
// The n-th exchange of an import, whose session's id is 14 digits, '_' and 8 of 0-9a-z. It holds them: 48 bits are the
// digits, then after the version 12 and after the variant 62 bits: 42 of the letters, 32 of n.
Uuid imported_uuid(std::string_view session, std::uint32_t n);

// --- kOpened: the exchange's UUID (16 octets, put in front by the capture thread) and then:
std::size_t opened_size(const flow::Opened& opened);
void write_opened(OctetWriter out, const flow::Opened& opened);

// Lengths into the payload, so that it is kept in one piece.
struct OpenedParts {
  std::uint64_t connection = 0;
  flow::Protocol protocol = flow::Protocol::kHttp1;
  std::uint16_t port = 0;
  std::int64_t started_ns = 0;
  Bytes method, scheme, host, target, head;
};
std::optional<OpenedParts> parse_opened(Bytes payload);
flow::Protocol protocol_of_opened(Bytes payload);

// --- kResponded
std::size_t responded_size(const flow::Responded& responded);
void write_responded(OctetWriter out, const flow::Responded& responded);
struct RespondedParts {
  std::uint64_t upstream = 0;
  std::uint16_t status = 0;
  bool upstream_reused = false;
  flow::Protocol protocol = flow::Protocol::kHttp1;
  Bytes head, effective;
};
std::optional<RespondedParts> parse_responded(Bytes payload);
// What the index needs of it.
struct RespondedBrief {
  std::uint16_t status = 0;
  flow::Protocol protocol = flow::Protocol::kHttp1;
};
RespondedBrief parse_responded_brief(Bytes payload);

// --- kEnded
struct Cuts {
  ByteCount request = 0, response = 0;  // octets of content that passed and were not handed over
  bool a_message = false;               // nor was one of a socket's messages: kCaptureCut says so
};
std::size_t ended_size(const flow::Ended& ended);
void write_ended(OctetWriter out, const flow::Ended& ended, const Cuts& cuts);
// More was cut than the payload that stands at `payload` says.
void add_cuts(char* payload, const Cuts& more);
struct EndedParts {
  flow::State state = flow::State::kDone;
  flow::Protocol protocol = flow::Protocol::kHttp1;
  bool request_ended = false, response_ended = false;
  http::AnomalySet anomalies = 0;
  std::uint32_t matched_rule = 0;
  flow::Timings timings;
  Cuts cuts;
  std::vector<std::uint32_t> rule_ids;
  std::optional<flow::Failure> failure;
};
std::optional<EndedParts> parse_ended(Bytes payload);
// What the parts say of an exchange; a damaged payload says nothing.
void fill(flow::Exchange& exchange, const std::optional<OpenedParts>& opened);
void fill(flow::Exchange& exchange, const std::optional<RespondedParts>& responded);
void fill(flow::Exchange& exchange, std::optional<EndedParts> ended);
// What the index needs of it, without an allocation.
struct EndedBrief {
  flow::State state = flow::State::kDone;
  flow::Protocol protocol = flow::Protocol::kHttp1;
  bool request_ended = false, response_ended = false;
  http::AnomalySet anomalies = 0;
  Cuts cuts;
};
EndedBrief parse_ended_brief(Bytes payload);

// --- kMessage
std::size_t message_size(const flow::MessageSeen& message);
// `missing`: octets of its direction's content that passed since the message before and were not handed over.
void write_message(OctetWriter out, const flow::MessageSeen& message, ByteCount missing);
void add_missing(char* payload, ByteCount more);
struct MessageParts {
  flow::MessageSeen seen;  // `control` is a view into the payload
  ByteCount missing = 0;
};
std::optional<MessageParts> parse_message(Bytes payload);

// --- kConnection, kUpstream: written by the capture thread, once in each segment that mentions them
std::string format_connection(const flow::Connection& connection);
// Back again, for recordings. nullptr: damaged.
std::shared_ptr<flow::Connection> parse_connection(Bytes payload);
std::string format_upstream(const flow::Upstream& upstream);
std::shared_ptr<flow::Upstream> parse_upstream(Bytes payload);

}  // namespace sluice::capture
