#include "gateway/approval_webhook.h"

#include <gtest/gtest.h>

namespace sluice::gateway {
namespace {

TEST(ApprovalWebhook, TheSignatureIsThatOfTimeAndBody) {
  // printf '1700000000.{"id":"apr_1"}' | openssl dgst -sha256 -hmac a-secret-of-the-webhook
  EXPECT_EQ(webhook_signature(Secret("a-secret-of-the-webhook"), 1'700'000'000, R"({"id":"apr_1"})"),
            "t=1700000000,v1=a3990fd817129f35b7e6e356339a0dd5ae018bab9128bccb85b7e9b897fc39cd");
  EXPECT_NE(webhook_signature(Secret("a-secret-of-the-webhook"), 1'700'000'001, R"({"id":"apr_1"})").substr(13),
            webhook_signature(Secret("a-secret-of-the-webhook"), 1'700'000'000, R"({"id":"apr_1"})").substr(13));
}

TEST(ApprovalWebhook, OnlyHttpsOrThisMachineIsTaken) {
  boost::asio::io_context io;
  FakeClock clock;
  const auto taken = [&](std::string url) {
    ApprovalWebhook::Options options;
    options.url = std::move(url);
    options.key = Secret("a-secret-of-the-webhook");
    return ApprovalWebhook::create(io, clock, std::move(options)).has_value();
  };
  for (const char* url :
       {"https://example.com/x", "http://127.0.0.1:1/", "http://localhost/", "http://[::1]:2/", "http://127.9.9.9/"}) {
    EXPECT_TRUE(taken(url)) << url;
  }
  for (const char* url : {"http://example.com/", "http://127.0.0.1.example.com/", "http://10.0.0.1/",
                          "ftp://127.0.0.1/", "http://user:pass@127.0.0.1/", "127.0.0.1", ""}) {
    EXPECT_FALSE(taken(url)) << url;
  }
}

// Nothing listens at port 9 of this machine, or it does not answer: either way no more than kMostWaiting are kept.
TEST(ApprovalWebhook, WhatWaitsIsBoundedAndGoesWithIt) {
  boost::asio::io_context io;
  FakeClock clock;
  std::size_t told = 0;
  ApprovalWebhook::Options options;
  options.url = "http://127.0.0.1:9/";
  options.key = Secret("a-secret-of-the-webhook");
  options.on_failure = [&](std::string_view) { ++told; };
  auto webhook = ApprovalWebhook::create(io, clock, std::move(options));
  ASSERT_TRUE(webhook);
  for (std::size_t i = 0; i < ApprovalWebhook::kMostWaiting + 10; ++i) {
    (*webhook)->send("{}", unix_ms(clock.wall()) + 1000);
  }
  EXPECT_EQ(told, 10u);
  io.poll();
  webhook->reset();
  io.restart();
  io.run_for(std::chrono::seconds(1));
  EXPECT_EQ(told, 10u);
}

}  // namespace
}  // namespace sluice::gateway
