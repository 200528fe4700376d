#include "tools/replaying.h"

#include <fmt/format.h>

#include <algorithm>

#include "analysis/body.h"
#include "base/text.h"
#include "codings/codings.h"
#include "tools/services.h"

namespace sluice::tools {
namespace {

using analysis::VariablePlace;

constexpr ByteCount kMostDecoded = 8 * kMiB;

}  // namespace

replay::Runner::Send sender_of(const CallContext& context) {
  return [&engine = context.services->engine, grant = context.grant](proxy::SendRequest request, proxy::SendDone done) {
    request.grant = grant;
    engine.send(std::move(request), std::move(done));
  };
}

std::optional<Error> egress_denial(const proxy::SendResult& sent, const CallContext& context) {
  if (!sent.failure || sent.failure->code != "egress") return std::nullopt;
  if (context.egress_refused) *context.egress_refused = true;
  return Error{Code::kRefused, "[POLICY DENIED] " + sent.failure->message};
}

VariablePlace place_of_content(const http::FieldList& fields) {
  const std::string type = to_lower(fields.find("content-type").value_or(""));
  if (type.find("json") != std::string::npos) return VariablePlace::kJson;
  if (type.starts_with("application/x-www-form-urlencoded")) return VariablePlace::kForm;
  return VariablePlace::kText;
}

const std::vector<std::string>& ChainedValue::spellings(VariablePlace place) {
  const auto [at, is_new] = spelled_.try_emplace(place);
  if (!is_new) return at->second;
  at->second.push_back(value);
  const bool json = place == VariablePlace::kJson;
  const auto made = analysis::substitute(json ? "\"${v}\"" : "${v}", {{"v", value}}, {.place = place});
  if (!made) return at->second;  // it cannot stand there otherwise
  const std::string& text = made->text;
  std::string spelled = json ? text.substr(1, text.size() - 2) : text;
  if (spelled != value) at->second.insert(at->second.begin(), std::move(spelled));
  return at->second;
}

std::vector<analysis::Stretch> find_chained(std::string_view text, VariablePlace place,
                                            std::span<ChainedValue* const> values) {
  std::map<std::size_t, analysis::Stretch> found;
  const auto is_free = [&](std::size_t at, std::size_t size) {
    const auto behind = found.lower_bound(at);
    if (behind != found.end() && behind->first < at + size) return false;
    return behind == found.begin() || std::prev(behind)->first + std::prev(behind)->second.size <= at;
  };
  for (ChainedValue* const one : values) {
    for (const std::string& spelled : one->spellings(place)) {
      for (std::size_t at = text.find(spelled); at != text.npos; at = text.find(spelled, at + spelled.size())) {
        if (is_free(at, spelled.size())) found[at] = {at, spelled.size(), one->name};
      }
    }
  }
  std::vector<analysis::Stretch> all;
  for (auto& [at, stretch] : found) all.push_back(std::move(stretch));
  return all;
}

Result<std::string> recorded_content(const capture::BodySource& bodies, const flow::Exchange& exchange) {
  const ByteCount size = exchange.request.body.size;
  if (size == 0) return std::string();
  if (size > kMostReplayed) {
    return fail(Code::kTooLarge, fmt::format("its body is over {} MiB", kMostReplayed / kMiB));
  }
  SLUICE_TRY(capture::BodySlice slice, bodies.read_body(exchange.id, flow::Direction::kRequest, 0, size));
  if (slice.octets.size() != size) return fail(Code::kRefused, "its body was not recorded whole");
  return std::move(slice.octets);
}

Status substitute_captured(const flow::Exchange& exchange, const std::string& content, const PutCaptured& put,
                           replay::Overrides& overrides) {
  if (!overrides.url) {
    SLUICE_TRY(std::string target, put(exchange.target, VariablePlace::kUrl));
    if (target != exchange.target) {
      overrides.url = replay::recorded_url(exchange);
      overrides.url->target = std::move(target);
    }
  }
  const http::FieldList recorded = flow::parse_fields(exchange.request.head);
  const auto given = overrides.fields;
  for (std::size_t i = 0; i < recorded.size(); ++i) {
    const auto same = [&](const auto& field) { return iequals(field.first, recorded.name(i)); };
    if (std::any_of(given.begin(), given.end(), same)) continue;
    SLUICE_TRY(std::string value, put(recorded.value(i), VariablePlace::kHeader));
    if (value != recorded.value(i)) overrides.fields.emplace_back(recorded.name(i), std::move(value));
  }
  if (overrides.content || content.empty() || recorded.find("content-encoding")) return {};
  SLUICE_TRY(std::string changed, put(content, place_of_content(recorded)));
  if (changed != content) overrides.content = std::move(changed);
  return {};
}

Result<replay::Answer> recorded_message(const capture::BodySource& bodies, const flow::Exchange& exchange,
                                        flow::Direction direction, const std::stop_token& stop) {
  replay::Answer answer;
  if (direction == flow::Direction::kResponse) answer.status = exchange.status;
  answer.fields = flow::parse_fields(analysis::shown_head(exchange, direction));
  const flow::BodyInfo& body = analysis::body_info(exchange, direction);
  answer.size = body.size;
  answer.whole = body.complete && (body.ended || body.size == 0);
  if (body.stored == 0) return answer;
  analysis::StreamOptions options;
  options.most = kMostDecoded;
  options.measure = false;
  options.budget = kMostDecoded;
  analysis::BodyStream stream(bodies, exchange.id, direction, answer.fields.joined("content-encoding").value_or(""),
                              options);
  for (;;) {
    if (stop.stop_requested()) return fail(Code::kCancelled, "The call was cancelled.");
    SLUICE_TRY(const std::string_view piece, stream.next());
    if (piece.empty()) break;
    answer.content += piece;
  }
  answer.whole = answer.whole && stream.problem().empty() && answer.content.size() < kMostDecoded;
  return answer;
}

Result<replay::Answer> recorded_answer(const capture::BodySource& bodies, const flow::Exchange& exchange,
                                       const std::stop_token& stop) {
  return recorded_message(bodies, exchange, flow::Direction::kResponse, stop);
}

replay::Answer received_answer(const proxy::SendResult& sent) {
  replay::Answer answer;
  if (!sent.head) return answer;
  answer.status = sent.head->status;
  answer.fields = sent.head->fields;
  answer.size = sent.size;
  codings::Decoded decoded =
      codings::decode_all(sent.content, answer.fields.joined("content-encoding").value_or(""), kMostDecoded);
  answer.whole = sent.complete && sent.content.size() == sent.size && decoded.complete;
  answer.content = std::move(decoded.text);
  return answer;
}

Json cause_json(const flow::Failure& failure) {
  return {{"code", failure.code}, {"phase", flow::to_string(failure.phase)}, {"message", failure.message}};
}

std::vector<ResultField> cause_result() {
  return {{"code", "string", ""}, {"phase", "string", ""}, {"message", "string", ""}};
}

Field item_limit_field() {
  return {.name = "limit",
          .type = FieldType::kInteger,
          .meaning = "Items at most.",
          .default_value = 50,
          .minimum = 1,
          .maximum = 1'000};
}

Field item_offset_field() {
  return {.name = "offset", .type = FieldType::kInteger, .meaning = "Items to skip.", .default_value = 0, .minimum = 0};
}

}  // namespace sluice::tools
