// The traps of OpenAPI inference; those of schemas: json_schema_test.cc; those of paths: api_patterns_test.cc.
#include "analysis/openapi.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <set>

#include "analysis/flow_view_test_support.h"
#include "base/entropy.h"

namespace sluice::analysis {
namespace {

struct Api {
  Flows flows;
  SeededEntropy entropy{3};
  Redactor redactor{entropy};

  Json document() {
    ApiPatterns patterns;
    AuthDetector detector;
    std::map<std::string, const FlowView*> none;
    flows.each([&](const FlowView& flow) {
      patterns.add(flow);
      detector.add(flow);
    });
    std::map<std::string, std::string> bodies;
    flows.each([&](const FlowView& flow) { bodies[flow.exchange.id] = flow.response_body(); });
    const auto endpoints = patterns.finish([&](const std::string& id) { return json_shape(bodies[id]); });
    const auto schemes = detector.finish();
    OpenApiWriter writer(endpoints, schemes, {.redactor = &redactor});
    for (std::size_t i = 0; i < endpoints.size(); ++i) {
      if (!writer.wants(i)) continue;
      const auto ids = endpoints[i].use.samples.ids();
      const std::set<std::string> wanted(ids.begin(), ids.end());
      flows.each([&](const FlowView& flow) {
        if (wanted.contains(flow.exchange.id)) writer.add(i, flow);
      });
    }
    return writer.finish();
  }
};

void add_json(Api& api, const std::string& target, const std::string& body, int times = 1) {
  for (int i = 0; i < times; ++i)
    api.flows.add({.target = target, .response_fields = kJsonFields, .response_body = body});
}

TEST(OpenApi, HasServersPathsAndTypedParameters) {
  Api api;
  for (int i = 1; i <= 6; ++i) add_json(api, fmt::format("/users/{}?page={}&sort=name", i * 7, i), R"({"id":1})");
  const Json document = api.document();
  EXPECT_EQ(document["openapi"], "3.1.0");
  EXPECT_EQ(document["servers"][0]["url"], "https://api.example.com");
  const Json& operation = document["paths"]["/users/{user_id}"]["get"];
  EXPECT_EQ(operation["operationId"], "getUsersByUserId");
  const Json& parameters = operation["parameters"];
  ASSERT_EQ(parameters.size(), 3u);
  EXPECT_EQ(parameters[0]["in"], "path");
  EXPECT_EQ(parameters[0]["schema"], (Json{{"type", "integer"}}));
  EXPECT_EQ(parameters[1]["name"], "page");
  EXPECT_EQ(parameters[1]["required"], true);
  EXPECT_EQ(parameters[1]["schema"]["type"], "integer");
  EXPECT_EQ(operation["responses"]["200"]["content"]["application/json"]["schema"]["required"], Json::array({"id"}));
}

TEST(OpenApi, ParametersAreRequiredOnlyFromFiveRequests) {
  Api api;
  for (int i = 0; i < 4; ++i) add_json(api, "/a?q=1", "{}");
  for (int i = 0; i < 6; ++i) add_json(api, i == 0 ? "/b" : "/b?q=1", "{}");
  const Json document = api.document();
  for (const char* path : {"/a", "/b"})
    EXPECT_FALSE(document["paths"][path]["get"]["parameters"][0].contains("required")) << path;
}

TEST(OpenApi, Int64PathParametersAreToldByTheirDigits) {
  Api api;
  add_json(api, "/t/1234567890123", "{}");
  EXPECT_EQ(api.document()["paths"]["/t/{t_id}"]["get"]["parameters"][0]["schema"],
            (Json{{"type", "integer"}, {"format", "int64"}}));
}

TEST(OpenApi, HeadNoContentAndNotModifiedHaveNoContent) {
  Api api;
  const std::string fields = kJsonFields;
  api.flows.add({.method = "HEAD", .target = "/a", .response_fields = fields, .response_body = "{}"});
  api.flows.add({.method = "DELETE", .target = "/a", .status = 204, .response_fields = fields});
  api.flows.add({.target = "/a", .status = 304, .response_fields = fields, .response_body = "{}"});
  api.flows.add({.method = "OPTIONS", .target = "/a", .status = 204});
  const Json item = api.document()["paths"]["/a"];
  EXPECT_EQ(item.size(), 4u);
  for (const auto& [method, operation] : item.items()) {
    for (const auto& [status, response] : operation["responses"].items())
      EXPECT_FALSE(response.contains("content")) << method << status;
  }
}

TEST(OpenApi, HtmlErrorsStandBesideJson) {
  Api api;
  add_json(api, "/a", R"({"x":1})", 3);
  api.flows.add(
      {.target = "/a", .status = 502, .response_fields = "Content-Type: text/html\r\n", .response_body = "<h1>Bad"});
  api.flows.add({.target = "/a", .status = 200, .response_fields = kJsonFields, .response_body = "<h1>not JSON"});
  const Json responses = api.document()["paths"]["/a"]["get"]["responses"];
  EXPECT_EQ(responses["502"]["content"]["text/html"]["schema"], (Json{{"type", "string"}}));
  EXPECT_EQ(responses["200"]["content"]["application/json"]["schema"]["type"], "object");
}

TEST(OpenApi, MediaTypesHaveNoParameters) {
  Api api;
  api.flows.add(
      {.target = "/a", .response_fields = "Content-Type: Application/JSON; charset=utf-8\r\n", .response_body = "{}"});
  api.flows.add({.target = "/a", .response_fields = kJsonFields, .response_body = "{}"});
  EXPECT_EQ(api.document()["paths"]["/a"]["get"]["responses"]["200"]["content"].size(), 1u);
}

TEST(OpenApi, RepeatedAndBracketQueriesAreArrays) {
  Api api;
  add_json(api, "/a?tag=x&tag=y&id[]=1", "{}", 6);
  const Json parameters = api.document()["paths"]["/a"]["get"]["parameters"];
  ASSERT_EQ(parameters.size(), 2u);
  EXPECT_EQ(parameters[0]["name"], "id[]");
  EXPECT_EQ(parameters[0]["schema"]["items"]["type"], "integer");
  EXPECT_EQ(parameters[1]["schema"]["type"], "array");
  EXPECT_EQ(parameters[1]["required"], true);
}

TEST(OpenApi, OperationIdsAreUnique) {
  Api api;
  for (const char* target : {"/a-b", "/a_b", "/aB", "/a/b", "/", "/Root"}) add_json(api, target, "{}");
  std::set<std::string> ids;
  const Json document = api.document();
  for (const auto& [path, item] : document["paths"].items()) {
    for (const auto& [method, operation] : item.items()) EXPECT_TRUE(ids.insert(operation["operationId"]).second);
  }
  EXPECT_EQ(ids.size(), 6u);
}

TEST(OpenApi, GraphqlGrpcAndWebSocketAreNotes) {
  Api api;
  for (const char* name : {"GetUser", "GetCart"}) {
    api.flows.add({.method = "POST",
                   .target = "/graphql",
                   .request_fields = kJsonFields,
                   .request_body = fmt::format(R"({{"query":"query {} {{ a }}"}})", name),
                   .response_fields = kJsonFields,
                   .response_body = R"({"data":{}})"});
  }
  api.flows.add({.method = "POST", .target = "/shop.Cart/Add", .request_fields = "Content-Type: application/grpc\r\n"});
  api.flows.add({.target = "/live", .status = 101, .protocol = flow::Protocol::kWebSocket});
  const Json document = api.document();
  EXPECT_EQ(document["paths"].size(), 2u);
  EXPECT_EQ(document["paths"]["/graphql"]["post"]["x-graphql-operations"].size(), 2u);
  EXPECT_EQ(document["x-grpc-services"], (Json{{"shop.Cart", Json::array({"Add"})}}));
  EXPECT_EQ(document["paths"]["/live"]["get"]["x-websocket"], true);
}

TEST(OpenApi, RequestBodiesAreJsonFormsAndFiles) {
  Api api;
  for (int i = 0; i < 5; ++i) {
    api.flows.add(
        {.method = "POST", .target = "/a", .request_fields = kJsonFields, .request_body = R"({"name":"x y","n":1})"});
    api.flows.add({.method = "PUT", .target = "/a", .request_fields = kFormFields, .request_body = "n=1&tag=a&tag=b"});
    api.flows.add(
        {.method = "PATCH",
         .target = "/a",
         .request_fields = "Content-Type: multipart/form-data; boundary=B\r\n",
         .request_body =
             "--B\r\nContent-Disposition: form-data; name=\"f\"; filename=\"a.png\"\r\n\r\nPNG\r\n--B--\r\n"});
  }
  api.flows.add({.method = "POST",
                 .target = "/a",
                 .request_fields = kJsonFields,
                 .request_body = R"({"wrong":1})",
                 .status = 422});
  const Json item = api.document()["paths"]["/a"];
  const Json& json = item["post"]["requestBody"];
  EXPECT_EQ(json["required"], true);
  EXPECT_EQ(json["content"]["application/json"]["schema"]["required"], Json::array({"name", "n"}));
  const Json& form = item["put"]["requestBody"]["content"]["application/x-www-form-urlencoded"]["schema"];
  EXPECT_EQ(form["properties"]["n"]["type"], "integer");
  EXPECT_EQ(form["properties"]["tag"]["type"], "array");
  EXPECT_EQ(item["patch"]["requestBody"]["content"]["multipart/form-data"]["schema"]["properties"]["f"],
            (Json{{"type", "string"}, {"format", "binary"}}));
}

TEST(OpenApi, SecurityComesFromDetectedAuthentication) {
  Api api;
  for (int i = 0; i < 6; ++i) {
    api.flows.add({.target = "/me", .request_fields = "Authorization: Bearer secrettoken1\r\nX-Client: web\r\n"});
    api.flows.add({.target = "/open"});
    api.flows.add({.target = fmt::format("/maybe?n={}", i),
                   .request_fields = i % 2 ? "Authorization: Bearer secrettoken1\r\n" : ""});
  }
  const Json document = api.document();
  EXPECT_EQ(document["components"]["securitySchemes"]["bearerAuth"], (Json{{"type", "http"}, {"scheme", "bearer"}}));
  EXPECT_EQ(document["paths"]["/me"]["get"]["security"], *parse_json(R"([{"bearerAuth":[]}])"));
  EXPECT_EQ(document["paths"]["/open"]["get"]["security"], Json::array());
  EXPECT_EQ(document["paths"]["/maybe"]["get"]["security"], *parse_json(R"([{},{"bearerAuth":[]}])"));
  const Json& parameters = document["paths"]["/me"]["get"]["parameters"];
  ASSERT_EQ(parameters.size(), 1u);
  EXPECT_EQ(parameters[0]["name"], "x-client");
  EXPECT_EQ(dump_json(document).find("secrettoken1"), std::string::npos);
}

TEST(OpenApi, ExamplesAreRedacted) {
  Api api;
  add_json(api, "/login", R"({"access_token":"zz9plural","user":{"email":"ann@example.org"}})", 3);
  const std::string text = dump_json(api.document());
  EXPECT_EQ(text.find("zz9plural"), std::string::npos);
  EXPECT_EQ(text.find("ann@example.org"), std::string::npos);
}

TEST(OpenApi, NoTrafficIsADocumentWithoutPaths) {
  Api api;
  const Json document = api.document();
  EXPECT_EQ(document["paths"], Json::object());
}

}  // namespace
}  // namespace sluice::analysis
