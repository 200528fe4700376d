#include <gtest/gtest.h>

#include <map>
#include <string>

#include "http2/http2.h"

namespace sluice::http2 {
namespace {

struct Nothing final : BodySource {
  Pulled pull(StreamId, MutableBytes) override { return {0, true, nullptr}; }
};

TEST(Session, CarriesARequestAndItsAnswer) {
  Nothing source;
  Session client(Role::kClient, {}, source), server(Role::kServer, {}, source);
  const auto id =
      client.submit_request(http::make_request("GET", "/x", {{"Host", "a.example"}, {"X-A", "b"}}), {}, Body::kNone);
  ASSERT_TRUE(id);
  while (client.wants_output() || server.wants_output()) {
    for (Bytes out = client.output(); !out.empty(); out = client.output()) ASSERT_TRUE(server.feed(std::string(out)));
    while (auto event = server.next()) {
      if (auto* head = std::get_if<HeadRead>(&*event)) {
        const auto& request = std::get<http::RequestHead>(head->head);
        EXPECT_EQ(request.target, "/x");
        EXPECT_EQ(request.fields.find("host"), "a.example");
        ASSERT_TRUE(server.submit_response(head->stream, http::make_response(204), Body::kNone));
      }
    }
    for (Bytes out = server.output(); !out.empty(); out = server.output()) ASSERT_TRUE(client.feed(std::string(out)));
  }
  bool answered = false;
  while (auto event = client.next()) {
    if (auto* head = std::get_if<HeadRead>(&*event)) {
      EXPECT_EQ(std::get<http::ResponseHead>(head->head).status, 204);
      EXPECT_TRUE(head->ended);
      answered = true;
    }
  }
  EXPECT_TRUE(answered);
  EXPECT_EQ(client.open_streams(), 0u);
  EXPECT_EQ(server.open_streams(), 0u);
}

}  // namespace
}  // namespace sluice::http2
