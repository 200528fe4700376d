// What readers make of an Entry: a filter's verdict, or a whole Exchange.
#include "base/text.h"
#include "capture/needle.h"
#include "capture/ring_index.h"

namespace sluice::capture {
namespace {

constexpr unsigned bit_of(flow::State state) { return 1u << static_cast<unsigned>(state); }

unsigned states_of(const Filter& filter) {
  unsigned states = 0;
  for (const flow::State state : filter.states) states |= bit_of(state);
  if (states != 0) return states;
  return filter.after_rev ? ~0u : ~bit_of(flow::State::kOpen);
}

void fill_body(flow::BodyInfo& info, const StoredBody& body, std::uint32_t first_segment) {
  info.size = body.size;
  info.stored = body.gone(first_segment) ? 0 : body.stored;
  info.complete = info.stored == info.size;
  info.ended = body.ended;
}

std::string joined(const Entry& entry, RecordType type) {
  std::string all;
  entry.records.for_each(type, [&](Bytes payload) { all += payload; });
  return all;
}

}  // namespace

FilterMatcher::FilterMatcher(const Filter& filter)
    : filter_(filter),
      states_(states_of(filter)),
      reads_opened_(!filter.method.empty() || !filter.url_contains.empty() || !filter.host_contains.empty() ||
                    filter.host_passes),
      url_needle_(filter.url_contains),
      host_needle_(filter.host_contains) {}

bool FilterMatcher::passes_all_ended() const {
  return (states_ | bit_of(flow::State::kOpen)) == ~0u && !filter_.status && !filter_.source && !reads_opened_;
}

bool FilterMatcher::passes(const Entry& entry) {
  if ((states_ & bit_of(entry.state)) == 0) return false;
  if (filter_.status && entry.status != *filter_.status) return false;
  if (filter_.source && (!entry.connection || entry.connection->fact->source != *filter_.source)) return false;
  if (!reads_opened_) return true;
  const auto opened = parse_opened(entry.records.find(RecordType::kOpened));
  if (!opened) return false;
  if (!filter_.method.empty() && !iequals(opened->method, filter_.method)) return false;
  if (!filter_.host_contains.empty() && !host_needle_.is_in(opened->host)) return false;
  if (filter_.host_passes && !filter_.host_passes(opened->host, opened->port)) return false;
  if (filter_.url_contains.empty()) return true;
  url_.clear();
  flow::append_url(url_, opened->scheme, opened->host, opened->port, opened->target);
  if (!url_needle_.is_in(url_)) return false;
  if (!filter_.mask_url) return true;
  filter_.mask_url(url_);  // takes its time: only where there is something to hide
  return url_needle_.is_in(url_);
}

Bytes shown_response_head(const Entry& entry) {
  const auto responded = parse_responded(entry.records.find(RecordType::kResponded));
  if (!responded) return {};
  return responded->effective.empty() ? responded->head : responded->effective;
}

flow::Exchange make_exchange(const Entry& entry, std::uint32_t first_segment) {
  flow::Exchange exchange;
  exchange.id = id_text(entry.uuid);
  exchange.seq = ExchangeSeq{entry.seq};
  exchange.rev = entry.rev;
  exchange.state = entry.state;
  exchange.protocol = entry.protocol;
  exchange.status = entry.status;
  fill(exchange, parse_opened(entry.records.find(RecordType::kOpened)));
  exchange.request.effective = entry.records.find(RecordType::kRequestSent);
  exchange.request.trailers = joined(entry, RecordType::kRequestTrailers);
  fill_body(exchange.request.body, entry.request, first_segment);
  fill(exchange, parse_responded(entry.records.find(RecordType::kResponded)));
  exchange.response.trailers = joined(entry, RecordType::kResponseTrailers);
  fill_body(exchange.response.body, entry.response, first_segment);
  if (entry.connection) exchange.connection = entry.connection->fact;
  if (entry.upstream) exchange.upstream = entry.upstream->fact;
  if (entry.state != flow::State::kOpen) fill(exchange, parse_ended(entry.records.find(RecordType::kEnded)));
  exchange.anomalies = entry.anomalies;
  return exchange;
}

}  // namespace sluice::capture
