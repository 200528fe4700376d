// Which hosts are reached without the upstream proxy: a list of names with all that lies below them (whole labels:
// `example.com`, `.example.com` and `*.example.com` mean the same), `*`, addresses, CIDR blocks, each with a port or
// without. IPv6 with brackets or without; with a port, with them. Any case. Pure; immutable. proxy.md (g).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace sluice::proxy {

class NoProxy {
 public:
  // kInvalid, naming the entry; kTooLarge. Blanks around entries and empty entries do not matter.
  static Result<NoProxy> parse(const std::vector<std::string>& entries);
  // Of an environment variable: separated by commas or blanks; what means nothing is left out.
  static NoProxy parse_variable(std::string_view text);

  bool matches(std::string_view host, std::uint16_t port) const;
  bool empty() const { return entries_.empty(); }

 private:
  struct Entry {
    enum class Kind : std::uint8_t { kAll, kName, kBlock } kind = Kind::kName;
    std::string name;        // lower case; or a block's 16 octets, IPv4 as mapped
    unsigned bits = 128;     // of a block
    std::uint16_t port = 0;  // 0: any
  };
  static Result<Entry> parse_entry(std::string_view text);

  std::vector<Entry> entries_;
};

// An address as 16 octets, IPv4 as mapped; empty if it is no literal.
std::string address_octets(std::string_view literal);

}  // namespace sluice::proxy
