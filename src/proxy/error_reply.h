// The one place where a failure becomes a status and a page. Exhaustive over FailureKind.
#pragma once

#include <string>
#include <string_view>

#include "flow/exchange.h"
#include "http/message.h"

namespace sluice::proxy {

enum class FailureKind {
  kBadRequest,            // 400: malformed or ambiguous
  kHeadTooLarge,          // 431
  kMisdirected,           // 421: an HTTP/2 request for another host than its connection's
  kProxyAuth,             // 407: no, or wrong, credentials for the proxy
  kClientNotAllowed,      // 403: an address that may not use the proxy
  kTooManyClients,        // 503: over max_connections
  kHeadTimeout,           // 408: the client began a head and did not end it
  kTargetForbidden,       // 403: loopback or link-local from a remote client
  kEgress,                // 403: the policy of a grant that causes it does not let it go there
  kSecretOrigin,          // 403: it carries secrets that belong to another origin, or could be read on the way
  kLoop,                  // 508: our own listener
  kResolve,               // 502
  kConnectRefused,        // 502
  kConnect,               // 502
  kConnectTimeout,        // 504
  kUpstreamProxy,         // 502: not reached, or it does not do as it should
  kUpstreamProxyRefused,  // 502: it said no to this destination
  kUpstreamProxyAuth,     // 502: it wants credentials, or others
  kUpstreamProxyTimeout,  // 504
  kPac,                   // 502: the script could not be fetched, or did not say where to
  kUpstreamTls,           // 502: handshake failed
  kCertificate,           // 502: not trusted
  kClientCertificate,     // 502: it wants a client certificate
  kUpstreamTlsTimeout,    // 504
  kUpstreamClosed,        // 502: ended before an answer
  kFirstByteTimeout,      // 504
  kBadAnswer,             // 502: malformed or ambiguous answer
  kAnswerTooLarge,        // 502: head over the limit
  kBodyCut,               // 502 if nothing was sent yet: fewer octets than announced
  kIdleTimeout,           // 504
  kOverloaded,            // 503: Sluice holds too much for slow receivers
  kClientAborted,         // no page: nobody is there
  kClientTls,             // no page: the handshake with the client failed
  kDropped,               // no page: a rule
  kRule,                  // 500: a rule could not be carried out
  kShutdown,              // 503: draining
};

// What whoever runs Sluice, or an agent, can change while the client stays connected.
bool is_about_tls_settings(FailureKind kind);

// "connect_refused"; the code in records and in the page's Sluice-Error field.
std::string_view code_of(FailureKind kind);
int status_of(FailureKind kind);  // 0: no page
flow::Phase phase_of(FailureKind kind);

struct Reply {
  http::ResponseHead head;  // Content-Length, Content-Type, Sluice-Error, Connection: close unless keeps_connection
  std::string body;         // empty for HEAD
};

struct ReplyRequest {
  FailureKind kind = FailureKind::kBadRequest;
  std::string_view message;      // one sentence
  std::string_view method, url;  // may be empty
  bool wants_html = false;
  bool keeps_connection = false;  // the client's: another request may follow
};
Reply error_reply(const ReplyRequest& request);

// For text that came from a peer and goes into HTML.
std::string html_escape(std::string_view text);

}  // namespace sluice::proxy
