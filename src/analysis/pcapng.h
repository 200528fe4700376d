// Packets as Wireshark reads them (IETF draft-ietf-opsawg-pcapng): a connection of synthetic TCP over IPv4 or IPv6 that
// says what was said. Private to this folder. Pure.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "base/clock.h"
#include "flow/exchange.h"

namespace sluice::analysis {

// The section's header and its one interface: raw IP, nanoseconds.
std::string pcapng_prologue();

// One connection. Each call appends whole blocks to `out`.
class PacketStream {
 public:
  struct End {
    std::string address;  // IP literals of one family; else one is made up
    std::uint16_t port = 0;
  };
  PacketStream(End client, End server);

  void open(WallTime at, std::string& out);  // the handshake
  void send(flow::Direction direction, Bytes octets, WallTime at, std::string& out);
  void close(WallTime at, std::string& out);

 private:
  struct Side {
    std::string address;  // 4 or 16 octets
    std::uint16_t port = 0;
    std::uint32_t next = 1'000;  // sequence number
  };
  void packet(flow::Direction direction, std::uint8_t flags, Bytes octets, WallTime at, std::string& out);

  Side client_, server_;
};

}  // namespace sluice::analysis
