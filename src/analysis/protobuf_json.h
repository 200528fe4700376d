// A protocol buffer without its schema as JSON: [{field, type, value, float?}]. Pure.
#pragma once

#include "analysis/protobuf.h"
#include "base/json.h"
#include "base/redact.h"

namespace sluice::analysis {

// `redactor` null: everything is visible. Octets are hexadecimal.
Json protobuf_json(const std::vector<ProtoField>& fields, const Redactor* redactor);

}  // namespace sluice::analysis
