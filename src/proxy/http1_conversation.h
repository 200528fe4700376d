// Private to Http1Server: one exchange on the wire, from the first octet of its request to the last of its answer.
#pragma once

#include <optional>

#include "net/deadlines.h"
#include "proxy/duplex.h"
#include "proxy/http1_server.h"
#include "proxy/relay.h"
#include "proxy/worker.h"

namespace sluice::proxy {

// While the origin thinks nobody reads the client: this notices a reset without an Asio wait for each request.
class ClientWatch final : net::Deadlines::Node {
 public:
  ClientWatch(net::Deadlines& deadlines, net::Stream& client, Duplex& duplex)
      : Node(deadlines), deadlines_(deadlines), client_(client), duplex_(duplex) {
    set_deadline(deadlines_.in(kLook));
  }

 private:
  static constexpr std::chrono::seconds kLook{1};  // how often

  void on_deadline() override {
    if (client_.is_dead())
      duplex_.client_failed();
    else
      set_deadline(deadlines_.in(kLook));
  }
  net::Deadlines& deadlines_;
  net::Stream& client_;
  Duplex& duplex_;
};

struct Http1Server::Conversation {
  Conversation(Http1Server& server, Exchange& exchange_, UpstreamConnection& upstream_, bool repeatable_)
      : exchange(exchange_),
        upstream(upstream_),
        repeatable(repeatable_),
        duplex(server.worker_.deadlines(), server.worker_.limits().timeouts, server.client_, *upstream_.stream),
        to_origin(server.worker_.sink(), *upstream_.stream),
        to_client(server.worker_.sink(), server.client_) {
    watch.emplace(server.worker_.deadlines(), server.client_, duplex);
  }

  Exchange& exchange;
  UpstreamConnection& upstream;
  const bool repeatable;    // the request, as far as its meaning goes; not on a connection that is new
  bool resendable = false;  // all of it is at hand, for a proxy that wants to know who we are
  Duplex duplex;
  Outbox to_origin, to_client;
  std::optional<ClientWatch> watch;
  Exchange::ResponsePlan plan;
  Complaint complaint;  // after Answer::kBad
  Bytes fed;            // the answer's octets that were read last
  std::string kept;     // ... where they must outlive a wait
  MonoTime read_at{};   // when, before the final head
  int interim = 0;
  bool in_body = false;      // the final head was taken
  bool bad_request = false;  // what is at hand of its body cannot be read
};

}  // namespace sluice::proxy
