// The truth table of gate.md 3, whole: every operator in both lists against what is absent, null, of a wrong type, not
// finite, equal and different.
#include "policy/condition.h"

#include <fmt/format.h>

#include "policy/test_policy.h"

namespace sluice::policy {
namespace {

bool holds(std::string_view path, std::string_view op, std::string_view value, std::string_view arguments, List list) {
  const std::string rule = fmt::format(R"([{{"conditions":[{{"path":{},"op":"{}","value":{}}}]}}])",
                                       dump_json(std::string(path)), op, value);
  const auto engine =
      make_engine(policy_of(fmt::format(R"({{"{}":{}}})", list == List::kRequire ? "require" : "deny_if", rule)));
  if (!engine) return false;
  const bool denied = decide(*engine, "t", arguments).verdict == Verdict::kDeny;
  return list == List::kRequire ? !denied : denied;
}

struct Row {
  std::string_view op, value, arguments;
  bool in_require, in_deny_if;
};

TEST(TruthTable, A12AbsentAndNullFailInRequireAndOnlyNegationsMatchInDenyIf) {
  const std::pair<std::string_view, std::string_view> operators[] = {{"eq", "1"},
                                                                     {"lt", "1"},
                                                                     {"lte", "1"},
                                                                     {"gt", "1"},
                                                                     {"gte", "1"},
                                                                     {"in", "[1]"},
                                                                     {"regex", "\"a\""},
                                                                     {"contains", "\"a\""},
                                                                     {"path_within", "\"/a\""},
                                                                     {"host_in", "\"a.test\""},
                                                                     {"cidr", "\"10.0.0.0/8\""},
                                                                     {"schema", "{}"}};
  for (const std::string_view arguments : {"{}", R"({"a":null})", R"({"b":1})"}) {
    for (const auto& [op, value] : operators) {
      EXPECT_FALSE(holds("args.a", op, value, arguments, List::kRequire)) << op << arguments;
      EXPECT_FALSE(holds("args.a", op, value, arguments, List::kDenyIf)) << op << arguments;
    }
    for (const auto& [op, value] : {std::pair<std::string_view, std::string_view>{"neq", "1"}, {"not_in", "[1]"}}) {
      EXPECT_FALSE(holds("args.a", op, value, arguments, List::kRequire)) << op << arguments;
      EXPECT_TRUE(holds("args.a", op, value, arguments, List::kDenyIf)) << op << arguments;
    }
    for (const List list : {List::kRequire, List::kDenyIf}) {
      EXPECT_FALSE(holds("args.a", "exists", "true", arguments, list));
      EXPECT_TRUE(holds("args.a", "exists", "false", arguments, list));
    }
  }
}

TEST(TruthTable, A11WhatIsOfAnotherTypeDeniesInBothLists) {
  const Row rows[] = {
      {"eq", "1", R"({"a":"1"})", false, true},
      {"eq", "\"1\"", R"({"a":1})", false, true},
      {"eq", "true", R"({"a":"true"})", false, true},
      {"eq", "true", R"({"a":1})", false, true},
      {"eq", "100", R"({"a":[100]})", false, true},
      {"eq", "100", R"({"a":{"$gt":0}})", false, true},
      {"neq", "1", R"({"a":"1"})", false, true},
      {"lt", "1", R"({"a":"0"})", false, true},
      {"lte", "1", R"({"a":true})", false, true},
      {"gt", "1", R"({"a":"500"})", false, true},
      {"gte", "1", R"({"a":[]})", false, true},
      {"in", "[1,2]", R"({"a":"1"})", false, true},
      {"not_in", "[1,2]", R"({"a":"1"})", false, true},
      {"in", "[1,\"x\"]", R"({"a":"1"})", false, false},
      {"not_in", "[1,\"x\"]", R"({"a":"1"})", true, true},
      {"regex", "\"1\"", R"({"a":1})", false, true},
      {"contains", "\"a\"", R"({"a":1})", false, true},
      {"contains", "1", R"({"a":"1"})", false, true},
      {"contains", "1", R"({"a":{}})", false, true},
      {"path_within", "\"/a\"", R"({"a":1})", false, true},
      {"host_in", "\"a.test\"", R"({"a":1})", false, true},
      {"cidr", "\"10.0.0.0/8\"", R"({"a":1})", false, true},
      {"cidr", "\"10.0.0.0/8\"", R"({"a":"example.com"})", false, true},
  };
  for (const Row& row : rows) {
    EXPECT_EQ(holds("args.a", row.op, row.value, row.arguments, List::kRequire), row.in_require)
        << row.op << row.arguments;
    EXPECT_EQ(holds("args.a", row.op, row.value, row.arguments, List::kDenyIf), row.in_deny_if)
        << row.op << row.arguments;
  }
}

TEST(TruthTable, A14NumbersThatAreNotFiniteDeny) {
  for (const std::string_view op : {"eq", "neq", "lt", "lte", "gt", "gte"}) {
    for (const std::string_view arguments : {R"({"a":1e400})", R"({"a":-1e400})"}) {
      EXPECT_FALSE(holds("args.a", op, "1", arguments, List::kRequire)) << op;
      EXPECT_TRUE(holds("args.a", op, "1", arguments, List::kDenyIf)) << op;
    }
  }
  for (const std::string_view op : {"in", "not_in"}) {
    EXPECT_FALSE(holds("args.a", op, "[1]", R"({"a":1e400})", List::kRequire));
    EXPECT_TRUE(holds("args.a", op, "[1]", R"({"a":1e400})", List::kDenyIf));
  }
}

TEST(TruthTable, ComparesWhatIsThere) {
  const Row rows[] = {
      {"eq", "1", R"({"a":1})", true, true},
      {"eq", "1", R"({"a":1.0})", true, true},
      {"eq", "1", R"({"a":2})", false, false},
      {"eq", "\"x\"", R"({"a":"x"})", true, true},
      {"eq", "false", R"({"a":false})", true, true},
      {"neq", "1", R"({"a":1})", false, false},
      {"neq", "1", R"({"a":2})", true, true},
      {"lt", "1", R"({"a":0.999999999999999999})", true, true},
      {"lt", "1", R"({"a":1})", false, false},
      {"lte", "1", R"({"a":1e0})", true, true},
      {"gt", "1", R"({"a":1.0000000000000000000001})", true, true},
      {"gte", "-5", R"({"a":-5.0})", true, true},
      {"gte", "-5", R"({"a":-5.1})", false, false},
      {"eq", "9007199254740993", R"({"a":9007199254740993.0})", true, true},
      {"eq", "9007199254740993", R"({"a":9007199254740992})", false, false},
      {"eq", "0.3", R"({"a":0.30000000000000004})", false, false},
      {"eq", "18446744073709551617", R"({"a":18446744073709551616})", false, false},
      {"in", "[\"a\",2]", R"({"a":2})", true, true},
      {"in", "[\"a\",2]", R"({"a":3})", false, false},
      {"not_in", "[\"a\"]", R"({"a":"b"})", true, true},
      {"not_in", "[\"a\"]", R"({"a":"a"})", false, false},
      {"regex", "\"^a.c$\"", R"({"a":"abc"})", true, true},
      {"regex", "\"^a$\"", R"({"a":"a\n"})", false, false},
      {"regex", "\"^rm\"", R"({"a":"x\nrm"})", false, false},
      {"contains", "\"b\"", R"({"a":"abc"})", true, true},
      {"contains", "\"z\"", R"({"a":"abc"})", false, false},
      {"contains", "\"b\"", R"({"a":["a","b"]})", true, true},
      {"contains", "\"z\"", R"({"a":["a"]})", false, false},
      {"contains", "\"z\"", R"({"a":[]})", false, false},
      {"contains", "\"b\"", R"({"a":[["b"]]})", false, true},
      {"contains", "\"b\"", R"({"a":[1,"b"]})", true, true},
      {"exists", "true", R"({"a":false})", true, true},
      {"exists", "false", R"({"a":false})", false, false},
  };
  for (const Row& row : rows) {
    EXPECT_EQ(holds("args.a", row.op, row.value, row.arguments, List::kRequire), row.in_require)
        << row.op << row.value << row.arguments;
    EXPECT_EQ(holds("args.a", row.op, row.value, row.arguments, List::kDenyIf), row.in_deny_if)
        << row.op << row.value << row.arguments;
  }
}

TEST(Paths, DescendByNameIndexAndBracket) {
  EXPECT_TRUE(holds("args.a.b", "eq", "1", R"({"a":{"b":1}})", List::kRequire));
  EXPECT_TRUE(holds(R"(args["a.b"])", "eq", "1", R"({"a.b":1})", List::kRequire));
  EXPECT_TRUE(holds(R"(args["q\"]"].x)", "eq", "1", R"({"q\"]":{"x":1}})", List::kRequire));
  EXPECT_TRUE(holds("args.a[1].b", "eq", "1", R"({"a":[0,{"b":1}]})", List::kRequire));
  EXPECT_FALSE(holds("args.a[2]", "eq", "1", R"({"a":[1]})", List::kDenyIf));
  EXPECT_TRUE(holds("args.a.b", "eq", "1", R"({"a":"text"})", List::kDenyIf)) << "another type on the way denies";
  EXPECT_TRUE(holds("args.a[0]", "eq", "1", R"({"a":{"0":1}})", List::kDenyIf));
  EXPECT_FALSE(holds("args.a.b", "exists", "true", R"({"a":"text"})", List::kRequire));
}

TEST(Paths, AWildcardHoldsForAllInRequireAndForOneInDenyIf) {
  EXPECT_TRUE(holds("args.a[*]", "regex", "\"^x\"", R"({"a":["x1","x2"]})", List::kRequire));
  EXPECT_FALSE(holds("args.a[*]", "regex", "\"^x\"", R"({"a":["x1","y"]})", List::kRequire));
  EXPECT_TRUE(holds("args.a[*]", "regex", "\"^x\"", R"({"a":["y","x1"]})", List::kDenyIf));
  EXPECT_TRUE(holds("args.a[*]", "regex", "\"^x\"", R"({"a":["y",1]})", List::kDenyIf)) << "another type denies";
  EXPECT_FALSE(holds("args.a[*]", "regex", "\"^x\"", R"({"a":["y"]})", List::kDenyIf));
  EXPECT_FALSE(holds("args.a[*]", "regex", "\"^x\"", R"({"a":[]})", List::kRequire)) << "no element is as if absent";
  EXPECT_FALSE(holds("args.a[*]", "regex", "\"^x\"", R"({"a":[]})", List::kDenyIf));
  EXPECT_TRUE(holds("args.a[*].b[*]", "eq", "1", R"({"a":[{"b":[2]},{"b":[3,1]}]})", List::kDenyIf));
}

TEST(Paths, RefusesWhatCouldBeReadInTwoWays) {
  for (const std::string_view path :
       {"", "arg.a", "args", "args.", "args..a", "args[0]", "args.a]", "args.a[", "args.a[x]", "args.a[-1]",
        "args[\"a\"", "args[\"a", "argsa", "state.t.x", "args.a*", "args[*]"}) {
    EXPECT_FALSE(ArgumentPath::parse(path)) << path;
  }
}

TEST(Numbers, AreComparedAsTheyAreWritten) {
  const auto order = [](std::string_view a, std::string_view b) {
    return Number::from_spelling(a).compare(Number::from_spelling(b));
  };
  const std::string_view ascending[] = {"-1e300",
                                        "-18446744073709551616",
                                        "-9223372036854775808",
                                        "-1.5",
                                        "-1",
                                        "-1e-300",
                                        "0",
                                        "1e-400",
                                        "0.1",
                                        "0.10000000000000001",
                                        "1",
                                        "1.5",
                                        "9007199254740992",
                                        "9007199254740993",
                                        "18446744073709551616",
                                        "18446744073709551617",
                                        "1e300"};
  for (std::size_t i = 0; i < std::size(ascending); ++i) {
    for (std::size_t k = 0; k < std::size(ascending); ++k) {
      EXPECT_EQ(order(ascending[i], ascending[k]), i <=> k) << ascending[i] << " " << ascending[k];
    }
  }
  EXPECT_EQ(order("-0", "0.000e5"), std::strong_ordering::equal);
  EXPECT_EQ(order("100", "1.00e2"), std::strong_ordering::equal);
  EXPECT_TRUE(Number::from_spelling("1.7976931348623157e308").is_finite());
  EXPECT_FALSE(Number::from_spelling("1.7976931348623159e308").is_finite());
  EXPECT_FALSE(Number::from_spelling("1e999999999999999999999").is_finite());
  EXPECT_TRUE(Number::from_spelling("0e999999999999999999999").is_finite());
  EXPECT_FALSE(Number::from_spelling(std::string(2'000, '1')).is_finite());
}

TEST(Numbers, BecomeMillionthsRoundedUp) {
  const std::pair<std::string_view, std::optional<Micro>> rows[] = {{"1", 1'000'000},
                                                                    {"0.9", 900'000},
                                                                    {"0.0000001", 1},
                                                                    {"1.0000001", 1'000'001},
                                                                    {"0", 0},
                                                                    {"-0.0", 0},
                                                                    {"-1", std::nullopt},
                                                                    {"-0.1", std::nullopt},
                                                                    {"1e30", std::nullopt},
                                                                    {"1e400", std::nullopt},
                                                                    {"123.456e1", 1'234'560'000},
                                                                    {"0.000000", 0}};
  for (const auto& [text, micro] : rows) EXPECT_EQ(Number::from_spelling(text).micro(), micro) << text;
}

}  // namespace
}  // namespace sluice::policy
