#include "analysis/unmask.h"

#include <gtest/gtest.h>

#include "base/entropy.h"

namespace sluice::analysis {
namespace {

class Unmask : public testing::Test {
 protected:
  std::string through(const std::string& raw, std::string_view type) {
    const std::string masked = redactor.mask_body(raw, type).text;
    return unmask(masked, values_behind(masked, raw, redactor));
  }
  SeededEntropy entropy{5};
  Redactor redactor{entropy};
};

TEST_F(Unmask, LeadsBackToEveryValue) {
  const std::string json = R"({"access_token":"abc123def","n":1,"password":"p,w","deep":{"token":"abc123def"}})";
  EXPECT_EQ(through(json, "application/json"), json);
  const std::string form = "user=ann&password=hunter2&token=abc";
  EXPECT_EQ(through(form, "application/x-www-form-urlencoded"), form);
}

TEST_F(Unmask, AnEscapedValueIsWhatItsSpellingMeans) {
  EXPECT_EQ(through(R"({"password":"p,\"w","token":"abc123def"})", "application/json"),
            "{\"password\":\"p,\"w\",\"token\":\"abc123def\"}");
}

TEST_F(Unmask, MasksThatAreNotKnownStay) {
  const std::string mask = redactor.mask("token", "somewhere else");
  EXPECT_EQ(unmask("a " + mask + " b", {}), "a " + mask + " b");
  EXPECT_TRUE(values_behind("x " + mask + " y", "quite another text", redactor).empty());
}

}  // namespace
}  // namespace sluice::analysis
