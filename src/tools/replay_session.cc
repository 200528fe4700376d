// proxy_replay_session: a recording sent again. proxy.md (f) says what the published tool does.
#include <fmt/format.h>

#include <algorithm>

#include "base/url.h"
#include "replay/compare.h"
#include "replay/runner.h"
#include "tools/page.h"
#include "tools/replay_plan.h"
#include "tools/replaying.h"
#include "tools/session_json.h"
#include "tools/subjects.h"
#include "tools/traffic_filter.h"

namespace sluice::tools {
namespace {

constexpr std::chrono::seconds kForTheAnswer{2};  // of the call's time, kept for telling what was done

class SessionReplay {
 public:
  SessionReplay(const session::Reader& reader, ReplayOptions& options, std::vector<ReplayStep>& steps,
                CallContext& context)
      : reader_(reader), options_(options), steps_(steps), context_(context), values_(options, context) {
    for (std::size_t i = 0; i < steps_.size(); ++i) {
      items_.push_back(plan_item(steps_[i]));
      if (steps_[i].skipped.empty()) sent_.push_back(i);
    }
  }

  void run() {
    if (options_.chain) not_chained_ = values_.know_recorded(reader_, context_.stop);
    replay::Runner runner(sender_of(context_), context_.services->clock);
    const auto make = [this](std::size_t i) { return prepare(steps_[sent_[i]]); };
    const auto take = [this](std::size_t i, replay::Outcome outcome) {
      take_outcome(sent_[i], std::move(outcome));
      return true;
    };
    const auto end = runner.run(sent_.size(), options_.pace, make, take, context_.stop);
    static constexpr const char* kLeft[] = {"", "the call was cancelled", "the time for all was over",
                                            "one before it failed (stop_on_error)"};
    for (const std::size_t i : sent_) {
      if (!items_[i].contains("status")) skip(items_[i], kLeft[static_cast<int>(end)]);
    }
    name_records();
  }

  // What run() would send, made and not sent: its errors, and what has no value.
  void plan() {
    if (options_.chain) not_chained_ = values_.know_recorded(reader_, context_.stop);
    for (const std::size_t i : sent_) {
      if (context_.stop.stop_requested()) return;
      const auto made = prepare(steps_[i]);
      if (!made) items_[i]["error"] = made.error().message;
    }
  }

  // Of what is only planned, too.
  Json answer(const std::string& mode) {
    const auto count = [&](std::string_view status) {
      return std::count_if(items_.begin(), items_.end(), [&](const Json& item) {
        const Json* is = find_member(item, "status");
        return is && *is == status;
      });
    };
    Json answer = {{"mode", mode},
                   {"sessionId", reader_.manifest().id},
                   {"selectedCount", steps_.size()},
                   {"executedCount", executed_},
                   {"successCount", count("success")},
                   {"errorCount", count("error")},
                   {"skippedCount", count("skipped")},
                   {"sameCount", same_},
                   {"targetBaseUrl", options_.target_base ? Json(*options_.target_base) : Json()},
                   {"direct", options_.direct}};
    std::vector<std::string> unresolved = values_.unresolved();
    if (mode == "dry_run")
      std::erase_if(unresolved, [this](const std::string& name) { return will_be_extracted(name); });
    if (!unresolved.empty()) answer["unresolved"] = std::move(unresolved);
    if (!not_chained_.empty()) answer["notChained"] = not_chained_;
    answer["items"] = std::move(items_);
    return answer;
  }

 private:
  static void skip(Json& item, std::string reason) {
    item["status"] = "skipped";
    item["reason"] = std::move(reason);
  }

  // By an answer to something that is sent.
  bool will_be_extracted(const std::string& name) const {
    return std::any_of(options_.extracts.begin(), options_.extracts.end(), [&](const ReplayExtract& extract) {
      return extract.name == name && std::any_of(sent_.begin(), sent_.end(), [&](std::size_t i) {
               return steps_[i].row.id == extract.exchange_id;
             });
    });
  }

  static Json plan_item(const ReplayStep& step) {
    const auto url = parse_url(step.target_url);
    Json item = {{"seq", step.row.seq},
                 {"exchangeId", step.row.id},
                 {"method", step.row.method},
                 {"originalUrl", step.row.url},
                 {"targetUrl", step.target_url},
                 {"hostname", url ? url->host : step.row.host},
                 {"hasRequestBody", step.row.request.size > 0}};
    if (!step.skipped.empty()) skip(item, step.skipped);
    return item;
  }

  Result<replay::Runner::Prepared> prepare(const ReplayStep& step) {
    SLUICE_TRY(const flow::Exchange exchange, reader_.exchange(step.row));
    SLUICE_TRY(std::string content, recorded_content(reader_, exchange));
    SLUICE_TRY(proxy::SendRequest request, values_.request(exchange, std::move(content)));
    Json& item = items_[static_cast<std::size_t>(&step - steps_.data())];
    item["targetUrl"] = to_string(Url{request.scheme, request.host, request.port, request.head.target});
    item["hostname"] = request.host;
    const bool repeatable = replay::is_safe_method(request.head.method);
    return replay::Runner::Prepared{std::move(request), repeatable};
  }

  void take_outcome(std::size_t index, replay::Outcome outcome) {
    Json& item = items_[index];
    const ReplayStep& step = steps_[index];
    if (outcome.refused) {
      item["status"] = "error";
      item["error"] = outcome.refused->message;
    } else {
      ++executed_;
      const proxy::SendResult& sent = outcome.sent;
      item["status"] = sent.failure ? "error" : "success";
      item["durationMs"] = static_cast<double>(sent.duration.count()) / 1'000;
      if (outcome.attempts > 1) item["attempts"] = outcome.attempts;
      if (sent.failure) {
        const auto denied = egress_denial(sent, context_);
        item["error"] = denied ? denied->message : sent.failure->message;
        item["cause"] = cause_json(*sent.failure);
      } else if (sent.head) {
        item["responseStatus"] = sent.head->status;
        item["responseSize"] = sent.size;
        compare(item, step, sent);
      }
      records_.emplace_back(index, sent.seq);
      const auto missed = values_.take(step.row.id, sent);
      if (!missed.empty()) item["notExtracted"] = missed;
    }
    if (context_.progress) {
      ++told_;
      context_.progress(static_cast<double>(told_), static_cast<double>(sent_.size()), "replaying");
    }
  }

  void compare(Json& item, const ReplayStep& step, const proxy::SendResult& sent) {
    const auto exchange = reader_.exchange(step.row);
    if (!exchange || exchange->response.head.empty()) return;
    const auto before = recorded_answer(reader_, *exchange, context_.stop);
    if (!before) return;
    const replay::Comparison made =
        replay::compare(*before, received_answer(sent), {.ignore_volatile = true, .ignore = options_.ignore});
    if (made.same) ++same_;
    item["diff"] = comparison_json(made);
  }

  // As the ring calls them; what it no longer has, or never had, has no name.
  void name_records() {
    context_.services->ring.sync();
    for (const auto& [index, seq] : records_) {
      if (!seq) continue;
      const std::string id = context_.services->ring.id_of(seq);
      if (!id.empty()) items_[index]["replayExchangeId"] = id;
    }
  }

  const session::Reader& reader_;
  ReplayOptions& options_;
  std::vector<ReplayStep>& steps_;
  CallContext& context_;
  ReplayValues values_;
  Json items_ = Json::array();
  std::vector<std::size_t> sent_;  // steps that are
  std::vector<std::pair<std::size_t, ExchangeSeq>> records_;
  std::vector<std::string> not_chained_;
  std::size_t executed_ = 0, same_ = 0, told_ = 0;
};

// The sooner of what the caller gives and of what the call has.
std::optional<MonoTime> deadline_of(const Json& arguments, const CallContext& context) {
  std::optional<MonoTime> deadline;
  if (context.deadline) deadline = *context.deadline - kForTheAnswer;
  if (const auto given = integer_argument(arguments, "deadline_ms")) {
    const MonoTime at = context.services->clock.mono() + std::chrono::milliseconds(*given);
    deadline = deadline ? std::min(*deadline, at) : at;
  }
  return deadline;
}

// All that a replay holds on to while it runs.
struct Begun {
  ReplayOptions options;
  std::unique_ptr<session::Reader> reader;
  std::vector<ReplayStep> steps;
  CallContext context;  // its own
};

// Goes on when the call is over: as long as it takes, and told to nobody but proxy_replay_status.
ToolResult begin_in_background(const Json& arguments, std::shared_ptr<Begun> begun, CallContext& context) {
  if (const auto given = integer_argument(arguments, "deadline_ms")) {
    begun->options.pace.deadline = context.services->clock.mono() + std::chrono::milliseconds(*given);
  }
  begun->context.grant = context.grant;
  begun->context.services = context.services;
  begun->context.handles = context.handles;
  const std::string session = begun->reader->manifest().id;
  Json plan = SessionReplay(*begun->reader, begun->options, begun->steps, begun->context).answer("execute");
  auto work = [begun](const std::stop_token& stop, const ReplayBoard::Progress& progress) -> Result<Json> {
    begun->context.stop = stop;
    begun->context.progress = [&progress](double done, double total, std::string_view) {
      progress(static_cast<std::size_t>(done), static_cast<std::size_t>(total));
    };
    SessionReplay replay(*begun->reader, begun->options, begun->steps, begun->context);
    replay.run();
    return replay.answer("execute");
  };
  SLUICE_TRY(plan["replayId"], context.services->replays->begin({context.grant, context.credential}, session,
                                                                context.services->clock.wall(), std::move(work)));
  return plan;
}

}  // namespace

ToolResult replay_session(const Json& arguments, CallContext& context) {
  const auto begun = std::make_shared<Begun>();
  SLUICE_TRY(begun->options, read_replay_options(arguments));
  SLUICE_TRY(begun->reader, open_session(arguments, context));
  SLUICE_TRY(begun->steps, plan_replay(*begun->reader, arguments, begun->options, context));
  const std::string mode = *text_argument(arguments, "mode");
  if (mode == "execute" && flag_argument(arguments, "background"))
    return begin_in_background(arguments, begun, context);
  if (mode == "execute") begun->options.pace.deadline = deadline_of(arguments, context);
  SessionReplay replay(*begun->reader, begun->options, begun->steps, context);
  if (mode == "execute")
    replay.run();
  else
    replay.plan();
  if (context.stop.stop_requested()) return fail(Code::kCancelled, "The call was cancelled.");
  return replay.answer(mode);
}

namespace {

// What is longer than an answer is kept where it can be read in pages: to ask here again would send again.
ToolResult replay_in_pages(const Json& arguments, CallContext& context) {
  const WallTime started = context.services->clock.wall();
  SLUICE_TRY(Json answer, replay_session(arguments, context));
  Page page;
  for (const Json& item : answer["items"]) {
    if (!page.add(item)) break;
  }
  const std::size_t shown = page.size(), total = answer["items"].size();
  if (shown == total) return answer;
  Json more;
  if (answer["mode"] == "execute") {
    if (!answer.contains("replayId")) {
      answer["replayId"] = context.services->replays->keep({context.grant, context.credential}, answer["sessionId"],
                                                           started, answer["executedCount"], answer);
    }
    more = {{"tool", "proxy_replay_status"}, {"arguments", {{"replay_id", answer["replayId"]}, {"offset", shown}}}};
  }
  answer.erase("items");  // behind replayId
  answer["items"] = page.take();
  answer["itemsLeft"] = total - shown;
  if (!more.is_null()) answer["moreItems"] = std::move(more);
  // A plan is made anew, and sends nothing. Who named exchanges knows which are left.
  if (answer["mode"] == "dry_run" && !find_member(arguments, "exchange_ids"))
    answer["nextOffset"] = *integer_argument(arguments, "offset") + static_cast<std::int64_t>(shown);
  return answer;
}

std::vector<ResultField> item_result() {
  return {{"seq", "number", ""},
          {"exchangeId", "string", ""},
          {"method", "string", ""},
          {"originalUrl", "string", ""},
          {"targetUrl", "string", ""},
          {"hostname", "string", ""},
          {"hasRequestBody", "boolean", ""},
          {"status", "string", "success, error, skipped", true},
          {"reason", "string", "why it was skipped", true},
          {"durationMs", "number", "", true},
          {"attempts", "number", "", true},
          {"responseStatus", "number", "", true},
          {"responseSize", "number", "", true},
          {"replayExchangeId", "string", "", true},
          {"error", "string", "why it failed; of dry_run: why it cannot be sent so", true},
          {"cause", "object", "", true, false, cause_result()},
          {"notExtracted", "string[]", "variables", true},
          {"diff", "object", "against the recorded answer: {same, status?, headers?, body, json?}", true}};
}

}  // namespace

std::vector<Field> replay_selection_fields() {
  std::vector<Field> fields = {
      {.name = "session_id", .meaning = "From proxy_list_sessions.", .required = true},
      {.name = "limit",
       .type = FieldType::kInteger,
       .meaning = "Requests at most.",
       .default_value = 100,
       .minimum = 1,
       .maximum = 5'000},
      {.name = "offset", .type = FieldType::kInteger, .meaning = "Rows to skip.", .default_value = 0, .minimum = 0},
      {.name = "sort", .meaning = "By time.", .default_value = "desc", .choices = {"asc", "desc"}},
      {.name = "exchange_ids",
       .type = FieldType::kStringArray,
       .meaning = "These, in this order; no filter holds then."}};
  add_query_fields(fields);
  for (Field& field : replay_fields()) fields.push_back(std::move(field));
  return fields;
}

Tool replay_session_tool() {
  Tool tool = {
      .name = "proxy_replay_session",
      .title = "Replay a recording",
      .summary =
          "Sends recorded requests again, octet for octet; dry_run (default) says which. Each result names cause, "
          "status, time and what differs from the recorded answer.",
      .group = "sessions",
      .risk = Risk::kExecute,
      .hints = kSlow | kReturnsTraffic | kOpenWorld,
      .fields =
          {{.name = "mode", .meaning = "execute sends.", .default_value = "dry_run", .choices = {"dry_run", "execute"}},
           {.name = "background",
            .type = FieldType::kBoolean,
            .meaning = "Go on when this call is over; proxy_replay_status tells.",
            .default_value = false}},
      .result = {{"mode", "string", ""},
                 {"sessionId", "string", ""},
                 {"selectedCount", "number", ""},
                 {"executedCount", "number", ""},
                 {"successCount", "number", "got an answer, whatever its status"},
                 {"errorCount", "number", ""},
                 {"skippedCount", "number", ""},
                 {"sameCount", "number", "answers as recorded"},
                 {"targetBaseUrl", "string", "", false, true},
                 {"direct", "boolean", ""},
                 {"unresolved", "string[]", "variables that have no value", true},
                 {"notChained", "string[]", "variables whose recorded value is not there, or too short", true},
                 {"replayId", "string", "of one in the background, or with more items than are shown", true},
                 {"items", "object[]", "", false, false, item_result()},
                 {"itemsLeft", "number", "that an answer has no room for", true},
                 {"moreItems", "object", "of execute: {tool, arguments} to read them with; it sends nothing", true},
                 {"nextOffset", "number", "of dry_run: where the plan goes on", true}},
      .function = replay_in_pages,
  };
  std::vector<Field> fields = replay_selection_fields();
  fields.insert(fields.begin() + 1, tool.fields.begin(), tool.fields.end());
  tool.fields = std::move(fields);
  return tool;
}

}  // namespace sluice::tools
