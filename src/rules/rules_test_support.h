// Short ways to make rules and requests in this folder's tests.
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <utility>

#include "base/clock.h"
#include "base/json.h"
#include "rules/rule_program.h"
#include "rules/rules.h"

namespace sluice::rules {

inline Json json(std::string_view text) {
  auto parsed = parse_json(text);
  EXPECT_TRUE(parsed) << text;
  return parsed ? *parsed : Json();
}

inline RuleSpec spec(std::string_view matcher, std::string_view handler = R"({"type":"passthrough"})") {
  RuleSpec made;
  auto conditions = matcher_from_json(json(matcher));
  auto action = handler_from_json(json(handler));
  EXPECT_TRUE(conditions) << (conditions ? "" : conditions.error().message);
  EXPECT_TRUE(action) << (action ? "" : action.error().message);
  if (conditions) made.matcher = *conditions;
  if (action) made.handler = *action;
  return made;
}

// As a book's plan would have it.
inline RuleBook::Plan plan_with(RuleSpec spec, OnMatch on_match = OnMatch::kStop) {
  auto rule = std::make_shared<Rule>();
  auto program = compile_rule(spec);
  EXPECT_TRUE(program) << (program ? "" : program.error().message);
  if (program) rule->program = *program;
  rule->spec = std::move(spec);
  RuleBook::Plan plan;
  plan.applied.push_back(rule);
  if (on_match == OnMatch::kStop) plan.stopped = rule;
  return plan;
}

// A request whose parts stay where they are while a Subject looks at them.
struct Request {
  std::string method = "GET", scheme = "https", host = "example.com", target = "/";
  std::uint16_t port = 443;
  http::FieldList fields;
  std::optional<std::string> body = "";
  std::string protocol = "http/1.1";
  std::optional<int> status;

  Request& header(std::string_view name, std::string_view value) {
    fields.append(name, value);
    return *this;
  }
  RuleBook::Subject subject() const {
    return {.method = method,
            .scheme = scheme,
            .host = host,
            .target = target,
            .port = port,
            .fields = &fields,
            .body = body ? &*body : nullptr,
            .protocol = protocol,
            .status = status};
  }
};

struct Store {
  FakeClock clock;
  RuleStore rules{clock};

  RulePtr add(RuleSpec spec) {
    auto added = rules.add(std::move(spec));
    EXPECT_TRUE(added) << (added ? "" : added.error().message);
    return added ? *added : nullptr;
  }
  std::string refusal(RuleSpec spec) {
    auto added = rules.add(std::move(spec));
    return added ? "" : added.error().message;
  }
  RuleBook::Plan plan(const Request& request) const { return rules.book()->match(request.subject()); }
  bool matches(const Request& request) const { return plan(request).stopped != nullptr; }
};

}  // namespace sluice::rules
