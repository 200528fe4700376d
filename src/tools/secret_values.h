// From a mask to its handle, and from a handle to its value (secret_handles.h): what of an exchange is secret is found
// by masking its own octets again. So a handle can only ever mean what its own origin sent or was sent.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "analysis/variables.h"
#include "capture/capture.h"
#include "proxy/sender.h"
#include "session/session.h"
#include "tools/secret_handles.h"
#include "tools/tool.h"

namespace sluice::tools {

// An exchange that the ring or a recording has, and its secrets by the digits of their masks. One thread; `services`
// outlives it.
class ExchangeSecrets {
 public:
  // Looks into heads first, then into bodies, then into the messages that they are made of; `budget`: octets of bodies
  // that may be read, of which what is read, and what it decodes to, is taken off. nullopt: the value is not there,
  // means two things, or is too short or too long to be found again in an answer.
  std::optional<std::string> find(const std::string& mark, ByteCount& budget, const std::stop_token& stop);
  Origin origin() const { return origin_of(exchange_); }

 private:
  friend class SecretSource;
  ExchangeSecrets(Services& services, flow::Exchange exchange, std::shared_ptr<const capture::BodySource> bodies)
      : services_(services), exchange_(std::move(exchange)), bodies_(std::move(bodies)) {}
  const std::string* known(const std::string& mark) const;
  void read_heads();
  void read_body(flow::Direction direction, ByteCount& budget, const std::stop_token& stop);
  void read_messages(ByteCount& budget, const std::stop_token& stop);
  void note(std::string_view mask, std::string_view value);
  // A rule may have had somebody else answer.
  bool answered_by_origin() const { return exchange_.rule_ids.empty(); }

  Services& services_;
  flow::Exchange exchange_;
  std::shared_ptr<const capture::BodySource> bodies_;
  std::map<std::string, std::optional<std::string>> values_;  // nullopt: two values have this mark
  int read_ = 0;                                              // heads, request body, response body, messages
};

// Where exchanges are looked up: the ring, or one recording, opened once. One thread.
class SecretSource {
 public:
  // `session` empty: the ring.
  SecretSource(Services& services, const std::string& session);
  // nullopt: there is no such exchange (any more), or not one of HTTP.
  std::optional<ExchangeSecrets> load(const std::string& exchange) const;

 private:
  Services& services_;
  std::shared_ptr<session::Reader> reader_;
  bool is_ring_;
};

// The digits of a mask: "[redacted:KIND:digits]".
std::string mark_of(std::string_view mask);

// Fills handles into what a caller gives for one request, and sees to where that goes. One thread.
class SecretFiller {
 public:
  explicit SecretFiller(const CallContext& context) : context_(context) {}

  // Adds values to `variables`, and says where in `text` they belong: for analysis::substitute(). A handle that means
  // nothing to this caller is an error that says what to do. Nothing where the policy has no handles.
  Result<std::vector<analysis::Stretch>> find(std::string_view text, analysis::Variables& variables);
  // Of the request that was made with them: kRefused where it goes elsewhere; else bound to its origin.
  Status bind(proxy::SendRequest& request);

 private:
  Result<std::string> value_of(std::string_view handle);

  const CallContext& context_;
  std::optional<Origin> origin_;  // of the handles that were found
  analysis::Variables values_;    // ... and what they stand for
};

// kRefused where a field that takes no handles holds one: it would be sent, or looked for, as the text that it is.
Status check_handles(const Tool& tool, const Json& arguments);

}  // namespace sluice::tools
