#include "tools/exchange_json.h"

namespace sluice::tools {

std::vector<ResultField> tls_result() {
  return {{"client",
           "object",
           "",
           true,
           false,
           {{"sniHostname", "string", "", true},
            {"clientAlpn", "string[]", "", true},
            {"ja3Fingerprint", "string", "", true},
            {"ja4Fingerprint", "string", "", true}}},
          {"server",
           "object",
           "",
           true,
           false,
           {{"protocol", "string", ""}, {"cipher", "string", ""}, {"ja3sFingerprint", "string", "", true}}}};
}

std::vector<ResultField> list_row_result() {
  return {{"id", "string", ""},
          {"timestamp", "number", "ms"},
          {"source", "string", ""},
          {"method", "string", ""},
          {"url", "string", ""},
          {"hostname", "string", ""},
          {"status", "number", "", false, true},
          {"duration", "number", "ms", false, true},
          {"requestSize", "number", ""},
          {"responseSize", "number", "", false, true},
          {"ja3", "string", "", true},
          {"ja4", "string", "", true},
          {"seq", "number", "birth order"},
          {"rev", "number", "for after_rev"},
          {"state", "string", ""},
          {"protocol", "string", ""},
          {"error", "object", "", true},
          {"ruleIds", "string[]", "", true},
          {"anomalies", "string[]", "", true}};
}

std::vector<ResultField> exchange_result() {
  const std::vector<ResultField> request = {
      {"method", "string", ""},   {"url", "string", ""},           {"hostname", "string", ""},
      {"path", "string", ""},     {"headers", "object", ""},       {"bodyPreview", "string", ""},
      {"bodySize", "number", ""}, {"rawHead", "object", "", true}, {"body", "object", "", true}};
  const std::vector<ResultField> response = {
      {"statusCode", "number", "null for raw octets", false, true},
      {"statusMessage", "string", ""},
      {"headers", "object", ""},
      {"bodyPreview", "string", "decoded"},
      {"bodySize", "number", "on the wire"},
      {"rawHead", "object", "", true},
      {"body", "object", "{text|base64, contentType, codings, offset, bytes, total, complete, nextOffset?}", true}};
  return {{"id", "string", ""},
          {"timestamp", "number", "ms"},
          {"source", "string", "", true},
          {"request", "object", "as it came", false, false, request},
          {"tls", "object", "", true, false, tls_result()},
          {"matchedRuleId", "string", "", false, true},
          {"response", "object", "as it was sent", true, false, response},
          {"duration", "number", "ms", true},
          {"seq", "number", ""},
          {"rev", "number", ""},
          {"state", "string", ""},
          {"protocol", "string", ""},
          {"error",
           "object",
           "",
           false,
           true,
           {{"code", "string", ""}, {"phase", "string", ""}, {"message", "string", ""}}},
          {"ruleIds", "string[]", ""},
          {"anomalies", "string[]", ""},
          {"original", "object", "", true},
          {"effective", "object", "", true},
          {"timings", "object", "", true},
          {"connection", "object", "", true},
          {"messages", "array", "", true}};
}

}  // namespace sluice::tools
