// Variables of replays: analysis.md, "Session variables".
#include <algorithm>

#include "base/ids.h"
#include "base/json_pointer.h"
#include "base/text.h"
#include "tools/replay_plan.h"
#include "tools/secret_values.h"

namespace sluice::tools {
namespace {

using analysis::Given;
using analysis::VariablePlace;

std::optional<std::string> found_at(const std::string& pointer, const std::string& content) {
  const auto document = parse_json(content);
  const Json* at = document ? find_pointer(*document, pointer) : nullptr;
  if (!at) return std::nullopt;
  return at->is_string() ? at->get<std::string>() : dump_json(*at);
}

// What an extract finds in an answer.
std::optional<std::string> found_in(const ReplayExtract& extract, const http::FieldList& fields,
                                    const std::string& content) {
  switch (extract.from) {
    case ReplayExtract::From::kHeader: {
      for (std::size_t i = 0; i < fields.size(); ++i) {
        if (!fields.is_named(i, extract.header)) continue;
        if (!extract.pattern) return std::string(fields.value(i));
        if (auto value = extract.pattern->find(fields.value(i))) return value;
      }
      return std::nullopt;
    }
    case ReplayExtract::From::kPattern:
      return extract.pattern->find(content);
    case ReplayExtract::From::kPointer:
      return found_at(extract.pointer, content);
  }
  return std::nullopt;
}

}  // namespace

// `${timestamp}` and `${uuid}`: new for each request.
void ReplayValues::refresh() {
  if (!options_.variables.contains("timestamp")) values_["timestamp"] = std::to_string(unix_ms(clock_.wall()) / 1'000);
  if (!options_.variables.contains("uuid")) values_["uuid"] = make_uuid(entropy_);
}

Result<std::string> ReplayValues::put(std::string_view text, const analysis::SubstituteOptions& options) {
  SLUICE_TRY(analysis::Substituted made, analysis::substitute(text, values_, options));
  for (std::string& name : made.unresolved) {
    if (options.given == Given::kCaptured) continue;  // most likely it means something else there
    if (std::find(unresolved_.begin(), unresolved_.end(), name) == unresolved_.end()) unresolved_.push_back(name);
  }
  return std::move(made.text);
}

Result<std::string> ReplayValues::put_captured(std::string_view text, VariablePlace place) {
  std::vector<ChainedValue*> known;
  for (ChainedValue& one : recorded_) {
    if (values_.contains(one.name)) known.push_back(&one);  // else its answer has not come, or had none
  }
  return put(text, {.place = place,
                    .given = Given::kCaptured,
                    .stretches = find_chained(text, place, known),
                    .tokens = options_.substitute_captured});
}

std::vector<std::string> ReplayValues::know_recorded(const session::Reader& reader, const std::stop_token& stop) {
  std::vector<std::string> missed;
  for (const ReplayExtract& extract : options_.extracts) {
    std::optional<std::string> value;
    const auto row = reader.find(extract.exchange_id);
    const auto exchange = row ? reader.exchange(*row) : tl::unexpected(row.error());
    if (exchange) {
      const auto answer = recorded_answer(reader, *exchange, stop);
      if (answer) value = found_in(extract, answer->fields, answer->content);
    }
    if (value && value->size() >= kLeastChained && value->size() <= analysis::kMaxVariableValue) {
      recorded_.emplace_back(extract.name, *std::move(value));
    } else {
      missed.push_back(extract.name);
    }
  }
  std::sort(recorded_.begin(), recorded_.end(),
            [](const ChainedValue& a, const ChainedValue& b) { return a.value.size() > b.value.size(); });
  return missed;
}

Result<std::optional<Url>> ReplayValues::target(const flow::Exchange& exchange) {
  if (values_.empty() || !values_.contains("timestamp")) refresh();
  flow::Exchange named;
  named.scheme = exchange.scheme;
  named.host = exchange.host;
  named.port = exchange.port;
  SLUICE_TRY(named.target, put_captured(exchange.target, VariablePlace::kUrl));
  if (!options_.target_base) {
    return named.target == exchange.target ? std::nullopt : std::optional(replay::recorded_url(named));
  }
  SLUICE_TRY(const std::string base, put(*options_.target_base, {.place = VariablePlace::kUrl}));
  const auto url = parse_url(base);
  if (!url) return fail(Code::kInvalid, "target_base_url: " + url.error().message);
  return replay::rebased(named, *url);
}

Result<proxy::SendRequest> ReplayValues::request(const flow::Exchange& exchange, std::string content) {
  refresh();
  replay::Overrides overrides;
  SLUICE_TRY(overrides.url, target(exchange));
  if (options_.substitute_captured || !recorded_.empty()) {
    if (!overrides.url) overrides.url = replay::recorded_url(exchange);  // target() has seen to it
    const PutCaptured put = [this](std::string_view text, VariablePlace place) { return put_captured(text, place); };
    SLUICE_CHECK(tools::substitute_captured(exchange, content, put, overrides));
  }
  SecretFiller handles(context_);
  for (const auto& [name, value] : options_.fields) {
    std::optional<std::string> made;
    if (value) {
      analysis::SubstituteOptions header{.place = VariablePlace::kHeader};
      SLUICE_TRY(header.stretches, handles.find(*value, values_));
      SLUICE_TRY(made, put(*value, header));
    }
    overrides.fields.emplace_back(name, std::move(made));
  }
  SLUICE_TRY(proxy::SendRequest request, replay::make_request(exchange, std::move(content), overrides));
  SLUICE_CHECK(handles.bind(request));
  request.direct = options_.direct;
  request.timeout = options_.timeout;
  request.keep = kMostCompared;
  return request;
}

std::vector<std::string> ReplayValues::take(const std::string& exchange_id, const proxy::SendResult& sent) {
  std::vector<std::string> missed;
  std::optional<std::string> content;
  for (const ReplayExtract& extract : options_.extracts) {
    if (extract.exchange_id != exchange_id) continue;
    if (!content) content = received_answer(sent).content;
    const auto value = found_in(extract, sent.head ? sent.head->fields : http::FieldList(), *content);
    if (value && value->size() <= analysis::kMaxVariableValue)
      values_[extract.name] = *value;
    else
      missed.push_back(extract.name);
  }
  return missed;
}

}  // namespace sluice::tools
