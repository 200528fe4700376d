#include "analysis/filtered.h"

#include <algorithm>
#include <array>
#include <optional>

#include "analysis/body.h"
#include "analysis/messages.h"

namespace sluice::analysis {
namespace {

using flow::Direction;

constexpr std::size_t kProgressEvery = 64;
constexpr std::size_t kMessagesAtOnce = 1'000;

tl::unexpected<Error> cancelled() { return fail(Code::kCancelled, "The call was cancelled."); }

// What is shown of one exchange's bodies; each is read once, however many terms ask.
class RingBodies : public FilterBodies {
 public:
  RingBodies(const capture::BodySource& ring, const flow::Exchange& exchange, const FilterReading& reading)
      : ring_(ring), exchange_(exchange), reading_(reading) {}

  Result<bool> hold(Direction direction, const TextPattern& pattern) override {
    if (exchange_.protocol == flow::Protocol::kWebSocket) return any_message(direction, pattern);
    Body& body = bodies_[static_cast<std::size_t>(direction)];
    if (!body.raw) SLUICE_CHECK(read(body, direction));
    // A word that is shown is there raw; the other patterns could tell from what is masked.
    if (!reading_.redactor || pattern.is_literal()) {
      const bool found = pattern.is_in(*body.raw);
      if (!found || !reading_.redactor) return found;
    }
    if (!body.shown) body.shown = mask(body, direction);
    return pattern.is_in(*body.shown);
  }

 private:
  struct Body {
    std::optional<std::string> raw, shown;
    bool cut = false;
  };

  Status read(Body& body, Direction direction) const {
    const auto coding = flow::parse_fields(shown_head(exchange_, direction)).joined("content-encoding");
    BodyStream stream(ring_, exchange_.id, direction, coding.value_or(""), {.budget = reading_.body_budget});
    std::string text;
    bool ended = false;
    while (!ended && text.size() < reading_.body_budget) {
      if (reading_.stop.stop_requested()) return cancelled();
      const auto piece = stream.next();
      ended = !piece || piece->empty();
      if (!ended) text.append(*piece);
    }
    body.cut = !ended || !stream.problem().empty();
    body.raw = std::move(text);
    return {};
  }

  // The end of what was cut is left out: there a secret may be too short to look like one.
  std::string mask(const Body& body, Direction direction) const {
    const auto type = flow::parse_fields(shown_head(exchange_, direction)).joined("content-type");
    std::string text = without_masks(reading_.redactor->mask_body(*body.raw, type.value_or("")).text);
    if (body.cut) text.resize(text.size() - std::min<std::size_t>(text.size(), kMaskAhead));
    return text;
  }

  Result<bool> any_message(Direction direction, const TextPattern& pattern) const {
    MessageQuery query{
        .limit = kMessagesAtOnce, .budget = reading_.body_budget, .redactor = reading_.redactor, .stop = reading_.stop};
    for (ByteCount seen = 0; seen < reading_.body_budget;) {
      const auto page = read_messages(ring_, exchange_, query);
      if (!page) {
        if (page.error().code == Code::kCancelled) return fail(page.error());
        return false;  // it left the ring meanwhile
      }
      for (const SeenMessage& message : page->messages) {
        seen += message.content.size();
        if (message.direction != direction) continue;
        if (pattern.is_in(reading_.redactor ? without_masks(message.content) : message.content)) return true;
      }
      if (!page->next_offset || page->messages.empty()) return false;
      query.offset = *page->next_offset;
    }
    return false;
  }

  const capture::BodySource& ring_;
  const flow::Exchange& exchange_;
  const FilterReading& reading_;
  std::array<Body, 2> bodies_;
};

}  // namespace

Result<bool> passes(const FilterExpression& expression, const capture::BodySource& ring, const flow::Exchange& exchange,
                    const FilterReading& reading) {
  RingBodies bodies(ring, exchange, reading);
  return expression.matches(exchange, reading.redactor, bodies);
}

Result<Filtered> find_filtered(const capture::Ring& ring, const FilterQuery& query) {
  Filtered filtered;
  filtered.last_rev = query.filter.after_rev.value_or(0);
  std::optional<Error> error;
  ring.for_each(query.filter, [&](const flow::Exchange& exchange) {
    if (query.reading.stop.stop_requested()) {
      error = cancelled().value();
      return false;
    }
    if (query.enough && query.enough()) {
      filtered.whole = false;
      return false;
    }
    filtered.last_rev = exchange.rev;
    if (++filtered.searched % kProgressEvery == 0 && query.progress) query.progress(filtered.searched);
    const auto passed = passes(*query.expression, ring, exchange, query.reading);
    if (!passed) error = passed.error();
    if (passed && *passed) filtered.ids.push_back(exchange.id);
    return !error;
  });
  if (error) return fail(*std::move(error));
  return filtered;
}

}  // namespace sluice::analysis
