#include "analysis/protobuf_json.h"

#include <bit>
#include <cmath>

#include "base/text.h"

namespace sluice::analysis {
namespace {

// A fixed number may be a fraction: shown beside it where it looks like one.
void add_fraction(Json& json, const ProtoField& field) {
  const double value = field.type == ProtoType::kFixed64
                           ? std::bit_cast<double>(field.value)
                           : std::bit_cast<float>(static_cast<std::uint32_t>(field.value));
  const double size = std::abs(value);
  if (field.value == 0 || (std::isfinite(value) && size > 1e-9 && size < 1e15)) json["float"] = value;
}

}  // namespace

Json protobuf_json(const std::vector<ProtoField>& fields, const Redactor* redactor) {
  Json list = Json::array();
  for (const ProtoField& field : fields) {
    Json& json = list.emplace_back(Json{{"field", field.number}, {"type", to_string(field.type)}});
    switch (field.type) {
      case ProtoType::kVarint:
        json["value"] = field.value;
        break;
      case ProtoType::kFixed64:
      case ProtoType::kFixed32:
        json["value"] = field.value;
        add_fraction(json, field);
        break;
      case ProtoType::kText:
        json["value"] = redactor ? redactor->mask_body(field.octets, "").text : std::string(field.octets);
        break;
      case ProtoType::kBytes:
        json["value"] = hex_encode(redactor ? redactor->mask_body(field.octets, "").text : std::string(field.octets));
        break;
      case ProtoType::kMessage:
        json["value"] = protobuf_json(field.fields, redactor);
        break;
    }
  }
  return list;
}

}  // namespace sluice::analysis
