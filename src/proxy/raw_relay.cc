#include "proxy/raw_relay.h"

#include <boost/asio/this_coro.hpp>
#include <exception>

#include "proxy/duplex.h"
#include "proxy/relay.h"
#include "proxy/worker.h"

namespace sluice::proxy {
namespace {

struct Way {
  net::Stream& from;
  net::Stream& to;
  flow::Direction direction;
};

net::Task<Status> relay_one(Way way, Worker& worker, Duplex& duplex,
                            const std::function<void(flow::Direction, Bytes)>& record) {
  Outbox out(worker.sink(), way.to);
  while (!duplex.stopping()) {
    const MutableBytes space = worker.sink().read_space(worker.limits().read_size);
    const tls::IoResult got = way.from.read(space);
    if (got.status == tls::IoStatus::kEof || got.status == tls::IoStatus::kTruncated) {
      way.to.close_write();
      co_return Status{};
    }
    if (got.status == tls::IoStatus::kError) co_return fail(Code::kClosed, way.from.error_text());
    duplex.arm();
    if (got.status == tls::IoStatus::kOk) {
      const Bytes octets(space.data(), got.count);
      record(way.direction, octets);
      out.add_view(octets);
      if (!out.try_send()) {
        if (Status sent = co_await out.send_rest(&duplex); !sent) co_return sent;
      }
      continue;
    }
    const Status ready = co_await wait_for_more(way.from);
    if (!ready && ready.error().code == Code::kTimeout && duplex.still_active()) continue;
    if (!ready) co_return ready;
  }
  co_return Status{};
}

}  // namespace

net::Task<Status> relay_raw(net::Stream& client, net::Stream& upstream, Worker& worker,
                            std::function<void(flow::Direction, Bytes)> record) {
  Duplex duplex(worker.deadlines(), worker.limits().timeouts, client, upstream);
  duplex.answering = true;
  Status result;  // the first failure; what it ends is no cause
  const auto relay = [&](Way way) -> net::Task<void> {
    Status relayed = co_await relay_one(way, worker, duplex, record);
    if (relayed) co_return;
    if (result) result = std::move(relayed);
    duplex.stop();
  };
  duplex.spawn(co_await net::asio::this_coro::executor, relay({client, upstream, flow::Direction::kRequest}),
               worker.shared().on_bug);
  std::exception_ptr bug;
  try {
    co_await relay({upstream, client, flow::Direction::kResponse});
  } catch (...) {
    bug = std::current_exception();
    duplex.stop();
  }
  co_await duplex.join();
  if (!result || bug || duplex.send_failed) {
    client.reset();
    upstream.reset();
  }
  if (bug) std::rethrow_exception(bug);
  co_return result;
}

}  // namespace sluice::proxy
