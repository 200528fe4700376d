#include "analysis/pcapng.h"

#include <arpa/inet.h>

#include <algorithm>
#include <bit>
#include <cstring>

namespace sluice::analysis {
namespace {

using flow::Direction;

constexpr std::uint32_t kSectionHeader = 0x0A0D0D0A, kByteOrder = 0x1A2B3C4D, kInterface = 1, kEnhancedPacket = 6;
constexpr std::uint16_t kRawIp = 101;        // LINKTYPE_RAW: IPv4 or IPv6 by its first four bits
constexpr std::size_t kSegment = 32 * 1024;  // of a payload: an IPv4 packet holds at most 65,535 octets
constexpr std::uint8_t kFin = 1, kSyn = 2, kPush = 8, kAck = 16;
constexpr std::uint8_t kTcp = 6;

static_assert(std::endian::native == std::endian::little, "blocks are written in the order of this machine");
template <class T>
void little(std::string& out, T value) {
  char octets[sizeof(T)];
  std::memcpy(octets, &value, sizeof(T));
  out.append(octets, sizeof(T));
}
void big16(std::string& out, std::uint16_t value) {
  out += static_cast<char>(value >> 8);
  out += static_cast<char>(value & 0xFF);
}
void big32(std::string& out, std::uint32_t value) {
  big16(out, static_cast<std::uint16_t>(value >> 16));
  big16(out, static_cast<std::uint16_t>(value & 0xFFFF));
}
void set16(std::string& out, std::size_t at, std::uint16_t value) {
  out[at] = static_cast<char>(value >> 8);
  out[at + 1] = static_cast<char>(value & 0xFF);
}

// A block's length stands at both ends; its body is filled up to 32 bits.
void block(std::string& out, std::uint32_t type, std::string body) {
  body.resize((body.size() + 3) / 4 * 4, '\0');
  const auto length = static_cast<std::uint32_t>(body.size() + 12);
  little(out, type);
  little(out, length);
  out += body;
  little(out, length);
}

// RFC 1071.
std::uint32_t sum_of(Bytes octets, std::uint32_t sum) {
  for (std::size_t i = 0; i < octets.size(); ++i) {
    const auto octet = static_cast<std::uint32_t>(static_cast<unsigned char>(octets[i]));
    sum += i % 2 == 0 ? octet << 8 : octet;
    sum = (sum & 0xFFFF) + (sum >> 16);
  }
  return sum;
}
std::uint16_t folded(std::uint32_t sum) { return static_cast<std::uint16_t>(~sum & 0xFFFF); }

std::string octets_of(const std::string& address) {
  char octets[16];
  if (::inet_pton(AF_INET, address.c_str(), octets) == 1) return {octets, 4};
  if (::inet_pton(AF_INET6, address.c_str(), octets) == 1) return {octets, 16};
  return "";
}

}  // namespace

std::string pcapng_prologue() {
  std::string out, section, interface;
  little(section, kByteOrder);
  little(section, std::uint16_t{1});
  little(section, std::uint16_t{0});
  little(section, std::int64_t{-1});
  block(out, kSectionHeader, section);
  little(interface, kRawIp);
  little(interface, std::uint16_t{0});
  little(interface, std::uint32_t{0});  // no limit to a packet
  little(interface, std::uint16_t{9});  // if_tsresol: 10^-9 s
  little(interface, std::uint16_t{1});
  little(interface, std::uint32_t{9});
  little(interface, std::uint32_t{0});  // opt_endofopt
  block(out, kInterface, interface);
  return out;
}

PacketStream::PacketStream(End client, End server) {
  client_ = {octets_of(client.address), client.port, 1'000};
  server_ = {octets_of(server.address), server.port, 5'000};
  if (server_.address.empty()) server_.address = octets_of(client_.address.size() == 16 ? "2001:db8::1" : "192.0.2.1");
  if (client_.address.size() != server_.address.size()) {
    client_.address = octets_of(server_.address.size() == 16 ? "2001:db8::2" : "192.0.2.2");  // RFC 5737, RFC 3849
  }
}

void PacketStream::open(WallTime at, std::string& out) {
  packet(Direction::kRequest, kSyn, "", at, out);
  ++client_.next;
  packet(Direction::kResponse, kSyn | kAck, "", at, out);
  ++server_.next;
  packet(Direction::kRequest, kAck, "", at, out);
}

void PacketStream::send(Direction direction, Bytes octets, WallTime at, std::string& out) {
  while (!octets.empty()) {
    const Bytes now = octets.substr(0, kSegment);
    packet(direction, kPush | kAck, now, at, out);
    (direction == Direction::kRequest ? client_ : server_).next += static_cast<std::uint32_t>(now.size());
    octets.remove_prefix(now.size());
  }
}

void PacketStream::close(WallTime at, std::string& out) {
  packet(Direction::kResponse, kFin | kAck, "", at, out);
  ++server_.next;
  packet(Direction::kRequest, kFin | kAck, "", at, out);
  ++client_.next;
  packet(Direction::kResponse, kAck, "", at, out);
}

// RFC 9293 §3.1 in RFC 791 §3.1 or RFC 8200 §3.
void PacketStream::packet(Direction direction, std::uint8_t flags, Bytes octets, WallTime at, std::string& out) {
  const bool request = direction == Direction::kRequest;
  const Side& from = request ? client_ : server_;
  const Side& to = request ? server_ : client_;
  std::string tcp;
  big16(tcp, from.port);
  big16(tcp, to.port);
  big32(tcp, from.next);
  big32(tcp, (flags & kAck) != 0 ? to.next : 0);
  tcp += static_cast<char>(5 << 4);
  tcp += static_cast<char>(flags);
  big16(tcp, 65'535);
  big16(tcp, 0);
  big16(tcp, 0);
  tcp += octets;
  const auto length = static_cast<std::uint32_t>(tcp.size());
  std::uint32_t sum = sum_of(from.address, 0);
  sum = sum_of(to.address, sum) + kTcp + (length >> 16) + (length & 0xFFFF);
  set16(tcp, 16, folded(sum_of(tcp, (sum & 0xFFFF) + (sum >> 16))));

  std::string ip;
  if (from.address.size() == 4) {
    ip += '\x45';
    ip += '\0';
    big16(ip, static_cast<std::uint16_t>(20 + length));
    big32(ip, 0x00004000);  // not in fragments
    ip += '\x40';
    ip += static_cast<char>(kTcp);
    big16(ip, 0);
    ip += from.address + to.address;
    set16(ip, 10, folded(sum_of(ip, 0)));
  } else {
    big32(ip, 0x60000000);
    big16(ip, static_cast<std::uint16_t>(length));
    ip += static_cast<char>(kTcp);
    ip += '\x40';
    ip += from.address + to.address;
  }
  const auto size = static_cast<std::uint32_t>(ip.size() + tcp.size());
  const auto time = static_cast<std::uint64_t>(std::max<std::int64_t>(at.time_since_epoch().count(), 0));
  std::string body;
  little(body, std::uint32_t{0});
  little(body, static_cast<std::uint32_t>(time >> 32));
  little(body, static_cast<std::uint32_t>(time & 0xFFFF'FFFF));
  little(body, size);
  little(body, size);
  body += ip;
  body += tcp;
  block(out, kEnhancedPacket, std::move(body));
}

}  // namespace sluice::analysis
