#include "tools/mitm_inference.h"

#include <algorithm>

#include "analysis/body.h"
#include "analysis/domain.h"
#include "base/url.h"
#include "tools/traffic_filter.h"

namespace sluice::tools {
namespace {

constexpr std::size_t kPageOfNewest = 1'000;

bool is_wanted(const FlowChoice& choice, const flow::Exchange& exchange) {
  return analysis::is_request(exchange) && (choice.include_generated || !analysis::is_generated(exchange));
}

// The revision of the oldest of the newest so many; 0: all.
std::uint64_t first_rev(const capture::Ring& ring, const FlowChoice& choice) {
  if (choice.most == SIZE_MAX) return 0;
  capture::Filter filter = choice.filter;
  filter.after_rev = 0;
  std::size_t left = choice.most;
  for (;;) {
    const std::vector<flow::Exchange> page = ring.newest(filter, kPageOfNewest);
    for (const flow::Exchange& exchange : page) {
      filter.before_rev = exchange.rev;
      if (is_wanted(choice, exchange) && --left == 0) return exchange.rev;
    }
    if (page.size() < kPageOfNewest) return 0;
  }
}

}  // namespace

Result<FlowChoice> read_choice(const Json& arguments) {
  FlowChoice choice;
  if (const auto limit = integer_argument(arguments, "limit"); limit && *limit > 0)
    choice.most = static_cast<std::size_t>(*limit);
  choice.include_generated = flag_argument(arguments, "include_generated");
  const auto domain_text = text_argument(arguments, "domain"), host_text = text_argument(arguments, "host");
  std::vector<analysis::Domain> domains;
  if (domain_text && !domain_text->empty()) {
    SLUICE_TRY(domains.emplace_back(), analysis::parse_domain(*domain_text));
  }
  std::optional<HostPort> host;
  if (host_text && !host_text->empty()) {
    const bool port_given = parse_authority(*host_text, 0).has_value();
    SLUICE_TRY(host, parse_authority(*host_text, 1));
    if (!port_given) host->port = 0;
  }
  choice.filter.host_passes = [domains, host](std::string_view name, std::uint16_t port) {
    if (host && (host->host != name || (host->port != 0 && host->port != port))) return false;
    return std::all_of(domains.begin(), domains.end(), [&](const auto& domain) { return domain.holds(name, port); });
  };
  return choice;
}

Result<FlowsSeen> visit_flows(CallContext& context, const FlowChoice& choice,
                              const std::function<void(const analysis::FlowView&)>& visit) {
  const capture::Ring& ring = context.services->ring;
  context.services->ring.sync();
  const analysis::BodyReader bodies = [&](const flow::Exchange& exchange, flow::Direction direction) {
    return read_body(context, exchange, direction, choice.body_limit);
  };
  FlowsSeen seen;
  const auto enough = deadline_passed(context);
  const auto look = [&](const flow::Exchange& exchange) {
    if (context.stop.stop_requested()) return false;
    if (enough && enough()) {
      seen.whole = false;
      return false;
    }
    ++seen.flows;
    visit(analysis::FlowView(exchange, bodies));
    return true;
  };
  if (choice.ids.empty()) {
    capture::Filter filter = choice.filter;
    const std::uint64_t first = first_rev(ring, choice);
    filter.after_rev = first == 0 ? 0 : first - 1;
    ring.for_each(filter, [&](const flow::Exchange& exchange) {
      if (seen.flows == choice.most) return false;
      if (is_wanted(choice, exchange)) return look(exchange);
      if (analysis::is_request(exchange)) ++seen.generated;
      return true;
    });
  } else {
    for (const std::string& id : choice.ids) {
      const auto exchange = ring.find(id);
      if (!exchange)
        seen.missing.push_back(id);
      else if (analysis::is_request(*exchange) && !look(*exchange))
        break;
    }
  }
  if (context.stop.stop_requested()) return fail(Code::kCancelled, "The call was cancelled.");
  return seen;
}

std::string read_body(const CallContext& context, const flow::Exchange& exchange, flow::Direction direction,
                      ByteCount limit) {
  if (analysis::body_info(exchange, direction).stored == 0) return "";
  auto window = analysis::read_window(context.services->ring, exchange, direction,
                                      {.limit = limit, .measure = false, .budget = limit + 1, .stop = context.stop});
  return window ? std::move(window->octets) : "";
}

analysis::ApiPatterns::ShapeReader shape_reader(const CallContext& context, ByteCount limit) {
  return [&context, limit](const std::string& id) -> analysis::ApiPatterns::Shape {
    const auto exchange = context.services->ring.find(id);
    if (!exchange || exchange->status < 200 || exchange->status >= 300) return nullptr;
    return analysis::json_shape(read_body(context, *exchange, flow::Direction::kResponse, limit));
  };
}

std::vector<Field> choice_fields() {
  return {{.name = "host", .meaning = "This host alone: api.example.com, or with :port."},
          {.name = "include_generated",
           .type = FieldType::kBoolean,
           .meaning = "Also our own replays and probes, and answers that rules made.",
           .default_value = false}};
}

Field domain_field() {
  return {.name = "domain", .meaning = "example.com (and all below it), *.example.com or host:port."};
}

Field flow_limit_field() {
  return {
      .name = "limit", .type = FieldType::kInteger, .meaning = "The newest so many flows; absent: all.", .minimum = 0};
}

void put_seen(Json& answer, const FlowsSeen& seen) {
  answer["analysed"] = seen.flows;
  if (seen.generated > 0) answer["generated"] = seen.generated;
  if (!seen.missing.empty()) answer["missing"] = seen.missing;
  if (!seen.whole) answer["truncated"] = true;
}

std::vector<ResultField> seen_result() {
  return {{"analysed", "number", "flows"},
          {"generated", "number", "flows left out: our own", true},
          {"missing", "string[]", "ids of no flow", true},
          {"truncated", "boolean", "time ran out, or the answer was too long", true}};
}

}  // namespace sluice::tools
