#include "proxy/error_reply.h"

#include <fmt/format.h>

namespace sluice::proxy {
namespace {

struct Entry {
  int status;
  std::string_view code;
  flow::Phase phase;
  std::string_view hint;
};

Entry entry_of(FailureKind kind) {
  using flow::Phase;
  switch (kind) {
    case FailureKind::kBadRequest:
      return {400, "bad_request", Phase::kRequestHead, ""};
    case FailureKind::kHeadTooLarge:
      return {431, "head_too_large", Phase::kRequestHead, ""};
    case FailureKind::kMisdirected:
      return {421, "misdirected", Phase::kRequestHead, "Open a connection of its own for each host."};
    case FailureKind::kProxyAuth:
      return {407, "proxy_auth", Phase::kRequestHead, "Give the user name and password of --proxy-auth."};
    case FailureKind::kClientNotAllowed:
      return {403, "client_not_allowed", Phase::kRequestHead, "Whoever runs it can add --allow-client CIDR."};
    case FailureKind::kTooManyClients:
      return {503, "too_many_connections", Phase::kRequestHead, "Try again, or raise --max-connections."};
    case FailureKind::kHeadTimeout:
      return {408, "head_timeout", Phase::kRequestHead, ""};
    case FailureKind::kTargetForbidden:
      return {403, "target_forbidden", Phase::kConnect, ""};
    case FailureKind::kEgress:
      return {403, "egress", Phase::kConnect, ""};
    case FailureKind::kSecretOrigin:
      return {403, "secret_origin", Phase::kConnect, ""};
    case FailureKind::kLoop:
      return {508, "loop", Phase::kConnect, "The request was addressed to Sluice itself."};
    case FailureKind::kResolve:
      return {502, "resolve", Phase::kResolve, "Check the name, or this machine's DNS."};
    case FailureKind::kConnectRefused:
      return {502, "connect_refused", Phase::kConnect, "Nothing listens there. Check the port, or start the server."};
    case FailureKind::kConnect:
      return {502, "connect", Phase::kConnect, ""};
    case FailureKind::kConnectTimeout:
      return {504, "connect_timeout", Phase::kConnect, ""};
    case FailureKind::kUpstreamProxy:
      return {502, "upstream_proxy", Phase::kConnect,
              "Check the upstream proxy, give another one (proxy_set_upstream, for one host proxy_set_host_upstream), "
              "or none "
              "(proxy_clear_upstream, proxy_remove_host_upstream)."};
    case FailureKind::kUpstreamProxyRefused:
      return {
          502, "upstream_proxy_refused", Phase::kConnect,
          "Ask whoever runs the upstream proxy, or reach this host another way: proxy_set_host_upstream, no_proxy."};
    case FailureKind::kUpstreamProxyAuth:
      return {
          502, "upstream_proxy_auth", Phase::kConnect,
          "Give the upstream proxy's user name and password: proxy_set_upstream, or --upstream-password HOST=FILE."};
    case FailureKind::kUpstreamProxyTimeout:
      return {504, "upstream_proxy_timeout", Phase::kConnect,
              "Check the upstream proxy, give another one (proxy_set_upstream, for one host proxy_set_host_upstream), "
              "or none "
              "(proxy_clear_upstream, proxy_remove_host_upstream)."};
    case FailureKind::kPac:
      return {502, "pac", Phase::kConnect, "Check the PAC script, or give a proxy instead of it (proxy_set_upstream)."};
    case FailureKind::kUpstreamTls:
      return {502, "upstream_tls", Phase::kUpstreamTls, ""};
    case FailureKind::kCertificate:
      return {502, "certificate", Phase::kUpstreamTls,
              "Whoever runs Sluice can also start it with --upstream-ca FILE (the CA), or --upstream-insecure."};
    case FailureKind::kClientCertificate:
      return {502, "client_certificate", Phase::kUpstreamTls,
              "Whoever runs Sluice can also start it with --upstream-client-cert HOST=CERT:KEY."};
    case FailureKind::kUpstreamTlsTimeout:
      return {504, "upstream_tls_timeout", Phase::kUpstreamTls, ""};
    case FailureKind::kUpstreamClosed:
      return {502, "upstream_closed", Phase::kFirstByte, ""};
    case FailureKind::kFirstByteTimeout:
      return {504, "first_byte_timeout", Phase::kFirstByte, ""};
    case FailureKind::kBadAnswer:
      return {502, "bad_answer", Phase::kResponseHead, ""};
    case FailureKind::kAnswerTooLarge:
      return {502, "answer_head_too_large", Phase::kResponseHead, ""};
    case FailureKind::kBodyCut:
      return {502, "body_cut", Phase::kResponseBody, ""};
    case FailureKind::kIdleTimeout:
      return {504, "idle_timeout", Phase::kResponseBody, ""};
    case FailureKind::kOverloaded:
      return {503, "overloaded", Phase::kRequestBody, ""};
    case FailureKind::kClientAborted:
      return {0, "client_aborted", Phase::kResponseBody, ""};
    case FailureKind::kClientTls:
      return {0, "client_tls", Phase::kClientTls, ""};
    case FailureKind::kDropped:
      return {0, "dropped", Phase::kRule, ""};
    case FailureKind::kRule:
      return {500, "rule", Phase::kRule, ""};
    case FailureKind::kShutdown:
      return {503, "shutting_down", Phase::kRequestHead, ""};
  }
  return {500, "internal", flow::Phase::kRequestHead, ""};
}

}  // namespace

std::string_view code_of(FailureKind kind) { return entry_of(kind).code; }
int status_of(FailureKind kind) { return entry_of(kind).status; }
flow::Phase phase_of(FailureKind kind) { return entry_of(kind).phase; }

bool is_about_tls_settings(FailureKind kind) {
  return kind == FailureKind::kCertificate || kind == FailureKind::kClientCertificate ||
         kind == FailureKind::kUpstreamTls;
}

std::string html_escape(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (const char c : text) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      case '\'':
        out += "&#39;";
        break;
      default:
        out += c;
    }
  }
  return out;
}

Reply error_reply(const ReplyRequest& request) {
  const Entry entry = entry_of(request.kind);
  Reply reply;
  reply.head.status = entry.status;
  reply.head.reason = http::reason_phrase(entry.status);
  if (request.wants_html) {
    reply.body = fmt::format(
        "<!doctype html><meta charset=utf-8><title>{0} {1}</title>"
        "<body style=\"font:16px/1.5 system-ui;max-width:44em;margin:4em auto;padding:0 1em\">"
        "<h1>{0} {1}</h1><p>{2}</p><p>{3}</p><p><code>{4} {5}</code></p>"
        "<p><small>This page was made by Sluice, not by the site. Cause: <code>{6}</code></small></p>\n",
        entry.status, reply.head.reason, html_escape(request.message), html_escape(entry.hint),
        html_escape(request.method), html_escape(request.url), entry.code);
  } else {
    reply.body = fmt::format("Sluice: {}{}{}\n", request.message, entry.hint.empty() ? "" : ". ", entry.hint);
  }
  auto& fields = reply.head.fields;
  fields.append("Content-Type", request.wants_html ? "text/html; charset=utf-8" : "text/plain; charset=utf-8");
  fields.append("Content-Length", std::to_string(reply.body.size()));
  fields.append("Sluice-Error", entry.code);
  if (request.kind == FailureKind::kProxyAuth) {
    fields.append("Proxy-Authenticate", "Basic realm=\"Sluice\", charset=\"UTF-8\"");  // RFC 7617 §2
  }
  fields.append("Cache-Control", "no-store");
  if (!request.keeps_connection) fields.append("Connection", "close");
  if (request.method == "HEAD") reply.body.clear();
  return reply;
}

}  // namespace sluice::proxy
