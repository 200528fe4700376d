// The gateway's own credentials at a server over HTTP.
#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "app/gateway_core.h"
#include "app/trusted_file.h"
#include "base/text.h"
#include "http/fields.h"

namespace sluice::app {
namespace {

constexpr ByteCount kMaxFile = 64 * kKiB;
// Made from the message, or of the connection.
constexpr std::array<std::string_view, 15> kOurs{"host",
                                                 "connection",
                                                 "content-length",
                                                 "content-type",
                                                 "content-encoding",
                                                 "accept",
                                                 "accept-encoding",
                                                 "transfer-encoding",
                                                 "te",
                                                 "trailer",
                                                 "upgrade",
                                                 "expect",
                                                 "keep-alive",
                                                 "last-event-id",
                                                 "proxy-connection"};

constexpr const char* kWrongField = "expected `Name: value`";

bool is_ours(std::string_view name) {
  const std::string lower = to_lower(name);
  return lower.starts_with("mcp-") || std::find(kOurs.begin(), kOurs.end(), lower) != kOurs.end();
}

Result<gateway::UpstreamFields> parse_fields(const std::string& path, const std::string& text) {
  gateway::UpstreamFields fields;
  std::size_t number = 0;
  for (std::string_view line : split(text, '\n')) {
    ++number;
    line = trim(line);
    if (line.empty() || line.starts_with('#')) continue;
    const std::size_t colon = line.find(':');
    const std::string_view name = line.substr(0, colon);
    const std::string_view value = colon == std::string_view::npos ? "" : trim(line.substr(colon + 1));
    const std::string wrong = colon == std::string_view::npos ? kWrongField : wrong_upstream_field(name, value);
    if (!wrong.empty()) return fail(Code::kInvalid, fmt::format("{}:{}: {}", path, number, wrong));
    fields.emplace_back(name, value);
  }
  return fields;
}

}  // namespace

std::string wrong_upstream_field(std::string_view name, std::string_view value) {
  if (!http::is_token(name) || !http::is_field_value(value)) return kWrongField;
  return is_ours(name) ? fmt::format("{} is the gateway's own", name) : "";
}

Result<gateway::UpstreamFields> read_upstream_fields(const std::string& path, const Secret* token) {
  gateway::UpstreamFields fields;
  if (!path.empty()) {
    SLUICE_TRY(const std::string text, load_trusted(absolute_path(path), kMaxFile, Readers::kSelf));
    SLUICE_TRY(fields, parse_fields(path, text));
  }
  if (!token) return fields;
  const std::string_view value = trim(token->view());
  const bool plain = std::all_of(value.begin(), value.end(), [](char c) { return c > 0x20 && c < 0x7F; });
  if (value.empty() || !plain) return fail(Code::kInvalid, "SLUICE_UPSTREAM_TOKEN is no bearer token");
  for (const auto& [name, unused] : fields) {
    if (iequals(name, "authorization")) {
      return fail(Code::kInvalid, path + " has an Authorization, and SLUICE_UPSTREAM_TOKEN is set: one of both");
    }
  }
  fields.emplace_back("Authorization", "Bearer " + std::string(value));
  return fields;
}

}  // namespace sluice::app
