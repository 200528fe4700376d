#include "gateway/many_backend.h"

#include <algorithm>
#include <boost/asio/post.hpp>
#include <utility>

#include "gateway/era_bridge.h"

namespace sluice::gateway {

namespace asio = boost::asio;

Result<std::shared_ptr<ManyBackend>> ManyBackend::create(Options options, const std::vector<Server>& servers,
                                                         const Caller& caller, ClientEra era, Events events) {
  std::shared_ptr<ManyBackend> made(new ManyBackend(std::move(options), caller, std::move(events)));
  SLUICE_CHECK(made->open(servers, era));
  return made;
}

Status ManyBackend::open(const std::vector<Server>& servers, ClientEra era) {
  const std::weak_ptr<ManyBackend> weak = weak_from_this();
  Switchboard::Deps deps{options_.clock, options_.version, {}, {}, {}};
  deps.malformed = [weak] {
    const auto self = weak.lock();
    if (self && self->lanes_.front().relay) self->lanes_.front().relay->count_malformed();
  };
  deps.unknown = [weak] {
    const auto self = weak.lock();
    if (self && self->lanes_.front().relay) self->lanes_.front().relay->count_unknown();
  };
  deps.to_client = [weak](ToClient out) {
    if (const auto self = weak.lock()) self->events_.to_client(std::move(out));
  };
  deps.notice = [weak](std::string_view name, std::string_view text) {
    const auto self = weak.lock();
    if (!self) return;
    for (const Lane& lane : self->lanes_) {
      if (lane.name == name) lane.notice(text);
    }
  };
  deps.let_go = [weak](Number number) {
    if (const auto self = weak.lock()) self->later(number, &ManyBackend::let_go);
  };
  board_ = Switchboard::create(std::move(deps));
  std::vector<const RelayFactory*> factories;
  for (const Server& server : servers) {
    if (!server.admits(caller_)) continue;
    (void)board_->add(server.name);
    lanes_.push_back({server.name, server.factory.notice, nullptr, nullptr});
    factories.push_back(&server.factory);
  }
  if (lanes_.empty()) return fail(Code::kRefused, "This grant is for none of these servers.");
  for (Number number = 0; number < lanes_.size(); ++number) {
    const Status connected = connect(number, *factories[number], era);
    if (!connected) ended(number, connected.error().message);
  }
  return {};
}

Status ManyBackend::connect(Number number, const RelayFactory& factory, ClientEra era) {
  const std::weak_ptr<ManyBackend> weak = weak_from_this();
  Lane& lane = lanes_[number];
  lane.relay = factory.make_relay(
      caller_, era,
      [weak, number](ToClient out) {
        if (const auto self = weak.lock()) self->board_->from_lane(number, std::move(out));
      },
      [weak, number](std::string text) {
        if (const auto self = weak.lock()) self->send(number, std::move(text));
      });
  lane.relay->set_prefix(lane.name + "__");
  UpstreamEvents events = events_of(lane.relay, factory.notice);
  events.drained = [weak] {
    const auto self = weak.lock();
    if (self && self->options_.drained) self->options_.drained();
  };
  events.ended = [weak, number] {
    if (const auto self = weak.lock()) self->ended(number, "has ended; its tools are gone");
  };
  events.session_lost = [weak, number, told = events.session_lost] {
    told();
    // What waited is told first.
    if (const auto self = weak.lock()) self->later(number, &ManyBackend::reset);
  };
  SLUICE_TRY(lane.upstream, factory.connect(caller_, era, std::move(events)));
  board_->connect(number, lane.relay);
  return {};
}

void ManyBackend::later(Number number, void (ManyBackend::*then)(Number)) {
  asio::post(options_.control, [weak = weak_from_this(), number, then] {
    const auto self = weak.lock();
    if (self && !self->closed_) (self.get()->*then)(number);
  });
}

void ManyBackend::send(Number number, std::string text) {
  const Lane& lane = lanes_[number];
  if (!lane.upstream || lane.leaving) return;
  lane.upstream->send(std::move(text));
  const ByteCount pending = lane.upstream->pending();
  if (options_.full && pending > StdioTransport::kMaxPending) options_.full();
  if (!options_.full && pending > kMaxUnread) later(number, &ManyBackend::choke);
}

void ManyBackend::ended(Number number, std::string_view why) {
  Lane& lane = lanes_[number];
  if (closed_ || lane.leaving) return;
  lane.notice(why);
  worn_ = true;
  if (lane.relay) lane.relay->server_ended();
  board_->lane_ended(number);
  let_go(number);
}

void ManyBackend::let_go(Number number) {
  Lane& lane = lanes_[number];
  worn_ = true;
  if (lane.leaving || !lane.upstream) return;
  lane.leaving = true;
  if (options_.drained) options_.drained();  // what waited for this one alone waits for nothing any more
  lane.relay->close();
  ++leaving_;
  lane.upstream->close([self = shared_from_this()] {
    if (--self->leaving_ > 0 || !self->closed_) return;
    if (const auto gone = std::exchange(self->gone_, nullptr)) gone();
  });
}

void ManyBackend::close(std::function<void()> gone) {
  if (closed_) return;
  closed_ = true;
  board_->close();
  gone_ = std::move(gone);
  ++leaving_;  // until all have been told
  for (Number number = 0; number < lanes_.size(); ++number) let_go(number);
  if (--leaving_ > 0) return;
  if (const auto all_gone = std::exchange(gone_, nullptr)) all_gone();
}

std::shared_ptr<const UpstreamTool> ManyBackend::tool(std::string_view name) const {
  for (const Lane& lane : lanes_) {
    const std::string before = lane.name + "__";
    if (lane.relay && name.starts_with(before)) return lane.relay->tool(name.substr(before.size()));
  }
  return nullptr;
}

void ManyBackend::set_caller(Caller caller) {
  caller_ = std::move(caller);
  for (const Lane& lane : lanes_) {
    if (lane.relay) lane.relay->set_caller(caller_);
  }
}

ByteCount ManyBackend::unread() const {
  ByteCount most = 0;
  for (const Lane& lane : lanes_) {
    if (lane.upstream && !lane.leaving) most = std::max(most, lane.upstream->pending());
  }
  return most;
}

void ManyBackend::tick() {
  for (const Lane& lane : lanes_) {
    if (lane.relay) lane.relay->tick();
  }
  board_->tick();
}

void ManyBackend::look_again() {
  for (const Lane& lane : lanes_) {
    if (lane.relay) lane.relay->look_again();
  }
}

void ManyBackend::hold_reading(bool hold) {
  for (const Lane& lane : lanes_) {
    if (lane.upstream && !lane.leaving) lane.upstream->hold_reading(hold);
  }
}

}  // namespace sluice::gateway
