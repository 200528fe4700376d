#include "tools/traffic_loader.h"

#include <algorithm>
#include <chrono>
#include <thread>

namespace sluice::tools {
namespace {

constexpr std::uint64_t kOwnNumbers = std::uint64_t{1} << 41;  // connections of traffic are counted from 1
constexpr std::uint64_t kMostDiskMb = 16 * 1024;               // of what is read, until it is in the ring
constexpr ByteCount kAhead = 2 * kMiB;                         // of what the ring has not taken in
constexpr ByteCount kExchangeCost = 2 * kKiB;                  // a thousand exchanges without bodies count, too
constexpr ByteCount kBodyPiece = 4 * kMiB;
constexpr std::size_t kMessagesAtOnce = 500;
constexpr std::chrono::milliseconds kPause{1};
constexpr int kMostPauses = 2'000;  // a disk that does not answer holds nobody up: bodies are cut then

std::string body_of(const session::Reader& reader, const std::string& id, flow::Direction direction) {
  std::string all;
  for (;;) {
    const auto slice = reader.read_body(id, direction, all.size(), kBodyPiece);
    if (!slice || slice->octets.empty()) return all;
    all += slice->octets;
  }
}

std::vector<flow::LoadedMessage> messages_of(const session::Reader& reader, const std::string& id) {
  std::vector<flow::LoadedMessage> all;
  for (;;) {
    const auto page = reader.messages(id, static_cast<std::int64_t>(all.size()), kMessagesAtOnce, UINT64_MAX);
    if (!page || page->messages.empty()) return all;
    for (const capture::Message& message : page->messages) {
      all.push_back({message.direction, message.opcode, message.complete, message.at, message.octets});
    }
  }
}

}  // namespace

Result<ImportSummary> TrafficLoader::load(const File& file, session::Store& sessions, Mode mode,
                                          const ImportReading& reading,
                                          const std::function<bool(std::string_view, std::uint16_t)>& wanted) {
  const std::lock_guard one_at_a_time(mutex_);
  SLUICE_TRY(const auto import, sessions.begin_import({.name = "loading", .max_disk_mb = kMostDiskMb}));
  const TakeLoaded take = [&](flow::Loaded&& loaded) -> Result<bool> {
    if (wanted && !wanted(loaded.exchange.host, loaded.exchange.port)) return false;
    flow::emit(loaded, import->sink());
    SLUICE_CHECK(import->check());
    return true;
  };
  SLUICE_TRY(const ImportSummary summary, read_traffic_file(file, reading, take));
  SLUICE_TRY(const auto reader, import->read());
  // From here on nothing can fail but the disk.
  ring_.sync();
  if (mode == Mode::kReplace) (void)ring_.clear();
  SLUICE_CHECK(emit_all(*reader));
  ring_.sync();
  return summary;
}

Status TrafficLoader::emit_all(const session::Reader& reader) {
  session::Query in_order;
  in_order.ascending = true;
  return reader.visit(in_order, 0, UINT64_MAX, [&](const session::Row& row) {
    if (auto exchange = reader.exchange(row)) {
      const flow::Loaded loaded = loaded_of(reader, *std::move(exchange));
      flow::emit(loaded, sink_);
      keep_pace(loaded.request_body.size() + loaded.response_body.size());
    }
    return true;
  });
}

flow::Loaded TrafficLoader::loaded_of(const session::Reader& reader, flow::Exchange exchange) {
  flow::Loaded loaded;
  if (exchange.protocol == flow::Protocol::kWebSocket) {
    loaded.messages = messages_of(reader, exchange.id);
  } else {
    loaded.request_body = body_of(reader, exchange.id, flow::Direction::kRequest);
    loaded.response_body = body_of(reader, exchange.id, flow::Direction::kResponse);
    loaded.request_missing =
        exchange.request.body.size - std::min(exchange.request.body.size, loaded.request_body.size());
    loaded.response_missing =
        exchange.response.body.size - std::min(exchange.response.body.size, loaded.response_body.size());
  }
  if (exchange.connection) {
    auto own = std::make_shared<flow::Connection>(*exchange.connection);
    own->id = ConnectionId{kOwnNumbers + ++connections_};
    own->source = flow::Source::kExplicit;  // nothing that Sluice sent itself
    exchange.connection = std::move(own);
  }
  if (exchange.upstream) {
    auto own = std::make_shared<flow::Upstream>(*exchange.upstream);
    own->id = kOwnNumbers + ++connections_;
    exchange.upstream = std::move(own);
  }
  loaded.exchange = std::move(exchange);
  return loaded;
}

// The ring's room for what waits is small: what comes faster than the disk takes it would be cut.
void TrafficLoader::keep_pace(ByteCount octets) {
  emitted_ += octets + kExchangeCost;
  if (emitted_ < kAhead) return;
  emitted_ = 0;
  ring_.sync();
  for (int i = 0; i < kMostPauses && ring_.counters().unwritten_bytes > kAhead; ++i)
    std::this_thread::sleep_for(kPause);
}

}  // namespace sluice::tools
