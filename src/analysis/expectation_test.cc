#include "analysis/expectation.h"

#include <gtest/gtest.h>

#include "base/entropy.h"

namespace sluice::analysis {
namespace {

std::string check(const Expectation& expectation, const Redactor* redactor = nullptr) {
  http::FieldList fields;
  fields.append("Content-Type", "application/json");
  fields.append("X-User", "ann");
  fields.append("Set-Cookie", "sid=secret-cookie-1; HttpOnly");
  return why_unmet(expectation, 200, fields, R"({"user":{"name":"ann","n":[1,2]},"access_token":"secret-token-1"})",
                   redactor);
}

TEST(LoginExpectation, EachPartMustHold) {
  EXPECT_EQ(check({}), "");
  EXPECT_EQ(check({.status = 200,
                   .header = "x-user",
                   .header_text = "an",
                   .text = "\"ann\"",
                   .pointer = "/user/n/1",
                   .equals = Json(2)}),
            "");
  EXPECT_EQ(check({.status = 302}), "The status is 200, not 302.");
  EXPECT_NE(check({.header = "X-Other"}), "");
  EXPECT_NE(check({.header = "X-User", .header_text = "bob"}), "");
  EXPECT_NE(check({.text = "Log in"}), "");
  EXPECT_NE(check({.pointer = "/user/email"}), "");
  EXPECT_NE(check({.pointer = "/user/name", .equals = Json("bob")}), "");
  EXPECT_TRUE(Expectation{}.empty());
}

TEST(LoginExpectation, SecretsAreNotFoundOutByTexts) {
  SeededEntropy entropy(3);
  const Redactor redactor(entropy);
  for (const Expectation& guess :
       {Expectation{.text = "secret-t"}, Expectation{.header = "Set-Cookie", .header_text = "secret-c"},
        Expectation{.pointer = "/access_token", .equals = Json("secret-token-1")}, Expectation{.text = "redacted"}}) {
    EXPECT_NE(check(guess, &redactor), "");
    if (guess.text != "redacted") EXPECT_EQ(check(guess), "");
  }
  EXPECT_EQ(check({.pointer = "/access_token"}, &redactor), "");
}

}  // namespace
}  // namespace sluice::analysis
