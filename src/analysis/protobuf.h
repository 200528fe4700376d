// What can be told of a protocol buffer without its schema (protobuf.dev/programming-guides/encoding): field numbers,
// wire types, values; and of what is length-delimited, whether it reads as text or as a message itself. A guess where
// the wire does not say: five letters may be a string, octets or a message. Pure; views into the octets given.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "base/bytes.h"

namespace sluice::analysis {

enum class ProtoType : std::uint8_t { kVarint, kFixed64, kFixed32, kText, kBytes, kMessage };
std::string_view to_string(ProtoType type);  // "varint", "fixed64", …

struct ProtoField {
  std::uint32_t number = 0;
  ProtoType type = ProtoType::kVarint;
  std::uint64_t value = 0;         // of the first three; signed ones as the wire has them
  Bytes octets;                    // of the others
  std::vector<ProtoField> fields;  // of kMessage
};

struct ProtoLimits {
  std::size_t depth = 12;
  std::size_t fields = 500;  // in all
};

// nullopt: not a protocol buffer from end to end (or beyond the limits). No octets are a message without fields.
std::optional<std::vector<ProtoField>> parse_protobuf(Bytes octets, const ProtoLimits& limits = {});

}  // namespace sluice::analysis
