// GET of a proxy script: over HTTP/1.1 or HTTPS, directly, through the ordinary dial guard; certificates always
// verified. Redirects are followed to http and https, from https never to http. RFC 9110 §9.3.1, §15.4.
#pragma once

#include <string>

#include "base/limits.h"
#include "base/url.h"
#include "net/deadlines.h"
#include "net/readiness.h"
#include "proxy/pac.h"

namespace sluice::proxy {

// What a fetch runs on: all of one thread. Deadlines must be ticked while it runs.
struct PacFetchDeps {
  const PacDeps& deps;
  net::Readiness& readiness;
  net::Deadlines& deadlines;
  std::string grant = {};  // whose script it is; empty: nobody's
};

// The body of a 200 answer, of at most pac::kMostScript octets. Errors are clauses that go on after "the proxy script":
// "could not be fetched: …".
net::Task<Result<std::string>> fetch_pac(PacFetchDeps around, Url url, MonoTime deadline, std::size_t redirects);

// Where a redirect from `base` leads (RFC 3986 §5.2, without its dots). kInvalid: nowhere that a script may come from.
Result<Url> redirect_target(const Url& base, std::string_view location);

}  // namespace sluice::proxy
