// fuzz_endpoint (mitm-tools.json, mitm.md 7, analysis.md "Fuzzing").
#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "analysis/fuzz_judge.h"
#include "analysis/fuzz_point.h"
#include "base/entropy.h"
#include "base/json_pointer.h"
#include "base/text.h"
#include "codings/codings.h"
#include "replay/request.h"
#include "replay/runner.h"
#include "tools/login_run.h"
#include "tools/mitm_flow.h"
#include "tools/mitm_send.h"
#include "tools/replaying.h"

namespace sluice::tools {
namespace {

using analysis::FuzzLocation;
using analysis::FuzzPayload;

constexpr std::size_t kBaselines = 3;
constexpr std::size_t kLookEvery = 50;        // requests; then the request as it was is sent again
constexpr std::size_t kAsItWas = SIZE_MAX;    // a step: the request as it was
constexpr std::size_t kLogin = SIZE_MAX - 1;  // a step: the login check
constexpr std::size_t kLoginEvery = 10;       // requests
constexpr int kMostBadInARow = 5;             // 5xx or 429
constexpr std::size_t kMostPayloads = 1'000;
constexpr std::size_t kMostPayload = 256 * kKiB;
constexpr ByteCount kKeep = 256 * kKiB;  // of an answer
constexpr std::chrono::seconds kForTheAnswer{2};
constexpr std::array<std::string_view, 12> kRisky = {"logout", "log-out", "signout",    "sign-out",
                                                     "delete", "remove",  "destroy",    "purge",
                                                     "drop",   "reset",   "deactivate", "unsubscribe"};

struct Plan {
  flow::Exchange exchange;
  std::string content;  // decoded
  analysis::FuzzPoint point;
  std::vector<FuzzPayload> payloads;
  LoginCheckPtr login;  // of the origin; may be null
  std::chrono::milliseconds timeout{10'000};
};

Result<analysis::FuzzPoint> read_point(const Json& arguments) {
  analysis::FuzzPoint point;
  point.name = *text_argument(arguments, "target_param");
  const std::string type = *text_argument(arguments, "param_type");
  point.location = type == "json_body" ? FuzzLocation::kJson : FuzzLocation::kQuery;
  if (const auto location = text_argument(arguments, "location"))
    point.location = *analysis::find_fuzz_location(*location);
  if (const auto pointer = text_argument(arguments, "pointer"); pointer && !pointer->empty()) {
    if (point.location != FuzzLocation::kJson) return fail(Code::kInvalid, "A pointer leads into a JSON body only.");
    if (const Status sound = check_pointer(*pointer); !sound) return fail(sound.error());
    point.pointer = *pointer;
  }
  return point;
}

Result<std::vector<FuzzPayload>> read_payloads(const Json& arguments) {
  if (const Json* own = find_member(arguments, "payloads"); own && !own->empty()) {
    const auto texts = own->get<std::vector<std::string>>();
    if (texts.size() > kMostPayloads) return fail(Code::kTooLarge, "At most 1,000 payloads.");
    for (const std::string& text : texts) {
      if (text.size() > kMostPayload) return fail(Code::kTooLarge, "A payload has at most 256 KiB.");
    }
    return analysis::own_payloads(texts);
  }
  SystemEntropy entropy;
  const std::string marker = fmt::format("slc{:08x}", static_cast<std::uint32_t>(random_number(entropy)));
  return analysis::fuzz_payloads(*analysis::find_fuzz_class(*text_argument(arguments, "payload_category")), marker);
}

Status check_safe(const flow::Exchange& exchange, bool allow_unsafe) {
  if (allow_unsafe) return {};
  if (!replay::is_safe_method(exchange.method)) {
    return fail(Code::kRefused,
                fmt::format("{} may change something each time it is sent: allow_unsafe says that it may.",
                            repair_utf8(exchange.method)));
  }
  const std::string path = to_lower(exchange.target.substr(0, exchange.target.find('?')));
  for (const std::string_view word : kRisky) {
    if (path.find(word) != std::string::npos) {
      return fail(Code::kRefused, fmt::format("The path looks like \"{}\": allow_unsafe sends it all the same.", word));
    }
  }
  return {};
}

Result<Plan> make_plan(const Json& arguments, CallContext& context) {
  Plan plan;
  SLUICE_TRY(plan.exchange, find_flow(context, *text_argument(arguments, "flow_id")));
  SLUICE_TRY(plan.point, read_point(arguments));
  SLUICE_TRY(plan.payloads, read_payloads(arguments));
  if (const Status may = replay::check_replayable(plan.exchange, {}); !may) {
    return fail(may.error().code, "This flow cannot be fuzzed: " + may.error().message + ".");
  }
  SLUICE_CHECK(check_safe(plan.exchange, flag_argument(arguments, "allow_unsafe")));
  SLUICE_TRY(plan.content, recorded_content(context.services->ring, plan.exchange));
  const auto coding = flow::parse_fields(plan.exchange.request.head).joined("content-encoding");
  if (coding && !plan.content.empty()) {
    codings::Decoded decoded = codings::decode_all(plan.content, *coding, kMostReplayed);
    if (!decoded.problem.empty())
      return fail(Code::kInvalid, "The request's body cannot be decoded: " + decoded.problem);
    plan.content = std::move(decoded.text);
  }
  plan.timeout = std::chrono::milliseconds(static_cast<std::int64_t>(*number_argument(arguments, "timeout") * 1'000));
  return plan;
}

// The request as it was, or with a payload in it.
Result<proxy::SendRequest> make_request(const Plan& plan, const FuzzPayload* payload) {
  analysis::FuzzedRequest fuzzed{plan.exchange.target, flow::parse_fields(plan.exchange.request.head), plan.content};
  replay::Overrides overrides;
  if (payload) {
    const http::FieldList before = fuzzed.fields;
    SLUICE_CHECK(analysis::put_payload(fuzzed, plan.point, *payload));
    for (const std::string& name : {std::string("cookie"), plan.point.name}) {
      const bool in_head = plan.point.location == FuzzLocation::kCookie || plan.point.location == FuzzLocation::kHeader;
      const auto value = in_head ? fuzzed.fields.find(name) : std::nullopt;
      if (value && before.find(name) != value) overrides.fields.emplace_back(name, std::string(*value));
    }
    overrides.url = replay::recorded_url(plan.exchange);
    overrides.url->target = fuzzed.target;
  }
  if (!plan.content.empty() || !fuzzed.content.empty()) {
    overrides.content = std::move(fuzzed.content);
    overrides.fields.emplace_back("content-encoding", std::nullopt);
  }
  SLUICE_TRY(proxy::SendRequest request, replay::make_request(plan.exchange, "", overrides));
  request.direct = false;  // as a client's: what rules add, such as credentials, is wanted here
  request.timeout = plan.timeout;
  request.keep = kKeep;
  return request;
}

analysis::FuzzAnswer answer_of(const proxy::SendResult& sent) {
  analysis::FuzzAnswer answer;
  if (!sent.head) return answer;
  replay::Answer received = received_answer(sent);
  answer.status = received.status;
  answer.fields = std::move(received.fields);
  answer.text = std::move(received.content);
  answer.size = received.whole ? answer.text.size() : sent.size;
  answer.time = sent.duration;
  return answer;
}

class Fuzzing {
 public:
  Fuzzing(const Plan& plan, CallContext& context) : plan_(plan), context_(context) {}

  Result<Json> run(const Json& arguments) {
    SLUICE_CHECK(check_login());
    SLUICE_CHECK(measure());
    const auto budget = static_cast<std::size_t>(*integer_argument(arguments, "budget"));
    // What comes of each: a payload, or now and then the request as it was.
    for (std::size_t i = 0; i < plan_.payloads.size() && steps_.size() + kBaselines < budget; ++i) {
      if (steps_.size() % kLookEvery == kLookEvery - 1) steps_.push_back(kAsItWas);
      // A session that died is no finding of the probes behind it.
      if (plan_.login && steps_.size() % kLoginEvery == kLoginEvery - 1) steps_.push_back(kLogin);
      steps_.push_back(i);
    }
    replay::Pace pace;
    pace.concurrency = static_cast<std::size_t>(*integer_argument(arguments, "concurrency"));
    pace.per_second = *number_argument(arguments, "rate");
    if (context_.deadline) pace.deadline = *context_.deadline - kForTheAnswer;
    const auto end = runner().run(
        steps_.size(), pace, [this](std::size_t i) { return prepare(steps_[i]); },
        [this](std::size_t i, replay::Outcome outcome) { return take(steps_[i], std::move(outcome)); }, context_.stop);
    if (context_.stop.stop_requested()) return fail(Code::kCancelled, "The call was cancelled.");
    if (end == replay::Runner::End::kDeadline)
      stopped_ = "the call's time was over: give fewer payloads, or a higher rate";
    return answer();
  }

 private:
  replay::Runner runner() const { return replay::Runner(sender_of(context_), context_.services->clock); }

  Result<replay::Runner::Prepared> prepare(std::size_t step) const {
    if (step == kLogin) {
      SLUICE_TRY(proxy::SendRequest request, login_request(*plan_.login, context_));
      return replay::Runner::Prepared{std::move(request), false};
    }
    SLUICE_TRY(proxy::SendRequest request, make_request(plan_, step == kAsItWas ? nullptr : &plan_.payloads[step]));
    return replay::Runner::Prepared{std::move(request), false};
  }

  Status check_login() {
    if (!plan_.login) return {};
    SLUICE_TRY(const LoginState state, run_login_check(*plan_.login, context_));
    if (state.alive) return {};
    return fail(Code::kUnavailable, fmt::format("Nothing was sent: the session does not live (login_check {}). {}",
                                                plan_.login->name, state.reason));
  }

  Status measure() {
    Status status;
    (void)runner().run(
        kBaselines, {}, [this](std::size_t) { return prepare(kAsItWas); },
        [&](std::size_t, replay::Outcome outcome) {
          if (outcome.refused) {
            status = fail(*outcome.refused);
          } else if (auto denied = egress_denial(outcome.sent, context_)) {
            status = fail(*std::move(denied));
          } else if (!outcome.sent.head) {
            const flow::Failure& failure = *outcome.sent.failure;
            status = fail(Code::kUnavailable,
                          fmt::format("The request as it was gets no answer ({}): {}", failure.code, failure.message));
          } else {
            baseline_.add(answer_of(outcome.sent));
          }
          return status.has_value();
        },
        context_.stop);
    if (context_.stop.stop_requested()) return fail(Code::kCancelled, "The call was cancelled.");
    return status;
  }

  // False: no more.
  bool take(std::size_t step, replay::Outcome outcome) {
    if (outcome.refused) {
      ++impossible_;
      last_refusal_ = outcome.refused->message;
      return true;
    }
    ++sent_;
    if (context_.progress) {
      context_.progress(static_cast<double>(sent_), static_cast<double>(steps_.size()), "fuzzing");
    }
    if (step == kLogin) {
      const LoginState state = judge_login(*plan_.login, outcome.sent, context_);
      if (state.alive) return true;
      stopped_ =
          fmt::format("the session does not live any more (login_check {}). {}", plan_.login->name, state.reason);
      return false;
    }
    if (const auto denied = egress_denial(outcome.sent, context_)) {
      stopped_ = denied->message;
      return false;
    }
    const analysis::FuzzAnswer answer = answer_of(outcome.sent);
    if (step == kAsItWas) {
      if (outcome.sent.head && baseline_.is_like(answer)) return true;
      stopped_ = "the request as it was is answered otherwise now (logged out, or blocked)";
      return false;
    }
    note(step, outcome.sent, answer);
    bad_in_a_row_ = answer.status >= 500 || answer.status == 429 ? bad_in_a_row_ + 1 : 0;
    if (bad_in_a_row_ < kMostBadInARow || baseline_.status() >= 500) return true;
    stopped_ = fmt::format("{} answers in a row were 5xx or 429", kMostBadInARow);
    return false;
  }

  void note(std::size_t step, const proxy::SendResult& sent, const analysis::FuzzAnswer& answer) {
    const FuzzPayload& payload = plan_.payloads[step];
    Json one = {{"payload", repair_utf8(payload.text.substr(0, 200))}};
    if (!sent.head) {
      one["anomaly"] = "No answer: " + sent.failure->message;
      one["kinds"] = Json::array({"no_answer"});
      one["cause"] = cause_json(*sent.failure);
    } else {
      const auto findings = analysis::judge(baseline_, payload, answer);
      if (findings.empty()) return;
      std::string said;
      Json kinds = Json::array(), evidence = Json::array();
      for (const analysis::FuzzFinding& finding : findings) {
        said += (said.empty() ? "" : " ") + finding.message;
        kinds.push_back(finding.kind);
        if (!finding.evidence.empty()) evidence.push_back(finding.evidence);
      }
      one["anomaly"] = std::move(said);
      one["kinds"] = std::move(kinds);
      one["status"] = answer.status;
      one["len"] = answer.size;
      one["time_ms"] = answer.time / std::chrono::milliseconds(1);
      if (!evidence.empty()) one["evidence"] = std::move(evidence);
    }
    found_.emplace_back(step, std::move(one), sent.seq);
  }

  Json answer() {
    context_.services->ring.sync();
    std::sort(found_.begin(), found_.end(),
              [](const auto& a, const auto& b) { return std::get<0>(a) < std::get<0>(b); });
    Json anomalies = Json::array();
    for (auto& [step, one, seq] : found_) {
      const std::string id = seq ? context_.services->ring.id_of(seq) : "";
      if (!id.empty()) one["flow_id"] = id;
      anomalies.push_back(std::move(one));
    }
    Json answer = {{"baseline_status", baseline_.status()},
                   {"baseline_len", baseline_.size()},
                   {"baseline_time_ms", baseline_.time() / std::chrono::milliseconds(1)},
                   {"payloads", plan_.payloads.size()},
                   {"sent", sent_},
                   {"anomalies", std::move(anomalies)}};
    if (impossible_ > 0) answer["impossible"] = {{"payloads", impossible_}, {"reason", last_refusal_}};
    if (steps_.size() < plan_.payloads.size() && stopped_.empty()) stopped_ = "the budget was used up";
    if (!stopped_.empty()) answer["stopped"] = stopped_;
    if (found_.empty()) answer["message"] = "No anomalies found.";
    return answer;
  }

  const Plan& plan_;
  CallContext& context_;
  analysis::FuzzBaseline baseline_;
  std::vector<std::size_t> steps_;  // payloads by index; kAsItWas, kLogin
  std::vector<std::tuple<std::size_t, Json, ExchangeSeq>> found_;
  std::size_t sent_ = 0, impossible_ = 0;
  int bad_in_a_row_ = 0;
  std::string stopped_, last_refusal_;
};

ToolResult fuzz_endpoint(const Json& arguments, CallContext& context) {
  SLUICE_TRY(Plan plan, make_plan(arguments, context));
  SLUICE_TRY(const proxy::SendRequest first, make_request(plan, nullptr));
  SLUICE_CHECK(check_target(plan.exchange, first, WithoutScope::kLoopback, context));
  plan.login = context.services->login_checks->of_origin(context.grant, first.scheme, first.host, first.port);
  if (!plan.payloads.empty()) {  // a place that is not there is said at once
    if (const auto tried = make_request(plan, &plan.payloads.front());
        !tried && plan.point.location != FuzzLocation::kHeader) {
      return fail(tried.error());
    }
  }
  return Fuzzing(plan, context).run(arguments);
}

}  // namespace

Tool fuzz_endpoint_tool() {
  return {
      .name = "fuzz_endpoint",
      .title = "Fuzz one parameter",
      .summary =
          "Send a captured request with payloads in one place and name what answers otherwise than the request as it "
          "was, with evidence and flows. Needs a scope; without one this machine only.",
      .group = "traffic",
      .risk = Risk::kExecute,
      .hints = kMitmproxy | kSlow | kReturnsTraffic | kOpenWorld,
      .fields =
          {flow_id_field(),
           {.name = "target_param",
            .meaning = "Name of the parameter, header, cookie or member; of a path the segment, or its number from 0.",
            .required = true},
           {.name = "param_type", .meaning = "Where it is.", .required = true, .choices = {"query", "json_body"}},
           {.name = "payload_category",
            .meaning = "What is tried.",
            .required = true,
            .choices = {"sqli", "xss", "path_traversal", "command_injection", "ssti", "open_redirect",
                        "header_injection", "type_confusion", "boundary"}},
           {.name = "timeout",
            .type = FieldType::kNumber,
            .meaning = "Seconds for each request.",
            .default_value = 10,
            .minimum = 0.1,
            .maximum = 60},
           {.name = "payloads", .type = FieldType::kStringArray, .meaning = "Your own, in place of the category's."},
           {.name = "location",
            .meaning = "Where it is, in place of param_type.",
            .choices = {"query", "path", "header", "cookie", "form", "json"}},
           {.name = "pointer", .meaning = "JSON pointer into the body, in place of target_param."},
           {.name = "concurrency",
            .type = FieldType::kInteger,
            .meaning = "Requests at once.",
            .default_value = 4,
            .minimum = 1,
            .maximum = 64},
           {.name = "rate",
            .type = FieldType::kNumber,
            .meaning = "Requests each second; 0: as fast as they end.",
            .default_value = 10,
            .minimum = 0,
            .maximum = 10'000},
           {.name = "budget",
            .type = FieldType::kInteger,
            .meaning = "Requests at most, baselines included.",
            .default_value = 200,
            .minimum = 4,
            .maximum = 10'000},
           {.name = "allow_unsafe",
            .type = FieldType::kBoolean,
            .meaning = "Also POST, PUT, DELETE … and paths such as logout.",
            .default_value = false}},
      .result = {{"baseline_status", "number", ""},
                 {"baseline_len", "number", "decoded; the median of three"},
                 {"baseline_time_ms", "number", ""},
                 {"payloads", "number", ""},
                 {"sent", "number", "baselines not counted"},
                 {"anomalies",
                  "object[]",
                  "",
                  false,
                  false,
                  {{"payload", "string", ""},
                   {"anomaly", "string", ""},
                   {"kinds", "string[]",
                    "proof, server_error, status, error_signature, reflection, length, time, no_answer"},
                   {"status", "number", "", true},
                   {"len", "number", "", true},
                   {"time_ms", "number", "", true},
                   {"evidence", "string[]", "", true},
                   {"cause", "object", "", true, false, cause_result()},
                   {"flow_id", "string", "", true}}},
                 {"impossible", "object", "payloads that cannot stand there", true},
                 {"stopped", "string", "why not all were sent", true},
                 {"message", "string", "", true}},
      .function = fuzz_endpoint};
}

}  // namespace sluice::tools
