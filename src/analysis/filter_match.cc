// Whether an exchange matches: first without its bodies, then, where that leaves it open, with them.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <vector>

#include "analysis/body.h"
#include "analysis/filter.h"
#include "analysis/filter_node.h"
#include "analysis/grpc.h"
#include "base/text.h"

namespace sluice::analysis {
namespace {

using flow::Direction;
using Kind = FilterNode::Kind;

// What is known of a node so far. kOpen: a body would tell.
enum class Truth : std::uint8_t { kUnknown, kNo, kYes, kOpen };
Truth truth(bool holds) { return holds ? Truth::kYes : Truth::kNo; }
Truth opposite(Truth one) { return one == Truth::kNo ? Truth::kYes : one == Truth::kYes ? Truth::kNo : Truth::kOpen; }

// mitmproxy's list of assets: styles, scripts, images, fonts.
bool is_asset(std::string_view content_type) {
  const std::string type = to_lower(trim(content_type.substr(0, content_type.find(';'))));
  return type == "text/javascript" || type == "application/x-javascript" || type == "application/javascript" ||
         type == "text/css" || type.starts_with("image/") || type.starts_with("font/") ||
         type.starts_with("application/font");
}

bool is_event_stream(std::string_view content_type) {
  return iequals(trim(content_type.substr(0, content_type.find(';'))), "text/event-stream");
}

class Evaluation {
 public:
  Evaluation(const flow::Exchange& exchange, const Redactor* redactor, FilterBodies& bodies, std::size_t nodes)
      : exchange_(exchange), redactor_(redactor), bodies_(bodies), known_(nodes, Truth::kUnknown) {}

  Result<bool> decide(const FilterNode& node) {
    const Truth now = look(node);
    if (now != Truth::kOpen) return now == Truth::kYes;
    switch (node.kind) {
      case Kind::kTerm:
        return ask_bodies(node);
      case Kind::kNot: {
        SLUICE_TRY(const bool inner, decide(node.children.front()));
        return !inner;
      }
      case Kind::kAnd:
      case Kind::kOr:
        break;
    }
    const bool ending = node.kind == Kind::kOr;
    for (const FilterNode& child : node.children) {
      if (look(child) != Truth::kOpen) continue;  // else the whole would not be open
      SLUICE_TRY(const bool one, decide(child));
      if (one == ending) return ending;
    }
    return !ending;
  }

 private:
  Truth look(const FilterNode& node) {
    Truth& known = known_[node.number];
    if (known != Truth::kUnknown) return known;
    return known = find(node);
  }

  Truth find(const FilterNode& node) {
    if (node.kind == Kind::kTerm) return of_term(node);
    if (node.kind == Kind::kNot) return opposite(look(node.children.front()));
    const Truth ending = truth(node.kind == Kind::kOr);
    bool open = false;
    for (const FilterNode& child : node.children) {
      const Truth one = look(child);
      if (one == ending) return ending;
      open |= one == Truth::kOpen;
    }
    return open ? Truth::kOpen : opposite(ending);
  }

  Truth of_term(const FilterNode& node) {
    switch (node.term->kind) {
      case TermKind::kBody:
        return has_body(Direction::kRequest, node) || has_body(Direction::kResponse, node) ? Truth::kOpen : Truth::kNo;
      case TermKind::kUrl:
        return truth(node.pattern->is_in(url()));
      case TermKind::kHost:
        return truth(node.pattern->is_in(shown(exchange_.host)));
      case TermKind::kMethod:
        return truth(node.pattern->is_in(shown(exchange_.method)));
      case TermKind::kHeader:
        return truth(any_line(node, [&](std::string_view line) { return node.pattern->is_in(line); }));
      case TermKind::kType:
        return truth(any_type(node.term->side, [&](const std::string& type) { return node.pattern->is_in(type); }));
      case TermKind::kAsset:
        return truth(any_type(TermSide::kResponse, [](const std::string& type) { return is_asset(type); }));
      case TermKind::kSse:
        return truth(any_type(TermSide::kResponse, [](const std::string& type) { return is_event_stream(type); }));
      case TermKind::kGrpc:
        return truth(any_type(TermSide::kEither, [](const std::string& type) { return grpc_form(type).has_value(); }));
      default:
        return truth(of_record(node));
    }
  }

  // Terms about facts that hide nothing.
  bool of_record(const FilterNode& node) const {
    using flow::Protocol;
    const Protocol protocol = exchange_.protocol;
    const bool raw = protocol == Protocol::kTcp || protocol == Protocol::kTls;
    switch (node.term->kind) {
      case TermKind::kAll:
        return true;
      case TermKind::kHttp:
        return !raw;
      case TermKind::kTcp:
        return protocol == Protocol::kTcp;
      case TermKind::kTls:
        return protocol == Protocol::kTls;
      case TermKind::kWebSocket:
        return protocol == Protocol::kWebSocket;
      case TermKind::kAnswered:
      case TermKind::kUnanswered:
        return (exchange_.status != 0 || (raw && exchange_.upstream)) == (node.term->kind == TermKind::kAnswered);
      case TermKind::kError:
        return exchange_.failure.has_value();
      case TermKind::kReplay:
        return !exchange_.connection || exchange_.connection->source == flow::Source::kInternal;
      case TermKind::kRule:
        return node.rule ? std::count(exchange_.rule_ids.begin(), exchange_.rule_ids.end(), *node.rule) > 0
                         : !exchange_.rule_ids.empty();
      case TermKind::kStatus:
        return exchange_.status != 0 && node.bounds.hold(exchange_.status);
      case TermKind::kSize:
        return node.bounds.hold(static_cast<double>(size(node.term->side)));
      case TermKind::kDuration:
        return exchange_.timings.end >= 0 && node.bounds.hold(static_cast<double>(exchange_.timings.end) / 1000.0);
      default:
        return of_connection(node);
    }
  }

  bool of_connection(const FilterNode& node) const {
    const TextPattern& pattern = *node.pattern;
    const flow::Connection* const client = exchange_.connection.get();
    switch (node.term->kind) {
      case TermKind::kSource:
        return client && pattern.is_in(place(client->client_address, client->client_port));
      case TermKind::kDestination:
        return (!exchange_.host.empty() && pattern.is_in(place(shown(exchange_.host), exchange_.port))) ||
               (exchange_.upstream && pattern.is_in(place(exchange_.upstream->address, exchange_.upstream->port)));
      case TermKind::kJa3:
        return client && client->tls && !client->tls->ja3.empty() && pattern.is_in(client->tls->ja3);
      case TermKind::kJa4:
        return client && client->tls && !client->tls->ja4.empty() && pattern.is_in(client->tls->ja4);
      case TermKind::kAnomaly:
        for (http::AnomalySet left = exchange_.anomalies; left != 0; left &= left - 1) {
          if (pattern.is_in(http::to_string(static_cast<http::Anomaly>(left & (~left + 1))))) return true;
        }
        return false;
      default:
        return false;
    }
  }

  static std::string place(std::string_view host, std::uint16_t port) {
    return host.find(':') == std::string_view::npos ? fmt::format("{}:{}", host, port)
                                                    : fmt::format("[{}]:{}", host, port);
  }

  ByteCount size(TermSide side) const {
    ByteCount size = 0;
    if (side != TermSide::kResponse) size += exchange_.request.body.size;
    if (side != TermSide::kRequest) size += exchange_.response.body.size;
    return size;
  }

  // --- texts, as they are shown ---

  std::string shown(const std::string& text) const {
    return redactor_ ? without_masks(redactor_->mask_text(text).text) : text;
  }

  const std::string& url() {
    if (!url_) {
      url_ = flow::url_of(exchange_);
      if (redactor_) url_ = without_masks(redactor_->mask_url(*url_).text);
    }
    return *url_;
  }

  // "name: value" of each field, trailers too; read once.
  const std::vector<std::string>& lines(Direction direction) {
    auto& kept = lines_[static_cast<std::size_t>(direction)];
    if (kept) return *kept;
    kept.emplace();
    const flow::Message& message = direction == Direction::kRequest ? exchange_.request : exchange_.response;
    for (const std::string* head : {&shown_head(exchange_, direction), &message.trailers}) {
      const http::FieldList fields = flow::parse_fields(*head);
      for (std::size_t i = 0; i < fields.size(); ++i) {
        std::string value(fields.value(i));
        if (redactor_) value = without_masks(redactor_->mask_header_value(fields.name(i), value).text);
        kept->push_back(fmt::format("{}: {}", fields.name(i), value));
      }
    }
    return *kept;
  }

  template <class Matches>
  bool any_line(const FilterNode& node, Matches matches) {
    for (const Direction direction : {Direction::kRequest, Direction::kResponse}) {
      if (!looks_at(node.term->side, direction)) continue;
      const auto& all = lines(direction);
      if (std::any_of(all.begin(), all.end(), matches)) return true;
    }
    return false;
  }

  template <class Matches>
  bool any_type(TermSide side, Matches matches) {
    constexpr std::string_view kName = "content-type: ";
    for (const Direction direction : {Direction::kRequest, Direction::kResponse}) {
      if (!looks_at(side, direction)) continue;
      for (const std::string& line : lines(direction)) {
        if (iequals(std::string_view(line).substr(0, kName.size()), kName) && matches(line.substr(kName.size()))) {
          return true;
        }
      }
    }
    return false;
  }

  static bool looks_at(TermSide side, Direction direction) {
    return side == TermSide::kEither || (side == TermSide::kRequest) == (direction == Direction::kRequest);
  }

  // --- bodies ---

  bool has_body(Direction direction, const FilterNode& node) const {
    return looks_at(node.term->side, direction) && body_info(exchange_, direction).stored > 0;
  }

  Result<bool> ask_bodies(const FilterNode& node) {
    for (const Direction direction : {Direction::kRequest, Direction::kResponse}) {
      if (!has_body(direction, node)) continue;
      SLUICE_TRY(const bool found, bodies_.hold(direction, *node.pattern));
      if (found) return true;
    }
    return false;
  }

  const flow::Exchange& exchange_;
  const Redactor* redactor_;
  FilterBodies& bodies_;
  std::vector<Truth> known_;  // of each node, without bodies
  std::optional<std::string> url_;
  std::array<std::optional<std::vector<std::string>>, 2> lines_;
};

}  // namespace

Result<bool> FilterExpression::matches(const flow::Exchange& exchange, const Redactor* redactor,
                                       FilterBodies& bodies) const {
  return Evaluation(exchange, redactor, bodies, nodes_).decide(*root_);
}

}  // namespace sluice::analysis
