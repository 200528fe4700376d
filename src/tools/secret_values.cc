#include "tools/secret_values.h"

#include <fmt/format.h>

#include <algorithm>

#include "analysis/body.h"
#include "analysis/messages.h"
#include "base/known_secrets.h"
#include "base/text.h"
#include "base/url.h"
#include "tools/replaying.h"
#include "tools/services.h"

namespace sluice::tools {
namespace {

constexpr ByteCount kMostLookedAt = 16 * kMiB;  // of bodies, for one handle
constexpr std::size_t kMostMessages = 10'000;   // of one exchange
constexpr std::string_view kStale =
    "A secret handle here means nothing (any more): it is another caller's, its exchange is gone, or it was given out "
    "too long ago. Read the exchange again and use the handle that stands there now.";

bool is_http(const flow::Exchange& exchange) { return exchange.scheme == "http" || exchange.scheme == "https"; }

}  // namespace

std::string mark_of(std::string_view mask) {
  const std::size_t colon = mask.rfind(':');
  return std::string(mask.substr(colon + 1, mask.size() - colon - 2));
}

SecretSource::SecretSource(Services& services, const std::string& session)
    : services_(services), is_ring_(session.empty()) {
  if (is_ring_ || !services.sessions || !session::is_session_id(session)) return;
  if (auto opened = services.sessions->open(session)) reader_ = *std::move(opened);
}

std::optional<ExchangeSecrets> SecretSource::load(const std::string& id) const {
  if (is_ring_) {
    auto exchange = services_.ring.find(id);
    if (!exchange || !is_http(*exchange)) return std::nullopt;
    return ExchangeSecrets(services_, *std::move(exchange),
                           std::shared_ptr<const capture::BodySource>(std::shared_ptr<void>(), &services_.ring));
  }
  if (!reader_) return std::nullopt;
  const auto row = reader_->find(id);
  if (!row) return std::nullopt;
  auto exchange = reader_->exchange(*row);
  if (!exchange || !is_http(*exchange)) return std::nullopt;
  return ExchangeSecrets(services_, *std::move(exchange), reader_);
}

void ExchangeSecrets::note(std::string_view mask, std::string_view value) {
  if (holds_mask(value)) return;  // never in a secret's place
  std::string mark = mark_of(mask);
  const auto [known, is_new] = values_.try_emplace(std::move(mark), std::string(value));
  if (!is_new && known->second && *known->second != value) known->second.reset();
}

const std::string* ExchangeSecrets::known(const std::string& mark) const {
  const auto found = values_.find(mark);
  if (found == values_.end() || !found->second) return nullptr;
  const std::size_t size = found->second->size();
  return size >= KnownSecrets::kShortest && size <= KnownSecrets::kLongest ? &*found->second : nullptr;
}

void ExchangeSecrets::read_heads() {
  const Redactor::Watch watch = [this](std::string_view mask, std::string_view value) { note(mask, value); };
  const Redactor redactor = services_.redactor->watched(watch);
  (void)redactor.mask_url(flow::url_of(exchange_));
  for (const flow::Message* message : {&exchange_.request, &exchange_.response}) {
    if (message == &exchange_.response && !answered_by_origin()) continue;
    for (const std::string* head : {&message->head, &message->trailers}) {
      const http::FieldList fields = flow::parse_fields(*head);
      for (std::size_t i = 0; i < fields.size(); ++i) {
        (void)redactor.mask_header_value(fields.name(i), fields.value(i));
      }
    }
  }
}

void ExchangeSecrets::read_body(flow::Direction direction, ByteCount& budget, const std::stop_token& stop) {
  if (direction == flow::Direction::kResponse && !answered_by_origin()) return;
  const ByteCount size = analysis::body_info(exchange_, direction).stored;
  if (size == 0 || size > budget) return;
  const auto message = recorded_message(*bodies_, exchange_, direction, stop);
  budget -= std::min<ByteCount>(budget, std::max<ByteCount>(size, message ? message->content.size() : 0));
  if (!message) return;
  const Redactor::Watch watch = [this](std::string_view mask, std::string_view value) { note(mask, value); };
  (void)services_.redactor->watched(watch).mask_body(message->content,
                                                     message->fields.find("content-type").value_or(""));
}

// Of a WebSocket, events or gRPC, each by itself: a body has their framing between them, or is compressed piece by
// piece.
void ExchangeSecrets::read_messages(ByteCount& budget, const std::stop_token& stop) {
  if (!answered_by_origin() || !analysis::message_kind(exchange_)) return;
  ByteCount read = 0;
  for (const flow::Direction direction : {flow::Direction::kRequest, flow::Direction::kResponse}) {
    read += analysis::body_info(exchange_, direction).stored;
  }
  if (read == 0 || read > budget) return;
  const Redactor::Watch watch = [this](std::string_view mask, std::string_view value) { note(mask, value); };
  const Redactor redactor = services_.redactor->watched(watch);
  analysis::MessageQuery query;
  query.limit = kMostMessages;
  query.budget = budget;
  query.redactor = &redactor;
  query.stop = stop;
  if (const auto page = analysis::read_messages(*bodies_, exchange_, query)) {
    for (const analysis::SeenMessage& message : page->messages) read += message.content.size();
  }
  budget -= std::min(budget, read);
}

std::optional<std::string> ExchangeSecrets::find(const std::string& mark, ByteCount& budget,
                                                 const std::stop_token& stop) {
  if (read_ == 0) {
    read_heads();
    read_ = 1;
  }
  while (!values_.contains(mark) && read_ < 4) {
    if (read_ == 3) {
      read_messages(budget, stop);
    } else {
      read_body(read_ == 1 ? flow::Direction::kRequest : flow::Direction::kResponse, budget, stop);
    }
    ++read_;
  }
  const std::string* value = known(mark);
  return value ? std::optional(*value) : std::nullopt;
}

Result<std::string> SecretFiller::value_of(std::string_view handle) {
  Services& services = *context_.services;
  const auto meaning = services.handles ? services.handles->find(context_.grant, handle) : std::nullopt;
  if (!meaning) return fail(Code::kNotFound, std::string(kStale));
  if (origin_ && *origin_ != meaning->origin) {
    return fail(Code::kRefused,
                "The secret handles here are of different origins, and no request goes to more than one of them.");
  }
  auto secrets = SecretSource(services, meaning->place.session).load(meaning->place.exchange);
  ByteCount budget = kMostLookedAt;
  auto value = secrets && secrets->origin() == meaning->origin
                   ? secrets->find(meaning->place.mark, budget, context_.stop)
                   : std::nullopt;
  if (!value) return fail(Code::kNotFound, std::string(kStale));
  // From now on it is masked wherever it comes back, before anybody has it.
  if (const Status kept = services.known->add(*value); !kept) {
    return fail(kept.error().code, "The secret cannot be filled in: " + kept.error().message + ".");
  }
  origin_ = meaning->origin;
  return *std::move(value);
}

Result<std::vector<analysis::Stretch>> SecretFiller::find(std::string_view text, analysis::Variables& variables) {
  std::vector<analysis::Stretch> stretches;
  if (!context_.handles) return stretches;
  for (const HandleAt& found : find_handles(text)) {
    const std::string handle(found.handle);  // no name of a variable: nobody else's value
    if (!values_.contains(handle)) {
      SLUICE_TRY(std::string value, value_of(handle));
      values_.emplace(handle, std::move(value));
    }
    variables[handle] = values_[handle];
    stretches.push_back({found.at, handle.size(), handle});
  }
  return stretches;
}

Status SecretFiller::bind(proxy::SendRequest& request) {
  if (!origin_) return {};
  if (Origin{request.scheme, request.host, request.port} != *origin_) {
    return fail(Code::kRefused,
                "A secret handle is filled in only for the origin that its secret belongs to, and this request goes to "
                "another one: nothing was sent.");
  }
  // One front may serve many sites, and gives it to the one that is named.
  const auto named = request.head.fields.find("host");
  const std::string own = authority_text(origin_->host, origin_->port, default_port(origin_->scheme));
  if (named && !iequals(*named, own)) {
    return fail(Code::kRefused,
                fmt::format("A secret handle is filled in only for the origin that its secret belongs to, and the "
                            "request's Host is not {}: nothing was sent.",
                            own));
  }
  request.own_origin = true;
  return {};
}

namespace {

bool holds_any(const Json& value) {
  if (value.is_string()) return holds_handle(value.get_ref<const std::string&>());
  if (value.is_array()) return std::any_of(value.begin(), value.end(), holds_any);
  if (!value.is_object()) return false;
  for (const auto& [name, member] : value.items()) {
    if (holds_handle(name) || holds_any(member)) return true;
  }
  return false;
}

}  // namespace

Status check_handles(const Tool& tool, const Json& arguments) {
  for (const auto& [name, value] : arguments.items()) {
    const auto field =
        std::find_if(tool.fields.begin(), tool.fields.end(), [&](const Field& one) { return one.name == name; });
    if (field != tool.fields.end() && field->takes_handles) continue;
    if (!holds_any(value)) continue;
    return fail(Code::kRefused,
                fmt::format("{} of {} takes no secret handles: they are filled in only by fields that say so, when a "
                            "recorded request is sent again.",
                            name, tool.name));
  }
  return {};
}

}  // namespace sluice::tools
