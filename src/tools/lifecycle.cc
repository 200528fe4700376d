// proxy_start, proxy_stop, proxy_status, proxy_get_ca_cert. engine.md 9, proxy.md (a).
#include <fmt/format.h>

#include "base/url.h"
#include "tools/listening.h"
#include "tools/session_json.h"
#include "tools/status.h"
#include "tools/subjects.h"

namespace sluice::tools {
namespace {

Json start_answer(const Services& services, const proxy::EngineStatus& status) {
  const proxy::ListenAddress bound = status.listeners.empty() ? services.default_listen : status.listeners.front();
  const std::string address = authority_text(bound.host, bound.port, 0);
  Json answer = Json::object();
  answer["port"] = bound.port;
  answer["url"] = fmt::format("https://localhost:{}", bound.port);
  answer["certFingerprint"] = services.authority->spki_sha256_base64();
  answer["persistence"] = persistence_json(services);
  answer["setup"] = {
      {"proxyHost", bound.host},
      {"proxyPort", bound.port},
      {"instructions",
       Json::array({fmt::format("Set the HTTP and HTTPS proxy of the device or browser to {}.", address),
                    fmt::format("Install the CA certificate as trusted: proxy_get_ca_cert, {}, or http://{}/.",
                                services.ca_pem_path, address),
                    fmt::format("Or for one command: HTTP_PROXY=http://{0} HTTPS_PROXY=http://{0} "
                                "CURL_CA_BUNDLE={1} NODE_EXTRA_CA_CERTS={1} SSL_CERT_FILE={1}.",
                                address, services.ca_pem_path)})}};
  return answer;
}

// The recording that a start asks for; nothing of it stays where the start fails.
class StartedRecording {
 public:
  static Result<StartedRecording> begin(const Json& arguments, Services& services) {
    StartedRecording started;
    if (!flag_argument(arguments, "persistence_enabled")) return started;
    if (!services.sessions) return fail(Code::kUnavailable, "Nothing can be recorded here.");
    SLUICE_TRY(const auto recording, start_recording(arguments, *services.sessions));
    if (recording.was_active) return started;  // it goes on
    started.sessions_ = services.sessions;
    started.id_ = recording.manifest.id;
    return started;
  }
  tl::unexpected<Error> undo(tl::unexpected<Error> error) const {
    if (sessions_ && sessions_->stop()) (void)sessions_->remove(id_);
    return error;
  }

 private:
  session::Store* sessions_ = nullptr;
  std::string id_;
};

ToolResult proxy_start(const Json& arguments, CallContext& context) {
  Services& services = *context.services;
  const auto recording = StartedRecording::begin(arguments, services);
  if (!recording) return thrown(recording.error());
  const auto status = start_listening(context, integer_argument(arguments, "port"));
  if (!status) return recording->undo(thrown(status.error()));
  return start_answer(services, *status);
}

ToolResult proxy_stop(const Json&, CallContext& context) {
  if (const Status stopped = stop_listening(context); !stopped) return thrown(stopped.error());
  return Json{{"message", "Proxy stopped. Traffic and cert retained."}};
}

ToolResult proxy_status(const Json&, CallContext& context) {
  context.services->ring.sync();
  return status_json(*context.services);
}

ToolResult proxy_get_ca_cert(const Json& arguments, CallContext& context) {
  const Services& services = *context.services;
  if (!services.authority) return fail(Code::kNotFound, "No certificate. Start the proxy first.");
  const std::string format = text_argument(arguments, "format").value_or("both");
  Json answer = Json::object();
  if (format != "fingerprint") answer["certPem"] = services.authority->certificate_pem();
  if (format != "pem") answer["fingerprint"] = services.authority->spki_sha256_base64();
  answer["instructions"] = fmt::format(
      "Trust this CA in the client that uses the proxy. It is also in {} and on the proxy's own port (open it in a "
      "browser, or http://sluice.setup/ through it). The fingerprint is base64 SHA-256 of the public key, as "
      "Chromium's --ignore-certificate-errors-spki-list takes it.",
      services.ca_pem_path);
  return answer;
}

const std::vector<ResultField> kLearned = {
    {"host", "string", ""}, {"clientAddress", "string", ""}, {"ja4", "string", ""}, {"until", "number", ""}};

Tool start_tool() {
  Tool tool = {
      .name = "proxy_start",
      .title = "Start the proxy",
      .summary =
          "Open the interception proxy for HTTP and HTTPS. Answers where it listens, the CA's fingerprint and "
          "how to point a client at it.",
      .group = "lifecycle",
      .risk = Risk::kExecute,
      .hints = kCore | kSlow,
      .fields = {{.name = "port",
                  .type = FieldType::kInteger,
                  .meaning = "Absent or 0: any free port.",
                  .minimum = 0,
                  .maximum = 65535},
                 {.name = "persistence_enabled",
                  .type = FieldType::kBoolean,
                  .meaning = "Also record to disk.",
                  .default_value = false}},
      .result = {{"port", "number", ""},
                 {"url", "string", ""},
                 {"certFingerprint", "string", "base64 SHA-256 of the CA's public key"},
                 {"persistence", "object", "", false, false, persistence_result()},
                 {"setup",
                  "object",
                  "",
                  false,
                  false,
                  {{"proxyHost", "string", ""}, {"proxyPort", "number", ""}, {"instructions", "string[]", ""}}}},
      .function = proxy_start,
  };
  for (Field& field : recording_fields()) tool.fields.push_back(std::move(field));
  return tool;
}

Tool status_tool() {
  return {
      .name = "proxy_status",
      .title = "Proxy status",
      .summary = "Whether the proxy runs and where, how many rules and captured exchanges there are.",
      .group = "lifecycle",
      .risk = Risk::kRead,
      .hints = kCore | kSlow | kIdempotent,
      .result = {{"running", "boolean", ""},
                 {"port", "number", "", false, true},
                 {"url", "string", "", false, true},
                 {"certFingerprint", "string", "", false, true},
                 {"globalUpstream", "object", "{proxyUrl, noProxy?, byScheme?}: redacted", false, true},
                 {"hostUpstreams", "object", "{hostname: {proxyUrl, noProxy?}}"},
                 {"ruleCount", "number", ""},
                 {"trafficCount", "number", "ended exchanges that can be read"},
                 {"transparentProxy", "object", "", false, false, transparent_result()},
                 {"persistence", "object", "", false, false, persistence_result()},
                 {"learnedPassthrough", "object[]", "TLS relayed: a client pins there", false, false, kLearned},
                 {"capture",
                  "object",
                  "the ring's counters",
                  false,
                  false,
                  {{"exchanges", "number", "ever opened"},
                   {"evicted", "number", "exchanges that left the ring"},
                   {"bodiesCut", "number", "bodies that could not be kept whole"},
                   {"bytesCut", "number", ""},
                   {"recordsLost", "number", ""},
                   {"notRecorded", "number", "exchanges with hosts whose options say record: false"},
                   {"spoolBytes", "number", "bodies on disk"},
                   {"memoryBytes", "number", "heads and index"},
                   {"writeErrors", "number", ""},
                   {"lastError", "string", "", false, true}}},
                 {"connections",
                  "object",
                  "of clients",
                  false,
                  false,
                  {{"open", "number", "just now"}, {"refused", "number", "not allowed, or one too many"}}}},
      .function = proxy_status,
  };
}

}  // namespace

std::vector<Tool> lifecycle_tools() {
  Tool stop = {
      .name = "proxy_stop",
      .title = "Stop the proxy",
      .summary =
          "Close the proxy's listeners for everyone, the transparent one too. Captured traffic, rules and the CA stay.",
      .group = "lifecycle",
      .risk = Risk::kExecute,
      .hints = kCore | kSlow,
      .fields = {{.name = "all",
                  .type = FieldType::kBoolean,
                  .meaning = "End everyone's targets, not only one's own.",
                  .default_value = false}},
      .result = {{"message", "string", ""}},
      .function = proxy_stop,
  };
  Tool certificate = {
      .name = "proxy_get_ca_cert",
      .title = "CA certificate",
      .summary = "The CA certificate that clients must trust, as PEM and as fingerprint. Works before the first start.",
      .group = "lifecycle",
      .risk = Risk::kRead,
      .hints = kCore | kUncapped | kIdempotent,
      .fields = {{.name = "format",
                  .meaning = "What to answer.",
                  .default_value = "both",
                  .choices = {"pem", "fingerprint", "both"}}},
      .result = {{"certPem", "string", "", true},
                 {"fingerprint", "string", "base64 SHA-256 of the public key", true},
                 {"instructions", "string", ""}},
      .function = proxy_get_ca_cert,
  };
  return {start_tool(), std::move(stop), status_tool(), std::move(certificate)};
}

}  // namespace sluice::tools
