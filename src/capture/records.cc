#include "capture/records.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/text.h"

namespace sluice::capture {
namespace {

constexpr std::size_t kMostRules = 1'000;
constexpr std::size_t kMostMessage = 4 * 1024;

enum EndedFlag : std::uint8_t { kRequestEnded = 1, kResponseEnded = 2, kHasFailure = 4 };

std::span<const std::uint32_t> kept_rules(const flow::Ended& ended) {
  return ended.rule_ids.first(std::min(ended.rule_ids.size(), kMostRules));
}
Bytes kept_message(const flow::Failure& failure) { return Bytes(failure.message).substr(0, kMostMessage); }

template <class Enum>
Enum known(std::uint8_t value, Enum last) {
  return value <= static_cast<std::uint8_t>(last) ? static_cast<Enum>(value) : Enum{};
}

enum MessageFlag : std::uint8_t { kCompressed = 1, kComplete = 2 };

constexpr std::size_t kMostControl = 125;  // RFC 6455 §5.5

// Where counts stand in the payloads of kEnded and kMessage.
constexpr std::size_t kCutsAt = 4 + 4 + 4 + sizeof(flow::Timings);
constexpr std::size_t kMissingAt = 4 + 8 + 8 + 8;

constexpr std::uint64_t kImported = 9;  // a version of UUIDs that RFC 9562 §4.2 leaves open

void add_to(char* at, std::uint64_t more) {
  std::uint64_t value = 0;
  std::memcpy(&value, at, sizeof(value));
  value += more;
  std::memcpy(at, &value, sizeof(value));
}

// A UUID's octets as two numbers.
std::pair<std::uint64_t, std::uint64_t> halves_of(const Uuid& uuid) {
  std::pair<std::uint64_t, std::uint64_t> halves;
  for (std::size_t i = 0; i < uuid.size(); ++i) {
    std::uint64_t& half = i < 8 ? halves.first : halves.second;
    half = half << 8 | static_cast<unsigned char>(uuid[i]);
  }
  return halves;
}

std::string imported_text(std::uint64_t high, std::uint64_t low) {
  std::uint64_t letters = (high & 0xFFF) << 30 | (low >> 32 & 0x3FFF'FFFF);
  std::string name(8, '0');
  for (std::size_t i = name.size(); i-- > 0; letters /= 36) {
    name[i] = "0123456789abcdefghijklmnopqrstuvwxyz"[letters % 36];
  }
  return fmt::format("har_{:014}_{}_{}", high >> 16, name, static_cast<std::uint32_t>(low));
}

std::optional<Uuid> parse_imported(std::string_view text) {
  const std::string_view session = text.substr(4, 23), number = text.substr(std::min<std::size_t>(text.size(), 28));
  const auto digits = [](std::string_view part) {
    return !part.empty() && part.find_first_not_of("0123456789") == part.npos;
  };
  const bool whole = session.size() == 23 && session[14] == '_' && text.size() > 28 && text[27] == '_' &&
                     digits(session.substr(0, 14)) && digits(number) && number.size() <= 10 &&
                     session.substr(15).find_first_not_of("0123456789abcdefghijklmnopqrstuvwxyz") == session.npos;
  if (!whole) return std::nullopt;
  std::uint64_t n = 0;
  for (const char c : number) n = n * 10 + static_cast<std::uint64_t>(c - '0');
  if (n > UINT32_MAX) return std::nullopt;
  return imported_uuid(session, static_cast<std::uint32_t>(n));
}

constexpr std::string_view kReplay = "replay_";

}  // namespace

Uuid imported_uuid(std::string_view session, std::uint32_t n) {
  std::uint64_t digits = 0, letters = 0;
  for (const char c : session.substr(0, 14)) digits = digits * 10 + static_cast<std::uint64_t>(c - '0');
  for (const char c : session.substr(std::min<std::size_t>(session.size(), 15))) {
    letters = letters * 36 + static_cast<std::uint64_t>(c <= '9' ? c - '0' : c - 'a' + 10);
  }
  const std::uint64_t halves[] = {digits << 16 | kImported << 12 | (letters >> 30 & 0xFFF),
                                  std::uint64_t{2} << 62 | (letters & 0x3FFF'FFFF) << 32 | n};
  Uuid uuid{};
  for (std::size_t i = 0; i < uuid.size(); ++i) {
    uuid[i] = static_cast<char>(halves[i / 8] >> (56 - i % 8 * 8) & 0xFF);
  }
  return uuid;
}

std::string id_text(const Uuid& uuid) {
  if ((static_cast<unsigned char>(uuid[6]) >> 4) == kImported) {
    const auto [high, low] = halves_of(uuid);
    return imported_text(high, low);
  }
  std::string text;
  text.reserve(kReplay.size() + 36);
  if ((static_cast<unsigned char>(uuid[6]) >> 4) == 8) text = kReplay;
  for (std::size_t i = 0; i < uuid.size(); ++i) {
    if (i == 4 || i == 6 || i == 8 || i == 10) text += '-';
    const auto octet = static_cast<unsigned char>(uuid[i]);
    text += "0123456789abcdef"[octet >> 4];
    text += "0123456789abcdef"[octet & 15];
  }
  return text;
}

std::optional<Uuid> parse_id(std::string_view text) {
  if (text.starts_with("har_")) return parse_imported(text);
  if (text.starts_with(kReplay)) text.remove_prefix(kReplay.size());
  if (text.size() != 36) return std::nullopt;
  std::string hex;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const bool dash = i == 8 || i == 13 || i == 18 || i == 23;
    if (dash != (text[i] == '-')) return std::nullopt;
    if (!dash) hex += text[i];
  }
  const auto octets = hex_decode(hex);
  if (!octets || octets->size() != 16) return std::nullopt;
  Uuid uuid;
  std::copy(octets->begin(), octets->end(), uuid.begin());
  return uuid;
}

std::size_t opened_size(const flow::Opened& opened) {
  return 8 + 1 + 1 + 2 + 8 + counted_size(opened.method) + counted_size(opened.scheme) + counted_size(opened.host) +
         counted_size(opened.target) + opened.head.size();
}

void write_opened(OctetWriter out, const flow::Opened& opened) {
  out.number(std::uint64_t{opened.connection ? opened.connection->id.value : 0});
  out.number(static_cast<std::uint8_t>(opened.protocol));
  out.number(std::uint8_t{0});
  out.number(opened.port);
  out.number(static_cast<std::int64_t>(opened.started.time_since_epoch().count()));
  out.counted(opened.method);
  out.counted(opened.scheme);
  out.counted(opened.host);
  out.counted(opened.target);
  out.octets(opened.head);
}

std::optional<OpenedParts> parse_opened(Bytes payload) {
  OctetReader in(payload);
  OpenedParts parts;
  parts.connection = in.number<std::uint64_t>();
  parts.protocol = known(in.number<std::uint8_t>(), flow::Protocol::kTls);
  in.number<std::uint8_t>();
  parts.port = in.number<std::uint16_t>();
  parts.started_ns = in.number<std::int64_t>();
  parts.method = in.counted();
  parts.scheme = in.counted();
  parts.host = in.counted();
  parts.target = in.counted();
  parts.head = in.rest();
  if (!in.ok()) return std::nullopt;
  return parts;
}

flow::Protocol protocol_of_opened(Bytes payload) {
  OctetReader in(payload);
  in.number<std::uint64_t>();
  return known(in.number<std::uint8_t>(), flow::Protocol::kTls);
}

std::size_t responded_size(const flow::Responded& responded) {
  return 8 + 2 + 1 + 1 + counted_size(responded.head) + responded.effective.size();
}

void write_responded(OctetWriter out, const flow::Responded& responded) {
  out.number(std::uint64_t{responded.upstream ? responded.upstream->id : 0});
  out.number(static_cast<std::uint16_t>(responded.status));
  out.number(static_cast<std::uint8_t>(responded.upstream_reused));
  out.number(static_cast<std::uint8_t>(responded.protocol));
  out.counted(responded.head);
  out.octets(responded.effective);
}

std::optional<RespondedParts> parse_responded(Bytes payload) {
  OctetReader in(payload);
  RespondedParts parts;
  parts.upstream = in.number<std::uint64_t>();
  parts.status = in.number<std::uint16_t>();
  parts.upstream_reused = in.number<std::uint8_t>() != 0;
  parts.protocol = known(in.number<std::uint8_t>(), flow::Protocol::kTls);
  parts.head = in.counted();
  parts.effective = in.rest();
  if (!in.ok()) return std::nullopt;
  return parts;
}

RespondedBrief parse_responded_brief(Bytes payload) {
  OctetReader in(payload);
  RespondedBrief brief;
  in.number<std::uint64_t>();
  brief.status = in.number<std::uint16_t>();
  in.number<std::uint8_t>();
  brief.protocol = known(in.number<std::uint8_t>(), flow::Protocol::kTls);
  return brief;
}

std::size_t ended_size(const flow::Ended& ended) {
  std::size_t size = 4 + 4 + 4 + sizeof(flow::Timings) + 16 + 4 + 4 * kept_rules(ended).size();
  if (ended.failure) size += 1 + counted_size(ended.failure->code) + counted_size(kept_message(*ended.failure));
  return size;
}

void write_ended(OctetWriter out, const flow::Ended& ended, const Cuts& cuts) {
  static_assert(sizeof(flow::Timings) == 9 * 8, "the timings are written one by one");
  int flags = ended.request_ended ? kRequestEnded : 0;
  if (ended.response_ended) flags |= kResponseEnded;
  if (ended.failure) flags |= kHasFailure;
  out.number(static_cast<std::uint8_t>(ended.state));
  out.number(static_cast<std::uint8_t>(flags));
  out.number(static_cast<std::uint8_t>(ended.protocol));
  out.number(std::uint8_t{0});
  out.number(ended.anomalies | (cuts.a_message ? http::bit(http::Anomaly::kCaptureCut) : 0));
  out.number(ended.matched_rule);
  const flow::Timings& t = ended.timings;
  for (const std::int64_t us : {t.request_head, t.request_end, t.resolved, t.connected, t.upstream_tls, t.sent,
                                t.first_byte, t.response_head, t.end}) {
    out.number(us);
  }
  out.number(cuts.request);
  out.number(cuts.response);
  const auto rules = kept_rules(ended);
  out.number(static_cast<std::uint32_t>(rules.size()));
  for (const std::uint32_t rule : rules) out.number(rule);
  if (!ended.failure) return;
  out.number(static_cast<std::uint8_t>(ended.failure->phase));
  out.counted(ended.failure->code);
  out.counted(kept_message(*ended.failure));
}

void add_cuts(char* payload, const Cuts& more) {
  add_to(payload + kCutsAt, more.request);
  add_to(payload + kCutsAt + 8, more.response);
}

EndedBrief parse_ended_brief(Bytes payload) {
  OctetReader in(payload);
  EndedBrief brief;
  brief.state = known(in.number<std::uint8_t>(), flow::State::kDropped);
  const auto flags = in.number<std::uint8_t>();
  brief.request_ended = (flags & kRequestEnded) != 0;
  brief.response_ended = (flags & kResponseEnded) != 0;
  brief.protocol = known(in.number<std::uint8_t>(), flow::Protocol::kTls);
  in.number<std::uint8_t>();
  brief.anomalies = in.number<std::uint32_t>();
  in.octets(sizeof(std::uint32_t) + sizeof(flow::Timings));
  brief.cuts.request = in.number<std::uint64_t>();
  brief.cuts.response = in.number<std::uint64_t>();
  return brief;
}

std::optional<EndedParts> parse_ended(Bytes payload) {
  OctetReader in(payload);
  EndedParts parts;
  parts.state = known(in.number<std::uint8_t>(), flow::State::kDropped);
  const auto flags = in.number<std::uint8_t>();
  parts.request_ended = (flags & kRequestEnded) != 0;
  parts.response_ended = (flags & kResponseEnded) != 0;
  parts.protocol = known(in.number<std::uint8_t>(), flow::Protocol::kTls);
  in.number<std::uint8_t>();
  parts.anomalies = in.number<std::uint32_t>();
  parts.matched_rule = in.number<std::uint32_t>();
  flow::Timings& t = parts.timings;
  for (std::int64_t* us : {&t.request_head, &t.request_end, &t.resolved, &t.connected, &t.upstream_tls, &t.sent,
                           &t.first_byte, &t.response_head, &t.end}) {
    *us = in.number<std::int64_t>();
  }
  parts.cuts.request = in.number<std::uint64_t>();
  parts.cuts.response = in.number<std::uint64_t>();
  const auto rules = in.number<std::uint32_t>();
  if (rules > kMostRules) return std::nullopt;
  for (std::uint32_t i = 0; i < rules; ++i) parts.rule_ids.push_back(in.number<std::uint32_t>());
  if ((flags & kHasFailure) != 0) {
    flow::Failure failure;
    failure.phase = known(in.number<std::uint8_t>(), flow::Phase::kTunnel);
    failure.code = in.counted();
    failure.message = in.counted();
    parts.failure = std::move(failure);
  }
  if (!in.ok()) return std::nullopt;
  return parts;
}

void fill(flow::Exchange& exchange, const std::optional<OpenedParts>& opened) {
  if (!opened) return;
  exchange.started = WallTime(Duration(opened->started_ns));
  exchange.method = opened->method;
  exchange.scheme = opened->scheme;
  exchange.host = opened->host;
  exchange.target = opened->target;
  exchange.port = opened->port;
  exchange.request.head = opened->head;
}

void fill(flow::Exchange& exchange, const std::optional<RespondedParts>& responded) {
  if (!responded) return;
  exchange.response.head = responded->head;
  exchange.response.effective = responded->effective;
  exchange.upstream_reused = responded->upstream_reused;
}

void fill(flow::Exchange& exchange, std::optional<EndedParts> ended) {
  if (!ended) return;
  exchange.timings = ended->timings;
  exchange.failure = std::move(ended->failure);
  exchange.anomalies = ended->anomalies;
  exchange.rule_ids = std::move(ended->rule_ids);
  exchange.matched_rule = ended->matched_rule;
}

std::size_t message_size(const flow::MessageSeen& message) {
  return 4 + 8 + 8 + 8 + 8 + counted_size(message.control.substr(0, kMostControl));
}

void write_message(OctetWriter out, const flow::MessageSeen& message, ByteCount missing) {
  const int flags = (message.compressed ? kCompressed : 0) | (message.complete ? kComplete : 0);
  out.number(static_cast<std::uint8_t>(message.direction));
  out.number(message.opcode);
  out.number(static_cast<std::uint8_t>(flags));
  out.number(std::uint8_t{0});
  out.number(message.offset);
  out.number(message.length);
  out.number(static_cast<std::int64_t>(message.at.time_since_epoch().count()));
  out.number(missing);
  out.counted(message.control.substr(0, kMostControl));
}

void add_missing(char* payload, ByteCount more) { add_to(payload + kMissingAt, more); }

std::optional<MessageParts> parse_message(Bytes payload) {
  OctetReader in(payload);
  MessageParts parts;
  parts.seen.direction = known(in.number<std::uint8_t>(), flow::Direction::kResponse);
  parts.seen.opcode = in.number<std::uint8_t>();
  const auto flags = in.number<std::uint8_t>();
  parts.seen.compressed = (flags & kCompressed) != 0;
  parts.seen.complete = (flags & kComplete) != 0;
  in.number<std::uint8_t>();
  parts.seen.offset = in.number<std::uint64_t>();
  parts.seen.length = in.number<std::uint64_t>();
  parts.seen.at = WallTime(Duration(in.number<std::int64_t>()));
  parts.missing = in.number<std::uint64_t>();
  parts.seen.control = in.counted();
  if (!in.ok()) return std::nullopt;
  return parts;
}

}  // namespace sluice::capture
