#include <condition_variable>
#include <mutex>

#include "capture/body_reader.h"
#include "capture/capture.h"
#include "capture/chunk_pool.h"
#include "capture/intake.h"
#include "capture/message_reader.h"
#include "capture/ring_index.h"
#include "capture/spool.h"
#include "capture/worker_sink.h"

namespace sluice::capture {
namespace {

constexpr std::chrono::milliseconds kHurry{1};
constexpr std::chrono::seconds kSyncWait{2};
constexpr std::chrono::seconds kTrimEvery{1};
// Exchanges copied for a visitor under one lock.
constexpr std::size_t kVisitedAtOnce = 64;
constexpr const char* kNoExchange = "There is no such exchange.";

}  // namespace

std::string Glance::id() const {
  Uuid uuid{};
  raw_id.copy(uuid.data(), uuid.size());
  return id_text(uuid);
}

struct Ring::Impl {
  Impl(Options given, FileSystem& files, const Clock& the_clock, Entropy& entropy)
      : options(std::move(given)),
        clock(the_clock),
        pool(options.limits.in_flight, options.limits.chunk),
        spool(files, entropy, pool, options.spool_directory, options.limits.spool_disk),
        intake(options.limits, clock, entropy, spool, index, index_mutex) {
    for (std::size_t i = 0; i < options.workers; ++i) {
      sinks.push_back(std::make_unique<WorkerSink>(pool, shared, options.queue));
    }
  }

  std::size_t pump();
  void trim_now_and_then();

  Options options;
  const Clock& clock;
  SharedCounters shared;
  ChunkPool pool;
  std::vector<std::unique_ptr<WorkerSink>> sinks;
  Spool spool;
  mutable std::mutex index_mutex;
  RingIndex index;

  std::mutex pump_mutex;  // one pump at a time
  Intake intake;
  std::optional<MonoTime> trimmed;

  std::mutex round_mutex;  // rounds of the pump: started, done, wanted by readers
  std::condition_variable round_wanted, round_done;
  std::uint64_t started = 0, done = 0, wanted = 0;
  bool threaded = false;
  std::function<void()> on_change;
};

Ring::Ring(Options options, FileSystem& files, const Clock& clock, Entropy& entropy)
    : impl_(std::make_unique<Impl>(std::move(options), files, clock, entropy)) {}
Ring::~Ring() = default;

Status Ring::open() { return impl_->spool.open(); }
flow::Sink& Ring::sink(std::size_t worker) { return *impl_->sinks.at(worker); }
void Ring::on_change(std::function<void()> callback) { impl_->on_change = std::move(callback); }

// ---- pumping ----

std::size_t Ring::pump() { return impl_->pump(); }

std::chrono::milliseconds Ring::pause() const {
  // A worker can fill a megabyte in a millisecond: an eighth of the chunks is the time to hurry.
  const std::size_t at_workers = impl_->pool.in_use() - std::min(impl_->pool.in_use(), impl_->spool.chunks_held());
  return at_workers * 8 > impl_->pool.size() ? kHurry : impl_->options.limits.flush;
}

std::size_t Ring::Impl::pump() {
  std::size_t handled = 0, published = 0;
  {
    const std::lock_guard one_at_a_time(pump_mutex);
    std::uint64_t round;
    {
      const std::lock_guard guard(round_mutex);
      round = ++started;
    }
    const std::uint64_t tickets = shared.tickets.load(std::memory_order_acquire);
    intake.handle_loss(clock.mono());
    for (const auto& sink : sinks) handled += intake.drain(*sink);
    intake.handle_loss(clock.mono());
    published = intake.publish(tickets);
    std::uint32_t first_wanted = 0;
    {
      const std::lock_guard guard(index_mutex);
      first_wanted = index.first_wanted_segment();
    }
    spool.drop_old(first_wanted);
    intake.end_round();
    trim_now_and_then();
    const std::lock_guard guard(round_mutex);
    done = round;
    round_done.notify_all();
  }
  if (published > 0 && on_change) on_change();
  return handled;
}

void Ring::Impl::trim_now_and_then() {
  const MonoTime now = clock.mono();
  if (trimmed && now - *trimmed < kTrimEvery) return;
  trimmed = now;
  pool.trim();
}

void Ring::wait(std::chrono::milliseconds at_most) {
  std::unique_lock lock(impl_->round_mutex);
  impl_->round_wanted.wait_for(lock, at_most, [this] { return impl_->wanted > impl_->started; });
}

void Ring::sync() {
  {
    std::unique_lock lock(impl_->round_mutex);
    if (impl_->threaded) {
      const std::uint64_t mine = impl_->started + 1;  // one that begins after now
      impl_->wanted = std::max(impl_->wanted, mine);
      impl_->round_wanted.notify_all();
      impl_->round_done.wait_for(lock, kSyncWait, [&] { return impl_->done >= mine || !impl_->threaded; });
      if (impl_->threaded) return;
    }
  }
  pump();
}

void Ring::set_pump_thread(bool running) {
  const std::lock_guard guard(impl_->round_mutex);
  impl_->threaded = running;
  impl_->round_done.notify_all();
}

void Ring::write_until_stopped() { impl_->spool.write_until_stopped(); }
void Ring::set_disk_thread(bool running) { impl_->spool.set_threaded(running); }

void Ring::hand_to(Tap* tap) {
  const std::lock_guard no_pump(impl_->pump_mutex);
  impl_->intake.set_tap(tap);
}

// ---- reading ----

Page Ring::list(const Filter& filter, std::int64_t offset, std::size_t limit) const {
  const std::uint32_t first_segment = impl_->spool.first_segment();
  const std::lock_guard guard(impl_->index_mutex);
  const auto selected = impl_->index.select(filter);
  Page page;
  page.total = selected.size();
  page.last_rev = impl_->index.last_rev();
  const auto total = static_cast<std::int64_t>(page.total);
  if (offset < 0) offset = std::max<std::int64_t>(offset, -total) + total;
  page.offset = static_cast<std::size_t>(std::min(offset, total));
  const std::size_t count = std::min(limit, page.total - page.offset);
  page.exchanges.reserve(count);
  for (std::size_t i = 0; i < count; ++i) {
    page.exchanges.push_back(make_exchange(*selected[page.offset + i], first_segment));
  }
  return page;
}

std::vector<flow::Exchange> Ring::newest(const Filter& filter, std::size_t limit) const {
  const std::uint32_t first_segment = impl_->spool.first_segment();
  const std::lock_guard guard(impl_->index_mutex);
  std::vector<flow::Exchange> exchanges;
  for (const Entry* const entry : impl_->index.newest(filter, limit)) {
    exchanges.push_back(make_exchange(*entry, first_segment));
  }
  return exchanges;
}

std::optional<flow::Exchange> Ring::find(std::string_view id) const {
  const auto uuid = parse_id(id);
  if (!uuid) return std::nullopt;
  const std::uint32_t first_segment = impl_->spool.first_segment();
  const std::lock_guard guard(impl_->index_mutex);
  const Entry* const entry = impl_->index.find(*uuid);
  if (!entry) return std::nullopt;
  return make_exchange(*entry, first_segment);
}

std::string Ring::id_of(ExchangeSeq seq) const {
  const std::lock_guard guard(impl_->index_mutex);
  const Entry* const entry = impl_->index.find_ended(seq.value);
  return entry ? id_text(entry->uuid) : "";
}

Result<BodySlice> Ring::read_body(std::string_view id, flow::Direction direction, ByteCount offset,
                                  ByteCount limit) const {
  const auto uuid = parse_id(id);
  BodySlice slice;
  slice.offset = offset;
  BodyPlaces places;
  bool gone = false;
  const std::uint32_t first_segment = impl_->spool.first_segment();
  {
    const std::lock_guard guard(impl_->index_mutex);
    const Entry* const entry = uuid ? impl_->index.find(*uuid) : nullptr;
    if (!entry) return fail(Code::kNotFound, kNoExchange);
    const StoredBody& body = direction == flow::Direction::kRequest ? entry->request : entry->response;
    gone = body.gone(first_segment);
    slice.size = body.size;
    slice.stored = body.stored;
    slice.complete = body.stored == body.size;
    places = find_places(*entry, direction, offset, limit);
  }
  BodyReader body(impl_->spool, std::move(places));
  const ByteCount readable = body.readable(offset, limit, first_segment);
  if (gone && readable == 0) {
    return fail(Code::kNotFound, "This body has left the spool, which keeps the newest traffic only.");
  }
  SLUICE_CHECK(body.read(offset, readable, slice.octets));
  return slice;
}

Result<MessagePage> Ring::messages(std::string_view id, std::int64_t offset, std::size_t limit,
                                   ByteCount payload) const {
  const auto uuid = parse_id(id);
  const auto entry_of = [&] { return uuid ? impl_->index.find(*uuid) : nullptr; };
  const std::uint32_t first_segment = impl_->spool.first_segment();
  MessagePlaces places;
  {
    const std::lock_guard guard(impl_->index_mutex);
    const Entry* const entry = entry_of();
    if (!entry) return fail(Code::kNotFound, kNoExchange);
    places = find_messages(*entry, offset, limit, first_segment);
  }
  MessagePage page = read_messages(impl_->spool, places, limit);
  BodyPlaces request, response;
  {
    const std::lock_guard guard(impl_->index_mutex);
    const Entry* const entry = entry_of();
    if (!entry) return fail(Code::kNotFound, kNoExchange);
    request = find_payloads(*entry, flow::Direction::kRequest, page);
    response = find_payloads(*entry, flow::Direction::kResponse, page);
  }
  BodyReader sent(impl_->spool, std::move(request)), received(impl_->spool, std::move(response));
  for (Message& message : page.messages) {
    BodyReader& body = message.direction == flow::Direction::kRequest ? sent : received;
    read_payload(message, body, first_segment, payload);
  }
  return page;
}

void Ring::for_each(const Filter& filter, const std::function<bool(const flow::Exchange&)>& visit) const {
  std::vector<Uuid> ids;
  {
    const std::lock_guard guard(impl_->index_mutex);
    for (const Entry* entry : impl_->index.select(filter)) ids.push_back(entry->uuid);
  }
  std::vector<flow::Exchange> some;
  for (std::size_t next = 0; next < ids.size();) {
    some.clear();
    const std::uint32_t first_segment = impl_->spool.first_segment();
    {
      const std::lock_guard guard(impl_->index_mutex);
      for (; next < ids.size() && some.size() < kVisitedAtOnce; ++next) {
        if (const Entry* const entry = impl_->index.find(ids[next]))
          some.push_back(make_exchange(*entry, first_segment));
      }
    }
    for (const flow::Exchange& exchange : some) {
      if (!visit(exchange)) return;
    }
  }
}

void Ring::glance(const Filter& filter, const std::function<bool(const Glance&)>& visit,
                  const std::function<bool(std::uint64_t rev)>& wanted) const {
  const std::uint32_t first_segment = impl_->spool.first_segment();
  std::string url;
  const std::lock_guard guard(impl_->index_mutex);
  for (const Entry* const entry : impl_->index.select(filter)) {
    if (wanted && !wanted(entry->rev)) continue;
    const auto opened = parse_opened(entry->records.find(RecordType::kOpened));
    if (!opened) continue;
    url.clear();
    flow::append_url(url, opened->scheme, opened->host, opened->port, opened->target);
    Glance glance;
    glance.raw_id = Bytes(entry->uuid.data(), entry->uuid.size());
    glance.rev = entry->rev;
    glance.state = entry->state;
    glance.anomalies = entry->anomalies;
    glance.url = url;
    glance.host = opened->host;
    if (entry->connection && entry->connection->fact->tls) glance.client_tls = entry->connection->fact->tls.get();
    glance.request_head = opened->head;
    glance.response_head = shown_response_head(*entry);
    glance.request_trailers = entry->records.find(RecordType::kRequestTrailers);
    glance.response_trailers = entry->records.find(RecordType::kResponseTrailers);
    glance.request_stored = entry->request.gone(first_segment) ? 0 : entry->request.stored;
    glance.response_stored = entry->response.gone(first_segment) ? 0 : entry->response.stored;
    if (!visit(glance)) return;
  }
}

std::size_t Ring::size() const {
  const std::lock_guard guard(impl_->index_mutex);
  return impl_->index.ended();
}

std::size_t Ring::clear() {
  impl_->spool.rotate_soon();  // what was cleared leaves the disk with the next pump
  const std::lock_guard guard(impl_->index_mutex);
  return impl_->index.clear();
}

std::uint64_t Ring::last_rev() const {
  const std::lock_guard guard(impl_->index_mutex);
  return impl_->index.last_rev();
}

Counters Ring::counters() const {
  Counters counters;
  counters.exchanges = impl_->shared.opened.load(std::memory_order_relaxed);
  for (const auto& sink : impl_->sinks) counters.records_lost += sink->records_lost();
  counters.spool_bytes = impl_->spool.bytes();
  counters.unwritten_bytes = impl_->spool.chunks_held() * impl_->pool.chunk_size();
  counters.write_errors = impl_->spool.write_errors();
  counters.last_error = impl_->spool.last_error();
  const std::lock_guard guard(impl_->index_mutex);
  counters.bodies_cut = impl_->intake.bodies_cut();
  counters.bytes_cut = impl_->intake.bytes_cut();
  counters.evicted = impl_->intake.evicted();
  counters.memory_bytes = impl_->index.memory();
  return counters;
}

}  // namespace sluice::capture
