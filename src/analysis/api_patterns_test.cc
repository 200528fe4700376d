#include "analysis/api_patterns.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "analysis/flow_view_test_support.h"

namespace sluice::analysis {
namespace {

struct Api {
  Flows flows;
  std::map<std::string, std::string> bodies;

  void get(const std::string& target, const std::string& body = "", const std::string& method = "GET") {
    const flow::Exchange& exchange =
        flows.add({.method = method, .target = target, .response_fields = kJsonFields, .response_body = body});
    bodies[exchange.id] = body;
  }
  std::vector<ApiEndpoint> endpoints() {
    ApiPatterns patterns;
    flows.each([&](const FlowView& flow) { patterns.add(flow); });
    return patterns.finish([&](const std::string& id) { return json_shape(bodies[id]); });
  }
  std::vector<std::string> paths() {
    std::vector<std::string> all;
    for (const ApiEndpoint& endpoint : endpoints()) all.push_back(endpoint.path);
    std::sort(all.begin(), all.end());
    all.erase(std::unique(all.begin(), all.end()), all.end());
    return all;
  }
};
using Paths = std::vector<std::string>;

TEST(ApiPatterns, UsersMeStandsBesideUsersId) {
  Api api;
  for (int i = 0; i < 20; ++i) api.get(fmt::format("/users/{}", 17 + i * 31), R"({"id":1,"name":"a"})");
  api.get("/users/me", R"({"id":1,"name":"a"})");
  EXPECT_EQ(api.paths(), (Paths{"/users/me", "/users/{user_id}"}));
}

TEST(ApiPatterns, VersionsLocalesAndYearsStayLiteral) {
  Api api;
  for (const char* target : {"/v1/news", "/v2/news", "/en/about", "/de/about", "/pt-BR/about", "/archive/2023/report",
                             "/archive/2024/report", "/2/tweets", "/2/users", "/2/lists"}) {
    for (int i = 0; i < 3; ++i) api.get(target);
  }
  EXPECT_EQ(api.paths(), (Paths{"/2/lists", "/2/tweets", "/2/users", "/archive/2023/report", "/archive/2024/report",
                                "/de/about", "/en/about", "/pt-BR/about", "/v1/news", "/v2/news"}));
}

TEST(ApiPatterns, AYearBesideOtherNumbersIsANumber) {
  Api api;
  for (const char* target : {"/orders/7", "/orders/2024", "/orders/99812"}) api.get(target);
  EXPECT_EQ(api.paths(), Paths{"/orders/{order_id}"});
}

TEST(ApiPatterns, W14ValuesAreToldByTheirSpelling) {
  Api api;
  api.get("/a/550e8400-e29b-41d4-a716-446655440000");
  api.get("/b/01ARZ3NDEKTSV4RRFFQ69G5FAV");
  api.get("/c/2024-02-29");
  api.get("/d/ann%40example.com");
  api.get("/e/507f1f77bcf86cd799439011");
  api.get("/f/dGhpcyBpcyBhIHRlc3Q");
  api.get("/g/internationalization-settings");
  EXPECT_EQ(api.paths(), (Paths{"/a/{a_id}", "/b/{b_id}", "/c/{date}", "/d/{email}", "/e/{e_id}", "/f/{f_id}",
                                "/g/internationalization-settings"}));
}

TEST(ApiPatterns, W13NamesAreUniqueInAPath) {
  Api api;
  api.get("/users/1/users/2/3");
  EXPECT_EQ(api.paths(), Paths{"/users/{user_id}/users/{user_id_2}/{id}"});
}

TEST(ApiPatterns, TwoParametersNeverStandAtOnePosition) {
  Api api;
  api.get("/things/5/x");
  api.get("/things/550e8400-e29b-41d4-a716-446655440000/x");
  api.get("/things/550e8400-e29b-41d4-a716-446655440000/y");
  EXPECT_EQ(api.paths(), (Paths{"/things/{thing_id}/x", "/things/{thing_id}/y"}));
}

TEST(ApiPatterns, SlugsWhoseAnswersAreAlikeAreOneParameter) {
  Api api;
  for (int i = 0; i < 12; ++i)
    api.get(fmt::format("/products/red-shoe-{}", static_cast<char>('a' + i)), R"({"sku":"a","price":1})");
  api.get("/products/best-sellers", R"({"items":[],"total":3})");
  for (const char* name : {"ann", "bob", "cyd", "dan", "eve", "fay", "gus", "hal", "ivy"})
    api.get(fmt::format("/u/{}/posts/12", name), R"({"post":1,"text":"x"})");
  EXPECT_EQ(api.paths(), (Paths{"/products/best-sellers", "/products/{product_slug}", "/u/{u_name}/posts/{post_id}"}));
  for (const ApiEndpoint& endpoint : api.endpoints()) {
    if (endpoint.path == "/products/{product_slug}") {
      EXPECT_EQ(endpoint.parameters[0].support, 12u);
      EXPECT_EQ(endpoint.use.count, 12u);
    }
  }
}

TEST(ApiPatterns, CollectionsAreNotValuesOfAParameter) {
  Api api;
  const char* const kNames[] = {"users",  "orders", "carts",   "items",  "teams",    "roles",  "plans",
                                "events", "tags",   "reviews", "images", "invoices", "coupons"};
  for (int round = 0; round < 5; ++round) {
    for (const char* name : kNames)
      api.get(fmt::format("/api/{}", name),
              fmt::format(R"({{"items":[{{"{}_a":1,"{}_b":2,"{}_c":3}}],"total":1}})", name, name, name));
  }
  EXPECT_EQ(api.paths().size(), std::size(kNames));
}

TEST(ApiPatterns, OneHostsPathsAreNotAnothers) {
  Api api;
  api.flows.add({.host = "a.example.com", .target = "/x/1"});
  api.flows.add({.host = "b.example.com", .target = "/x/1"});
  EXPECT_EQ(api.endpoints().size(), 2u);
}

TEST(ApiPatterns, QueriesHeadersStatusesAndTypesAreCounted) {
  Api api;
  api.flows.add({.target = "/s?q=a&tag[]=1&tag[]=2",
                 .request_fields = "X-Client: 1\r\nUser-Agent: u\r\n",
                 .response_fields = "Content-Type: application/json; charset=utf-8\r\n",
                 .response_body = "{}"});
  api.flows.add({.target = "/s?q=b&page=2", .request_fields = "x-client: 1\r\n", .status = 404});
  const auto endpoints = api.endpoints();
  ASSERT_EQ(endpoints.size(), 1u);
  const EndpointUse& use = endpoints[0].use;
  EXPECT_EQ(use.query.at("q").count, 2u);
  EXPECT_EQ(use.query.at("page").count, 1u);
  EXPECT_TRUE(use.query.at("tag[]").repeated);
  EXPECT_FALSE(use.query.at("q").repeated);
  EXPECT_EQ(use.headers, (std::map<std::string, std::size_t>{{"x-client", 2}}));
  EXPECT_EQ(use.statuses, (std::map<int, std::size_t>{{200, 1}, {404, 1}}));
  EXPECT_EQ(use.response_types, (std::map<std::string, std::size_t>{{"", 1}, {"application/json", 1}}));
}

TEST(ApiPatterns, GraphqlIsToldByOperationAndGrpcByMethod) {
  Api api;
  const auto ask = [&](const std::string& body) {
    api.flows.add({.method = "POST", .target = "/graphql", .request_fields = kJsonFields, .request_body = body});
  };
  ask(R"({"query":"query GetUser($id: ID!) { user(id: $id) { name } }"})");
  ask(R"({"query":"query GetUser($id: ID!) { user(id: $id) { name } }"})");
  ask(R"({"query":"query A { a } mutation B { b }","operationName":"B"})");
  api.flows.add({.method = "POST",
                 .target = "/shop.v1.Cart/AddItem",
                 .request_fields = "Content-Type: application/grpc+proto\r\n"});
  const auto endpoints = api.endpoints();
  ASSERT_EQ(endpoints.size(), 3u);
  EXPECT_EQ(endpoints[0].operation_name, "GetUser");
  EXPECT_EQ(endpoints[0].use.count, 2u);
  const auto has = [&](Operation operation, std::string_view type, std::string_view name) {
    return std::any_of(endpoints.begin(), endpoints.end(), [&](const ApiEndpoint& each) {
      return each.operation == operation && each.operation_type == type && each.operation_name == name;
    });
  };
  EXPECT_TRUE(has(Operation::kGraphql, "mutation", "B"));
  EXPECT_TRUE(has(Operation::kGrpc, "shop.v1.Cart", "AddItem"));
}

TEST(ApiPatterns, SamplesAreEvenlyChosen) {
  Api api;
  for (int i = 0; i < 5'000; ++i)
    api.flows.add({.target = fmt::format("/n/{}", i)}).seq = ExchangeSeq{std::uint64_t(i)};
  const auto endpoints = api.endpoints();
  ASSERT_EQ(endpoints.size(), 1u);
  const auto ids = endpoints[0].use.samples.ids();
  EXPECT_EQ(ids.size(), kMostSamples);
  const auto late =
      std::count_if(ids.begin(), ids.end(), [](const std::string& id) { return std::stoi(id.substr(5)) > 2'500; });
  EXPECT_GT(late, 80);
  EXPECT_LT(late, 120);
  EXPECT_EQ(endpoints[0].parameters[0].support, 1'000u);
}

TEST(ApiPatterns, BracesOfAPathAreEscaped) {
  Api api;
  api.get("/a/{id}");
  EXPECT_EQ(api.paths(), Paths{"/a/%7Bid%7D"});
}

TEST(ApiPatterns, HostilePathsAreBounded) {
  Flows flows;
  std::string deep;
  for (int i = 0; i < 3'000; ++i) deep += "/a";
  flows.add({.target = deep});
  for (int i = 0; i < 12'000; ++i) flows.add({.target = fmt::format("/w{}x/q?p{}=1", i, i)});
  for (int i = 0; i < 1'000; ++i) flows.add({.host = fmt::format("h{}.example.com", i), .target = "/"});
  ApiPatterns patterns;
  flows.each([&](const FlowView& flow) { patterns.add(flow); });
  EXPECT_GT(patterns.dropped(), 400u);
  const auto endpoints = patterns.finish([](const std::string&) { return nullptr; });
  EXPECT_LT(endpoints.size(), 2'000u);
  for (const ApiEndpoint& endpoint : endpoints) EXPECT_LE(endpoint.use.query.size(), kMostQueryNames);
}

}  // namespace
}  // namespace sluice::analysis
