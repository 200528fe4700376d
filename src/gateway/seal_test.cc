#include "gateway/seal.h"

#include <gtest/gtest.h>

namespace sluice::gateway {
namespace {

TEST(Seal, WhatComesBackIsWhatWasGiven) {
  SeededEntropy entropy(1);
  Seal seal(entropy);
  const Json content{{"id", "apr_1"}, {"until", 5}};
  const std::string text = seal.close(content);
  EXPECT_EQ(seal.open(text), content);
  EXPECT_EQ(text.find("apr_1"), std::string::npos);
  EXPECT_NE(seal.close(content), text) << "never the same twice";
}

TEST(Seal, WhatWasAlteredOrIsAnothersDoesNotOpen) {
  SeededEntropy entropy(1);
  Seal seal(entropy), other(entropy);
  const std::string text = seal.close(Json{{"grant", "bot"}});
  EXPECT_FALSE(other.open(text));
  for (std::size_t i = 0; i < text.size(); ++i) {
    std::string altered = text;
    altered[i] = altered[i] == 'A' ? 'B' : 'A';
    if (const auto opened = seal.open(altered)) EXPECT_EQ((*opened)["grant"], "bot") << i;
  }
  for (const std::string& nothing :
       {std::string(), std::string("AAAA"), std::string("!"), text.substr(4), text + text}) {
    EXPECT_FALSE(seal.open(nothing)) << nothing;
  }
}

}  // namespace
}  // namespace sluice::gateway
