#include "app/host_options_config.h"

#include <yaml-cpp/yaml.h>

#include "proxy/host_options_json.h"

namespace sluice::app {
namespace {

constexpr std::string_view kFlag = "--host-options";
constexpr const char* kUsage = "--host-options takes HOST={option: value, …}, such as 'api.example={ca_file: ca.pem}'";

// Unquoted true and false are that; all other values are text.
Json value_of(const YAML::Node& node) {
  if (!node.IsScalar()) return nullptr;
  const std::string& text = node.Scalar();
  const bool quoted = node.Tag() == "!";
  if (!quoted && (text == "true" || text == "false")) return text == "true";
  return text;
}

}  // namespace

Result<std::pair<std::string, proxy::HostOptions>> parse_host_options(const std::string& text) {
  const std::size_t equals = text.find('=');
  if (equals == std::string::npos || equals == 0) return fail(Code::kInvalid, kUsage);
  std::string host = text.substr(0, equals);
  Json object = Json::object();
  try {
    const YAML::Node map = YAML::Load(text.substr(equals + 1));
    if (!map.IsMap()) return fail(Code::kInvalid, kUsage);
    for (const auto& entry : map) object[entry.first.Scalar()] = value_of(entry.second);
  } catch (const YAML::Exception&) {
    return fail(Code::kInvalid, kUsage);
  }
  auto options = proxy::host_options_from_json(object);
  if (!options) return fail(std::move(options).error().with_context(std::string(kFlag) + ": " + host));
  return std::pair(std::move(host), *std::move(options));
}

}  // namespace sluice::app
