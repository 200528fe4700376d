// How the lines of an audit file hang together, and how its files do (gate.md 8). A line is one JSON object whose last
// members are its link:
//
//   {"type":"decision","seq":17,…,"hash":"<64 hex>"}
//   {"type":"checkpoint","seq":18,…,"hash":"<64 hex>","signature":"<base64url>"}
//
// hash = SHA-256(the line before's hash, 32 zero octets for the first, then this line's octets in front of ,"hash").
// Lines of the types head (the first), checkpoint and end (the last) are signed: Ed25519 over kSignedPrefix and the
// hash. Files are called "<number>-<pid>.jsonl"; a head names the file of the number before and its last line then.
// Pure; thread-safe.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "base/json.h"
#include "gateway/digest.h"

namespace sluice::gateway {

using ChainHash = Sha256;

// In front of what is signed, so that no signature can stand for anything else.
inline constexpr std::string_view kSignedPrefix = "sluice audit 1\n";

// A line taken apart, its link not yet compared with anything.
struct ChainLine {
  std::string_view content;  // what the hash covers
  ChainHash hash{};
  std::string signature;  // 64 octets; empty: not signed
};
// `line` without its end. Nothing: it is no whole line of an audit file.
std::optional<ChainLine> read_chain_line(std::string_view line);

ChainHash chain_hash(const ChainHash& before, std::string_view content);
std::string signed_message(const ChainHash& hash);

// The line that follows `before`, with its end; `before` becomes its hash. `sign`: called with signed_message().
struct LinkedLine {
  std::string text;
  ChainHash hash{};
};
LinkedLine link_line(const ChainHash& before, const Json& content);
// The same with a signature put behind it.
void add_signature(LinkedLine& line, Bytes signature);

struct ChainFileName {
  std::uint64_t number = 0;
  int pid = 0;
};
std::string to_string(const ChainFileName& name);
std::optional<ChainFileName> read_chain_file_name(std::string_view name);

}  // namespace sluice::gateway
