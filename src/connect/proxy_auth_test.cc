#include "connect/proxy_auth.h"

#include <gtest/gtest.h>

namespace sluice::connect {
namespace {

http::FieldList asking(std::initializer_list<std::string_view> values) {
  http::FieldList fields;
  for (const std::string_view value : values) fields.append("Proxy-Authenticate", value);
  return fields;
}

constexpr std::string_view kMd5Asked =
    R"(Digest realm="http-auth@example.org", qop="auth, auth-int", algorithm=MD5, nonce="n1", opaque="o\"1")";
constexpr std::string_view kSha256Asked =
    R"(Digest realm="http-auth@example.org", qop="auth, auth-int", algorithm=SHA-256, nonce="n2", opaque="o2")";

// RFC 7616 §3.9.1.
TEST(Digest, TheExamplesOfTheRfcComeOut) {
  DigestInput input{DigestAlgorithm::kMd5,
                    "Mufasa",
                    "http-auth@example.org",
                    "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v",
                    "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ",
                    "GET",
                    "/dir/index.html",
                    true,
                    1};
  EXPECT_EQ(digest_response(input, "Circle of Life"), "8ca523f5e9506fed4657c9700eebdbec");
  input.algorithm = DigestAlgorithm::kSha256;
  EXPECT_EQ(digest_response(input, "Circle of Life"),
            "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1");
}

// RFC 2617 §3.5, and without qop as in RFC 2069 (erratum 749).
TEST(Digest, TheOlderExamplesComeOut) {
  DigestInput input{DigestAlgorithm::kMd5,
                    "Mufasa",
                    "testrealm@host.com",
                    "dcd98b7102dd2f0e8b11d0f600bfb0c093",
                    "0a4f113b",
                    "GET",
                    "/dir/index.html",
                    true,
                    1};
  EXPECT_EQ(digest_response(input, "Circle Of Life"), "6629fae49393a05397450978507c4ef1");
  input.qop_auth = false;
  EXPECT_EQ(digest_response(input, "Circle Of Life"), "670fd8c2df070c60b045671b8b24ff02");
}

TEST(Challenges, AreReadHoweverTheyAreJoined) {
  const auto read = parse_challenges(
      asking(
          {R"(Negotiate, Basic realm="a, b", charset="UTF-8", NTLM TlRMTVNTUAAC==,Digest realm = "x\"y" , nonce=n,qop=auth)",
           R"(Bearer)"}),
      "proxy-authenticate");
  ASSERT_EQ(read.size(), 5u);
  EXPECT_EQ(read[0].scheme, "negotiate");
  EXPECT_EQ(read[1].scheme, "basic");
  EXPECT_EQ(*read[1].find("realm"), "a, b");
  EXPECT_EQ(read[2].scheme, "ntlm");
  EXPECT_TRUE(read[2].parameters.empty());
  EXPECT_EQ(read[3].scheme, "digest");
  EXPECT_EQ(*read[3].find("realm"), "x\"y");
  EXPECT_EQ(*read[3].find("nonce"), "n");
  EXPECT_EQ(*read[3].find("qop"), "auth");
  EXPECT_EQ(read[4].scheme, "bearer");
}

TEST(Challenges, GarbageEndsAndIsBounded) {
  for (const std::string_view odd : {"", ",,,,", "=", "\"", "Digest \"", "Digest a=\"\\", "a=b", "===", "\x01\x02 x"}) {
    (void)parse_challenges(asking({odd}), "proxy-authenticate");
  }
  std::string many;
  for (int i = 0; i < 1000; ++i) many += "Scheme" + std::to_string(i) + ",";
  EXPECT_LE(parse_challenges(asking({many}), "proxy-authenticate").size(), 16u);
}

class Authentication : public ::testing::Test {
 protected:
  void SetUp() override { auth_.set("user", Secret("hunter2"), ProxyAuth::Basic::kWhenAsked); }
  std::optional<ProxyAuth::Sent> send() { return auth_.authorize("CONNECT", "host:443", entropy_); }
  ProxyAuth::Verdict challenge(std::string_view value, const std::optional<ProxyAuth::Sent>& sent) {
    return auth_.challenged(asking({value}), sent);
  }

  SeededEntropy entropy_{7};
  ProxyAuth auth_;
};

TEST_F(Authentication, NothingIsSentBeforeTheProxyAsks) {
  EXPECT_TRUE(auth_.is_unsure());
  EXPECT_FALSE(send());
  EXPECT_EQ(challenge("Basic realm=x", std::nullopt), ProxyAuth::Verdict::kRetry);
  EXPECT_EQ(send()->value, "Basic dXNlcjpodW50ZXIy");
  EXPECT_FALSE(auth_.is_unsure());
  EXPECT_EQ(challenge("Basic realm=x", send()), ProxyAuth::Verdict::kWrong);
}

TEST_F(Authentication, OverTlsBasicGoesAtOnce) {
  ProxyAuth auth;
  auth.set("user", Secret("hunter2"), ProxyAuth::Basic::kAtOnce);
  EXPECT_EQ(auth.authorize("CONNECT", "h:1", entropy_)->value, "Basic dXNlcjpodW50ZXIy");
  ProxyAuth nobody;
  nobody.set("", Secret(), ProxyAuth::Basic::kAtOnce);
  EXPECT_FALSE(nobody.authorize("CONNECT", "h:1", entropy_));
}

// The attack: whoever asks for Digest alone never sees the password, and whoever offers both gets the digest.
TEST_F(Authentication, ThePasswordIsNotSentInClearWhereDigestIsOffered) {
  EXPECT_EQ(auth_.challenged(asking({"Basic realm=x", kMd5Asked, kSha256Asked}), std::nullopt),
            ProxyAuth::Verdict::kRetry);
  const auto sent = send();
  EXPECT_TRUE(sent->value.starts_with("Digest username=\"user\", realm=\"http-auth@example.org\", nonce=\"n2\""));
  EXPECT_NE(sent->value.find("algorithm=SHA-256,"), std::string::npos);
  EXPECT_NE(sent->value.find("qop=auth, nc=00000001"), std::string::npos);
  EXPECT_EQ(sent->value.find("hunter2"), std::string::npos);
  EXPECT_EQ(sent->value.find("Basic"), std::string::npos);
}

TEST_F(Authentication, NoncesAreCountedReplacedAndRenewed) {
  EXPECT_EQ(challenge(kMd5Asked, std::nullopt), ProxyAuth::Verdict::kRetry);
  const auto first = send(), second = send();
  EXPECT_NE(first->value.find("nc=00000001"), std::string::npos);
  EXPECT_NE(second->value.find("nc=00000002"), std::string::npos);
  EXPECT_NE(first->value.find(R"(opaque="o\"1")"), std::string::npos);
  http::FieldList fields;
  fields.append("Proxy-Authentication-Info", R"(nextnonce="n5", qop=auth)");
  auth_.accepted(fields, second);
  const auto third = send();
  EXPECT_NE(third->value.find("nonce=\"n5\""), std::string::npos);
  EXPECT_NE(third->value.find("nc=00000001"), std::string::npos);
  EXPECT_EQ(challenge(R"(Digest realm="r", nonce="n6", qop="auth", stale=TRUE)", third), ProxyAuth::Verdict::kRetry);
  EXPECT_NE(send()->value.find("nonce=\"n6\""), std::string::npos);
}

TEST_F(Authentication, AWrongPasswordIsNotTriedForEver) {
  EXPECT_EQ(challenge(kMd5Asked, std::nullopt), ProxyAuth::Verdict::kRetry);
  EXPECT_EQ(challenge(R"(Digest realm="r", nonce="other", qop="auth")", send()), ProxyAuth::Verdict::kWrong);
  // One that was right until now: its nonce may have run out without a word.
  auth_.accepted({}, send());
  EXPECT_EQ(challenge(R"(Digest realm="r", nonce="third", qop="auth")", send()), ProxyAuth::Verdict::kRetry);
  EXPECT_EQ(challenge(R"(Digest realm="r", nonce="fourth", qop="auth")", send()), ProxyAuth::Verdict::kWrong);
}

TEST_F(Authentication, WhatCannotBeAnsweredIsSaid) {
  EXPECT_EQ(challenge("Negotiate", std::nullopt), ProxyAuth::Verdict::kUnsupported);
  EXPECT_EQ(challenge(R"(Digest realm=r, nonce=n, algorithm=SHA-512-256)", std::nullopt),
            ProxyAuth::Verdict::kUnsupported);
  EXPECT_EQ(challenge(R"(Digest realm=r, nonce=n, qop="auth-int")", std::nullopt), ProxyAuth::Verdict::kUnsupported);
  EXPECT_EQ(challenge(R"(Digest realm=r)", std::nullopt), ProxyAuth::Verdict::kUnsupported);
  EXPECT_EQ(challenge("", std::nullopt), ProxyAuth::Verdict::kUnsupported);
  ProxyAuth nobody;
  EXPECT_EQ(nobody.challenged(asking({"Basic realm=x"}), std::nullopt), ProxyAuth::Verdict::kMissing);
}

}  // namespace
}  // namespace sluice::connect
