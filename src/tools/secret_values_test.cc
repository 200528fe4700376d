#include "tools/secret_values.h"

#include <gtest/gtest.h>

#include "base/known_secrets.h"
#include "tools/tool_bench.h"

namespace sluice::tools {
namespace {

struct World {
  Bench bench;
  KnownSecrets known;
  Redactor redactor{bench.capture.entropy, &known};
  SystemEntropy entropy;
  SecretHandles handles{entropy};

  World() {
    bench.services->redactor = &redactor;
    bench.services->known = &known;
    bench.services->handles = &handles;
    bench.context.redactor = &redactor;
    bench.context.handles = true;
  }
  std::string exchange(capture::RingFixture::Spec spec) {
    bench.capture.exchange(spec);
    bench.capture.ring->sync();
    return bench.last_id();
  }
  std::string mark(std::string_view value) { return mark_of(redactor.mask("any", value)); }
  std::optional<std::string> find(const std::string& id, std::string_view value, ByteCount budget = kMiB) {
    auto secrets = SecretSource(*bench.services, "").load(id);
    return secrets ? secrets->find(mark(value), budget, {}) : std::nullopt;
  }
  std::string handle_of(const std::string& id, std::string_view value) {
    return handles.issue(bench.context.grant, {id, "", mark(value)}, origin);
  }
  proxy::SendRequest request() const {
    proxy::SendRequest request;
    request.scheme = origin.scheme;
    request.host = origin.host;
    request.port = origin.port;
    return request;
  }
  const Origin origin{"https", "example.com", 443};
};

TEST(SecretValues, AreFoundWhereverTheirExchangeHasThem) {
  World world;
  const std::string id = world.exchange(
      {.method = "POST",
       .target = "/?api_key=in%20the%2Furl",
       .request_body = "password=in+the%2Bform",
       .response_body = R"({"access_token":"in the \"body\"","short":"x","secret":"short"})",
       .response_fields = "Content-Type: application/json\r\nSet-Cookie: sid=in-the-cookie; Path=/\r\n",
       .request_fields = "Content-Type: application/x-www-form-urlencoded\r\nAuthorization: Bearer in-the-header\r\n"});
  for (const char* value : {"in the/url", "in the+form", "in the \"body\"", "in-the-cookie", "in-the-header"}) {
    EXPECT_EQ(world.find(id, value), value);
  }
  EXPECT_FALSE(world.find(id, "short")) << "it would not be found again in an answer";
  EXPECT_FALSE(world.find(id, "never there at all"));
  EXPECT_FALSE(world.find(id, "in the \"body\"", 4)) << "there is a budget for bodies";
  EXPECT_FALSE(world.find("00000000-0000-4000-8000-000000000000", "in-the-header"));
}

// RFC 1951 §3.2.4, RFC 7692 §7.2.1: a block for each octet, so that nothing in it reads as it did.
std::string deflated(std::string_view text) {
  std::string out;
  for (const char c : text) out.append("\x00\x01\x00\xfe\xff", 5).push_back(c);
  return out + '\0';
}

TEST(SecretValues, AreFoundInTheMessagesOfASocketCompressedOrNot) {
  World world;
  const auto socket = [&](bool compressed) {
    const ExchangeSeq seq = world.bench.capture.begin({.target = "/socket"});
    const std::string fields =
        std::string("Upgrade: websocket\r\n") + (compressed ? "Sec-WebSocket-Extensions: permessage-deflate\r\n" : "");
    world.bench.capture.respond(seq, {.status = 101, .response_fields = fields});
    flow::Sink& sink = world.bench.capture.sink();
    sink.body(seq, flow::Direction::kRequest, "hello {");
    sink.message(seq, {.direction = flow::Direction::kRequest, .opcode = 1, .length = 7});
    for (const auto& [direction, text] :
         {std::pair(flow::Direction::kRequest, R"({"password":"in-what-was-sent"})"),
          std::pair(flow::Direction::kResponse, R"({"access_token":"in-what-was-received"})")}) {
      const std::string payload = compressed ? deflated(text) : text;
      sink.body(seq, direction, payload);
      const ByteCount before = direction == flow::Direction::kRequest ? 7 : 0;
      sink.message(
          seq,
          {.direction = direction, .opcode = 1, .compressed = compressed, .offset = before, .length = payload.size()});
    }
    world.bench.capture.end(seq, {});
    world.bench.capture.ring->sync();
    return world.bench.last_id();
  };
  for (const bool compressed : {false, true}) {
    const std::string id = socket(compressed);
    for (const char* value : {"in-what-was-sent", "in-what-was-received"}) EXPECT_EQ(world.find(id, value), value);
    EXPECT_FALSE(world.find(id, "never there at all"));
    EXPECT_FALSE(world.find(id, "in-what-was-received", 8)) << "there is a budget for messages";
  }
}

TEST(SecretValues, AreFoundInEvents) {
  World world;
  const std::string id = world.exchange({.response_body = "data: {\"access_token\":\ndata: \"in-an-event\"}\n\n",
                                         .response_fields = "Content-Type: text/event-stream\r\n"});
  EXPECT_EQ(world.find(id, "in-an-event"), "in-an-event");
}

TEST(SecretValues, AreWholeWhereAKnownOneStandsInThem) {
  World world;
  const std::string id = world.exchange({.request_fields = "Cookie: sid=before-the-real-token-behind\r\n"});
  ASSERT_TRUE(world.known.add("the-real-token"));
  EXPECT_EQ(world.find(id, "before-the-real-token-behind"), "before-the-real-token-behind");
}

TEST(SecretFiller, FillsAHandleInAndBindsTheRequestToItsOrigin) {
  World world;
  const std::string id = world.exchange({.request_fields = "Authorization: Bearer the-real-token\r\n"});
  const std::string handle = world.handle_of(id, "the-real-token");
  SecretFiller filler(world.bench.context);
  analysis::Variables variables;
  const auto found = filler.find("a " + handle + " b " + handle, variables);
  ASSERT_TRUE(found) << found.error().message;
  ASSERT_EQ(found->size(), 2u);
  EXPECT_EQ(variables[handle], "the-real-token");
  EXPECT_EQ(world.redactor.mask_text("it says the-real-token").text.find("the-real"), std::string::npos);
  proxy::SendRequest own = world.request();
  EXPECT_TRUE(filler.bind(own));
  EXPECT_TRUE(own.own_origin);
  for (const auto& change : std::vector<std::function<void(proxy::SendRequest&)>>{
           [](auto& request) { request.scheme = "http"; }, [](auto& request) { request.host = "evil.test"; },
           [](auto& request) { request.port = 444; }}) {
    proxy::SendRequest other = world.request();
    change(other);
    const Status refused = filler.bind(other);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, Code::kRefused);
  }
}

TEST(SecretFiller, AFillerThatMetNoHandleBindsNothing) {
  World world;
  SecretFiller filler(world.bench.context);
  analysis::Variables variables;
  EXPECT_TRUE(filler.find("plain ${text}", variables)->empty());
  proxy::SendRequest request = world.request();
  EXPECT_TRUE(filler.bind(request));
  EXPECT_FALSE(request.own_origin);
}

TEST(SecretFiller, EachFillerBindsEvenIfTheValueIsThereAlready) {
  World world;
  const std::string id = world.exchange({.request_fields = "Authorization: Bearer the-real-token\r\n"});
  const std::string handle = world.handle_of(id, "the-real-token");
  analysis::Variables variables;  // those of a whole replay
  SecretFiller first(world.bench.context), second(world.bench.context);
  ASSERT_TRUE(first.find(handle, variables));
  ASSERT_TRUE(second.find(handle, variables));
  proxy::SendRequest other = world.request();
  other.host = "evil.test";
  EXPECT_FALSE(second.bind(other));
}

TEST(SecretFiller, RefusesWhatMeansNothingAndTwoOriginsInOneRequest) {
  World world;
  const std::string id = world.exchange({.request_fields = "Authorization: Bearer the-real-token\r\n"});
  const std::string there = world.exchange({.host = "other.test", .request_fields = "Cookie: sid=another-secret\r\n"});
  const std::string handle = world.handle_of(id, "the-real-token");
  const std::string other =
      world.handles.issue("default", {there, "", world.mark("another-secret")}, {"https", "other.test", 443});
  const std::string stranger = world.handles.issue("stranger", {id, "", world.mark("the-real-token")}, world.origin);
  const std::string lying = world.handles.issue("default", {there, "", world.mark("another-secret")}, world.origin);
  EXPECT_EQ(lying, other) << "a place has one origin";
  analysis::Variables variables;
  {
    SecretFiller filler(world.bench.context);
    ASSERT_TRUE(filler.find(handle, variables));
    EXPECT_EQ(filler.find(other, variables).error().code, Code::kRefused);
  }
  for (const std::string& nothing : {stranger, "{{secret:" + std::string(32, 'a') + "}}"}) {
    SecretFiller filler(world.bench.context);
    const auto found = filler.find(nothing, variables);
    ASSERT_FALSE(found);
    EXPECT_EQ(found.error().code, Code::kNotFound);
    EXPECT_NE(found.error().message.find("Read the exchange again"), std::string::npos);
  }
  world.bench.ok("proxy_clear_traffic");
  SecretFiller late(world.bench.context);
  EXPECT_EQ(late.find(handle, variables).error().code, Code::kNotFound);
  CallContext without = world.bench.context;
  without.handles = false;
  SecretFiller off(without);
  EXPECT_TRUE(off.find(handle, variables)->empty()) << "without them in the policy it is a text";
}

TEST(CheckHandles, RefusesThemInFieldsThatDoNotTakeThem) {
  const std::string handle = "{{secret:" + std::string(32, 'a') + "}}";
  std::size_t taking = 0;
  for (const Tool& tool : all_tools()) {
    for (const Field& field : tool.fields) {
      const std::string name(field.name);
      for (const Json& value :
           {Json(handle), Json{{"a", {{"b", Json::array({"x " + handle})}}}}, Json{{handle, "x"}}}) {
        EXPECT_EQ(check_handles(tool, {{name, value}}).has_value(), field.takes_handles) << tool.name << " " << name;
      }
      if (!field.takes_handles) continue;
      ++taking;
      const std::string said = input_schema(tool)["properties"][name]["description"];
      EXPECT_TRUE(said.ends_with(kTakesHandles)) << said;
    }
  }
  EXPECT_EQ(taking, 5u) << "replay_flow: url, headers_json, body; set_headers of the two replays of recordings";
}

}  // namespace
}  // namespace sluice::tools
