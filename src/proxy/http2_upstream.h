// One HTTP/2 connection to an origin that all exchanges of its route share, and a worker's set of them.
// RFC 9113 §5.1.2 (concurrency), §6.8 (GOAWAY); engine.md 4, 7. One worker thread.
#pragma once

#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "proxy/http2_link.h"
#include "proxy/pool.h"
#include "proxy/upstream.h"

namespace sluice::proxy {

class Http2Upstream final : private Http2Link, public std::enable_shared_from_this<Http2Upstream> {
 public:
  // Takes the connection and runs it on the worker until it is over. The set knows it from then on.
  // `upgrade`: the connection comes out of an Upgrade, and stream 1 has its request; null for others.
  static std::shared_ptr<Http2Upstream> start(Worker& worker, UpstreamConnectionPtr connection,
                                              net::asio::any_io_executor executor,
                                              const Http2Upgrade* upgrade = nullptr);
  Http2Upstream(Worker& worker, UpstreamConnectionPtr connection, net::asio::any_io_executor executor);

  // One more stream may be opened now.
  bool takes_more() const;
  // It has streams, and how many more it takes is not known yet: wait_settings() before the next.
  bool is_unsure() const { return !has_settings_ && !leaving_ && !is_over() && streams() > 0; }
  std::unique_ptr<OriginEnd> open();
  std::unique_ptr<OriginEnd> open_upgraded();  // stream 1 after an upgrade; once
  // Until the origin's SETTINGS have come, or the connection is over.
  net::Task<void> wait_settings(MonoTime deadline);
  bool takes_extended_connect() { return session().peer_takes_extended_connect(); }
  const flow::UpstreamPtr& info() const { return connection_->info; }
  const std::string& route_key() const { return connection_->route_key; }
  bool is_idle_since(MonoTime at) const { return streams() == 0 && used_ < at; }
  void stop() { Http2Link::stop(); }

 private:
  friend class Http2Origin;
  void on_head(http2::HeadRead head) override;
  void on_malformed(http2::Malformed malformed) override;
  void on_go_away(const http2::GoAwayRead& go_away) override;
  void on_settings() override;
  void tell_of_settings();
  EndFailure end_of_connection() const override;
  bool on_idle() override { return streams() > 0; }  // each has deadlines of its own; a WebSocket's are long
  net::Task<void> live();
  void remember_resumption();

  UpstreamConnectionPtr connection_;
  std::vector<net::Signal*> awaiting_settings_;  // each client has its own
  Http2StreamPtr first_;                         // after an upgrade, until open_upgraded()
  MonoTime used_;
  bool leaving_ = false, has_settings_ = false;
};
using Http2UpstreamPtr = std::shared_ptr<Http2Upstream>;

class Http2Upstreams;

// A connection that may speak HTTP/2, while it is made: other requests of its route wait for it instead of making more.
class Http2Dial {
 public:
  // Whoever makes the connection holds this until it is known to the set, or will not be.
  class Mine {
   public:
    Mine(Http2Upstreams& upstreams, std::string route_key);
    ~Mine();
    Mine(const Mine&) = delete;
    Mine& operator=(const Mine&) = delete;
    void fail(const ConnectFailure& why) { dial_->failure = why; }

   private:
    Http2Upstreams& upstreams_;
    const std::string route_key_;
    std::shared_ptr<Http2Dial> dial_;
  };

  // Until it is over. False: not before the deadline.
  net::Task<bool> wait(net::Deadlines& deadlines, MonoTime deadline);
  std::optional<ConnectFailure> failure;

 private:
  std::vector<net::Signal*> waiting_;
  bool over_ = false;
};

// The running ones of one worker, by route.
class Http2Upstreams {
 public:
  // That takes one more stream, or null. `but`: not this one.
  Http2UpstreamPtr find(const std::string& route_key, const flow::Upstream* but = nullptr) const;
  std::shared_ptr<Http2Dial> find_dial(const std::string& route_key) const;
  bool has(const std::string& route_key) const { return find(route_key) != nullptr; }
  void add(Http2UpstreamPtr upstream);
  void remove(const Http2Upstream* upstream);
  void expire(MonoTime idle_since);
  void stop();

  bool empty() const { return by_route_.empty(); }

 private:
  friend class Http2Dial::Mine;
  std::unordered_map<std::string, std::vector<Http2UpstreamPtr>> by_route_;
  std::unordered_map<std::string, std::shared_ptr<Http2Dial>> dials_;
};

}  // namespace sluice::proxy
