#include "analysis/protobuf.h"

#include <algorithm>

#include "base/text.h"

namespace sluice::analysis {
namespace {

// Wire types (protobuf.dev, "Message Structure"). Groups (3, 4) have been deprecated for as long as there is proto3.
constexpr unsigned kWireVarint = 0, kWireFixed64 = 1, kWireLength = 2, kWireFixed32 = 5;
constexpr std::size_t kLongestVarint = 10;

class Reader {
 public:
  Reader(Bytes octets, std::size_t& fields_left) : rest_(octets), fields_left_(fields_left) {}

  std::optional<std::vector<ProtoField>> read(std::size_t depth_left) {
    std::vector<ProtoField> fields;
    while (!rest_.empty()) {
      if (fields_left_ == 0) return std::nullopt;
      --fields_left_;
      auto field = read_field(depth_left);
      if (!field) return std::nullopt;
      fields.push_back(*std::move(field));
    }
    return fields;
  }

 private:
  std::optional<std::uint64_t> varint() {
    std::uint64_t value = 0;
    for (std::size_t i = 0; i < kLongestVarint && i < rest_.size(); ++i) {
      const auto octet = static_cast<unsigned char>(rest_[i]);
      value |= static_cast<std::uint64_t>(octet & 0x7f) << (7 * i);
      if ((octet & 0x80) != 0) continue;
      if (i + 1 == kLongestVarint && octet > 1) return std::nullopt;  // beyond 64 bits
      rest_.remove_prefix(i + 1);
      return value;
    }
    return std::nullopt;
  }

  std::optional<std::uint64_t> fixed(std::size_t size) {  // little-endian
    if (rest_.size() < size) return std::nullopt;
    std::uint64_t value = 0;
    for (std::size_t i = size; i-- > 0;) value = value << 8 | static_cast<unsigned char>(rest_[i]);
    rest_.remove_prefix(size);
    return value;
  }

  std::optional<ProtoField> read_field(std::size_t depth_left) {
    const auto tag = varint();
    if (!tag || *tag >> 3 == 0 || *tag >> 3 > 0x1fffffff) return std::nullopt;
    ProtoField field;
    field.number = static_cast<std::uint32_t>(*tag >> 3);
    std::optional<std::uint64_t> value;
    switch (*tag & 7) {
      case kWireVarint:
        value = varint();
        break;
      case kWireFixed64:
        field.type = ProtoType::kFixed64;
        value = fixed(8);
        break;
      case kWireFixed32:
        field.type = ProtoType::kFixed32;
        value = fixed(4);
        break;
      case kWireLength:
        value = varint();
        if (!value || *value > rest_.size()) return std::nullopt;
        field.octets = rest_.substr(0, static_cast<std::size_t>(*value));
        rest_.remove_prefix(field.octets.size());
        guess(field, depth_left);
        return field;
      default:
        return std::nullopt;
    }
    if (!value) return std::nullopt;
    field.value = *value;
    return field;
  }

  // Text first: words are seldom messages by accident, but short messages are often UTF-8 with control characters.
  void guess(ProtoField& field, std::size_t depth_left) {
    const auto printable = [](char c) {
      return static_cast<unsigned char>(c) >= 0x20 || c == '\n' || c == '\r' || c == '\t';
    };
    field.type = ProtoType::kBytes;
    if (std::all_of(field.octets.begin(), field.octets.end(), printable) && is_utf8(field.octets)) {
      field.type = ProtoType::kText;
      return;
    }
    if (depth_left == 0) return;
    std::size_t left = fields_left_;
    if (auto fields = Reader(field.octets, left).read(depth_left - 1)) {
      field.type = ProtoType::kMessage;
      field.fields = *std::move(fields);
      fields_left_ = left;
    }
  }

  Bytes rest_;
  std::size_t& fields_left_;
};

}  // namespace

std::string_view to_string(ProtoType type) {
  switch (type) {
    case ProtoType::kVarint:
      return "varint";
    case ProtoType::kFixed64:
      return "fixed64";
    case ProtoType::kFixed32:
      return "fixed32";
    case ProtoType::kText:
      return "text";
    case ProtoType::kBytes:
      return "bytes";
    case ProtoType::kMessage:
      return "message";
  }
  return "";
}

std::optional<std::vector<ProtoField>> parse_protobuf(Bytes octets, const ProtoLimits& limits) {
  std::size_t fields_left = limits.fields;
  return Reader(octets, fields_left).read(limits.depth);
}

}  // namespace sluice::analysis
