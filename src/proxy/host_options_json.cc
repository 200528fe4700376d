#include "proxy/host_options_json.h"

#include <fmt/format.h>

#include <array>

#include "base/text.h"

namespace sluice::proxy {
namespace {

template <class T>
using Choices = std::array<std::pair<std::string_view, T>, 4>;  // an empty name: none

constexpr Choices<TlsTreatment> kTreatments{
    {{"intercept", TlsTreatment::kIntercept}, {"passthrough", TlsTreatment::kPassthrough}, {}, {}}};
constexpr Choices<AltSvc> kAltSvc{{{"strip", AltSvc::kStrip}, {"keep", AltSvc::kKeep}, {}, {}}};
constexpr Choices<tls::Version> kVersions{{{"1.0", tls::Version::k1_0},
                                           {"1.1", tls::Version::k1_1},
                                           {"1.2", tls::Version::k1_2},
                                           {"1.3", tls::Version::k1_3}}};
constexpr std::size_t kMostPath = 4096;  // PATH_MAX

Status read(std::string_view name, const Json& value, std::optional<bool>& out) {
  if (!value.is_boolean()) return fail(Code::kInvalid, fmt::format("{} must be true or false", name));
  out = value.get<bool>();
  return {};
}

Status read(std::string_view name, const Json& value, std::optional<std::string>& out) {
  if (!value.is_string() || value.get_ref<const std::string&>().empty()) {
    return fail(Code::kInvalid, fmt::format("{} must be the path of a file", name));
  }
  out = value.get<std::string>();
  if (out->size() > kMostPath || out->find('\0') != std::string::npos) {
    return fail(Code::kInvalid, fmt::format("{} is no path", name));
  }
  return {};
}

template <class T>
Status read_choice(std::string_view name, const Json& value, std::optional<T>& out, const Choices<T>& choices) {
  std::string words;
  for (const auto& [word, meaning] : choices) {
    if (word.empty()) continue;
    if (value.is_string() && value.get_ref<const std::string&>() == word) {
      out = meaning;
      return {};
    }
    words += fmt::format("{}\"{}\"", words.empty() ? "" : ", ", word);
  }
  return fail(Code::kInvalid, fmt::format("{} must be one of {}", name, words));
}

template <class T>
std::string_view word_of(T meaning, const Choices<T>& choices) {
  for (const auto& [word, one] : choices) {
    if (one == meaning) return word;
  }
  return "";
}

Status read_option(std::string_view name, const Json& value, HostOptions& options) {
  if (name == "tls") return read_choice(name, value, options.tls, kTreatments);
  if (name == "record") return read(name, value, options.record);
  if (name == "verify_upstream") return read(name, value, options.verify_upstream);
  if (name == "ca_file") return read(name, value, options.ca_file);
  if (name == "client_cert_file") return read(name, value, options.client_cert_file);
  if (name == "client_key_file") return read(name, value, options.client_key_file);
  if (name == "min_tls") return read_choice(name, value, options.min_tls, kVersions);
  if (name == "legacy_server") return read(name, value, options.legacy_server);
  if (name == "alt_svc") return read_choice(name, value, options.alt_svc, kAltSvc);
  const std::string shown = repair_utf8(name.substr(0, 64));
  const auto near = nearest(name, option_names());
  if (near) return fail(Code::kInvalid, fmt::format("unknown option '{}', did you mean '{}'?", shown, *near));
  return fail(Code::kInvalid,
              fmt::format("unknown option '{}' (there are {})", shown, fmt::join(option_names(), ", ")));
}

}  // namespace

Result<HostOptions> host_options_from_json(const Json& object) {
  HostOptions options;
  if (!object.is_object()) return fail(Code::kInvalid, "host options are a map such as {min_tls: \"1.0\"}");
  for (const auto& [name, value] : object.items()) SLUICE_CHECK(read_option(name, value, options));
  return options;
}

Json to_json(const HostOptions& options) {
  Json json = Json::object();
  if (options.tls) json["tls"] = word_of(*options.tls, kTreatments);
  if (options.record) json["record"] = *options.record;
  if (options.verify_upstream) json["verify_upstream"] = *options.verify_upstream;
  if (options.ca_file) json["ca_file"] = *options.ca_file;
  if (options.client_cert_file) json["client_cert_file"] = *options.client_cert_file;
  if (options.client_key_file) json["client_key_file"] = *options.client_key_file;
  if (options.min_tls) json["min_tls"] = word_of(*options.min_tls, kVersions);
  if (options.legacy_server) json["legacy_server"] = *options.legacy_server;
  if (options.alt_svc) json["alt_svc"] = word_of(*options.alt_svc, kAltSvc);
  return json;
}

}  // namespace sluice::proxy
