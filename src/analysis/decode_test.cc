#include "analysis/decode.h"

#include <gtest/gtest.h>

#include "analysis/graphql.h"
#include "analysis/multipart.h"
#include "base/text.h"
#include "codings/codings.h"

namespace sluice::analysis {
namespace {

std::string chain_of(const Decoding& decoded) {
  std::string all;
  for (const std::string& one : decoded.chain) all += (all.empty() ? "" : ",") + one;
  return all;
}
std::string told(const Decoding& decoded) {
  return chain_of(decoded) + " " + dump_json(decoded.value) + (decoded.problem.empty() ? "" : " ! " + decoded.problem);
}
std::string told(Bytes octets, std::string_view type, DecodeAs as = DecodeAs::kDetect,
                 const Redactor* redactor = nullptr) {
  return told(decode(octets, {.content_type = type, .as = as, .redactor = redactor}));
}

// RFC 7519 §3.1
constexpr std::string_view kJwt =
    "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9."
    "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19y"
    "b290Ijp0cnVlfQ.dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";

TEST(Decode, ByTypeOrByLooking) {
  EXPECT_EQ(told(R"({"a":[1,2]})", "application/json; charset=utf-8"), R"(json {"a":[1,2]})");
  EXPECT_EQ(told(" [1] ", ""), "json [1]");
  EXPECT_EQ(told("{\"a\":1}\n{\"a\":2}\n", "application/x-ndjson"), R"(json [{"a":1},{"a":2}])");
  EXPECT_EQ(told(R"({"a":1})", "application/problem+json"), R"(json {"a":1})");
  EXPECT_EQ(
      told("a=1&b=x+y%21&a=2&c", "application/x-www-form-urlencoded"),
      R"(form [{"name":"a","value":"1"},{"name":"b","value":"x y!"},{"name":"a","value":"2"},{"name":"c","value":""}])");
  EXPECT_EQ(told("\x81\xa1\x61\x01", "application/msgpack"), R"(msgpack {"a":1})");
  EXPECT_EQ(told("\xa1\x61\x61\x01", "application/cbor"), R"(cbor {"a":1})");
  EXPECT_EQ(told("\x08\x96\x01", "application/x-protobuf"), R"(protobuf [{"field":1,"type":"varint","value":150}])");
  EXPECT_EQ(told("\x08\x96\x01", "text/plain", DecodeAs::kProtobuf),
            R"(protobuf [{"field":1,"type":"varint","value":150}])");
  EXPECT_EQ(told("hello", "text/plain"),
            " null ! nothing says what this is: name it with `as`, or read it with proxy_get_exchange");
}

TEST(Decode, WrappingsInsideEachOtherAreNamedInOrder) {
  const std::string json = R"({"deep":"inside"})";
  EXPECT_EQ(told(base64_encode(json), "text/plain"), R"(base64,json {"deep":"inside"})");
  const std::string zipped = *codings::encode_all(json, {codings::Coding::kGzip});
  EXPECT_EQ(told(zipped, "application/octet-stream"), R"(gzip,json {"deep":"inside"})");
  EXPECT_EQ(told(base64_encode(zipped), ""), R"(base64,gzip,json {"deep":"inside"})");
  EXPECT_EQ(told(base64_encode(base64_encode(json)), ""), R"(base64,base64,json {"deep":"inside"})");
  std::string wrapped = json;
  for (int i = 0; i < 12; ++i) wrapped = base64_encode(wrapped);
  EXPECT_TRUE(told(wrapped, "").starts_with("base64,base64,base64,base64,base64,base64 \"")) << "and no further";
  EXPECT_EQ(told("aGk=", "", DecodeAs::kBase64), "base64 \"hi\"");
  EXPECT_EQ(told("honorificabilitudinitatibus1", ""),
            " null ! nothing says what this is: name it with `as`, or read it with proxy_get_exchange")
      << "a long word is no base64";
}

TEST(Decode, AJwtWithoutItsSignature) {
  const std::string shown = told(kJwt, "");
  EXPECT_EQ(
      shown,
      R"(jwt {"header":{"typ":"JWT","alg":"HS256"},"claims":{"iss":"joe","exp":1300819380,"http://example.com/is_root":true},"signatureBytes":32})");
  EXPECT_EQ(told("eyJhbGciOiJkaXIifQ..a.b.c", "application/jwt"), R"(jwt {"header":{"alg":"dir"},"encrypted":true})");
  EXPECT_EQ(told("eyJh.b.c", "application/jwt"), " null ! not a JWT: its header is no JSON object in base64url");
  EXPECT_EQ(told("a.b", "application/jwt"), " null ! not a JWT: it has neither three parts nor five");
}

TEST(Decode, Multipart) {
  const std::string body =
      "preamble\r\n--XX\r\nContent-Disposition: form-data; name=\"who\"\r\n\r\nada\r\n--XX\r\n"
      "Content-Disposition: form-data; name=\"f\"; filename=\"a\\\"b.bin\"\r\nContent-Type: "
      "application/octet-stream\r\n\r\n\x01\xff\r\n--XX--\r\nend";
  EXPECT_EQ(
      told(body, "multipart/form-data; boundary=XX"),
      R"(multipart [{"name":"who","headers":{"content-disposition":"form-data; name=\"who\""},"bytes":3,"value":"ada"},)"
      R"({"filename":"a\"b.bin","name":"f","headers":{"content-disposition":"form-data; name=\"f\"; filename=\"a\\\"b.bin\"","content-type":"application/octet-stream"},"bytes":2,"value":"base64:Af8="}])");
  EXPECT_EQ(told("--X\n\nplain\n--X--", "multipart/mixed; boundary=\"X\""),
            R"(multipart [{"headers":{},"bytes":5,"value":"plain"}])");
  EXPECT_EQ(told("--X\r\n\r\ncut", "multipart/mixed; boundary=X"),
            R"(multipart [{"headers":{},"bytes":3,"value":"cut","complete":false}])");
  EXPECT_EQ(told("text --X\r\n", "multipart/mixed; boundary=X"),
            " null ! not multipart: no line begins with the boundary");
  EXPECT_EQ(told("x", "multipart/mixed"), " null ! not multipart: the content type names no boundary");
}

TEST(Decode, Grpc) {
  const std::string message("\0\0\0\0\x03\x08\x96\x01", 8);
  EXPECT_EQ(
      told(message + message, "application/grpc"),
      R"(grpc [{"bytes":3,"fields":[{"field":1,"type":"varint","value":150}]},{"bytes":3,"fields":[{"field":1,"type":"varint","value":150}]}])");
  EXPECT_EQ(told(message.substr(0, 6), "application/grpc+proto"),
            R"(grpc [{"bytes":3,"complete":false,"value":"\b"}])");
  EXPECT_EQ(told("nonsense", "application/grpc"),
            " null ! This is not gRPC: a message has flags that there are none of.");
}

// A body of gzip messages that each unfold to `size` octets.
std::string grpc_bombs(std::size_t size, int count) {
  const std::string bomb = codings::encode_all(std::string(size, 'x'), {codings::Coding::kGzip}).value();
  std::string message("\x01\0\0\0\0", 5);
  for (int shift = 24, at = 1; shift >= 0; shift -= 8) message[at++] = static_cast<char>(bomb.size() >> shift & 0xff);
  message += bomb;
  std::string body;
  for (int i = 0; i < count; ++i) body += message;
  return body;
}

// Each within what one message may be, a thousand in a body: they would be a gibibyte.
TEST(Decode, GrpcMessagesShareWhatTheyMayBeDecompressedTo) {
  const Decoding decoded =
      decode(grpc_bombs(1 * kMiB, 100), {.content_type = "application/grpc", .grpc_encoding = "gzip"});
  ASSERT_EQ(decoded.value.size(), 100u) << decoded.problem;
  std::size_t shown = 0;
  for (const Json& one : decoded.value) shown += one.value("value", "").size();
  EXPECT_EQ(shown, kMostDecodeInput);
  EXPECT_TRUE(decoded.value[0].contains("value"));
  EXPECT_TRUE(decoded.value[99].value("problem", "").starts_with("not decompressed")) << dump_json(decoded.value[99]);
}

TEST(Decode, TheGrpcMessageThatIsTooMuchIsNotCalledDamaged) {
  const Decoding decoded =
      decode(grpc_bombs(700 * kKiB, 8), {.content_type = "application/grpc", .grpc_encoding = "gzip"});
  ASSERT_EQ(decoded.value.size(), 8u) << decoded.problem;
  for (std::size_t i = 0; i < 8; ++i) {
    EXPECT_EQ(decoded.value[i].value("problem", "").substr(0, 16), i < 5 ? "" : "not decompressed") << i;
  }
}

// What lies between two codings would be counted by nobody.
TEST(Decode, GrpcMessagesHaveOneCoding) {
  const Decoding decoded =
      decode(grpc_bombs(10, 1), {.content_type = "application/grpc", .grpc_encoding = "gzip, gzip"});
  ASSERT_EQ(decoded.value.size(), 1u) << decoded.problem;
  EXPECT_EQ(decoded.value[0].value("problem", ""), "the message cannot be decompressed");
}

TEST(Decode, GraphqlNamesItsOperations) {
  EXPECT_EQ(
      told(
          R"({"query":"query Find($id: ID!) { user(id: $id) { name } }","variables":{"id":"7"},"operationName":"Find"})",
          "application/json"),
      R"(json,graphql {"operations":[{"type":"query","name":"Find"}],"operationName":"Find","variables":{"id":"7"},"query":"query Find($id: ID!) { user(id: $id) { name } }"})");
  EXPECT_EQ(told("mutation { pay }", "application/graphql"),
            R"(graphql {"operations":[{"type":"mutation","name":null}],"query":"mutation { pay }"})");
  EXPECT_EQ(
      told(R"([{"query":"{a}"},{"query":"subscription S {b}"}])", "application/json"),
      R"(json,graphql [{"operations":[{"type":"query","name":null}],"query":"{a}"},{"operations":[{"type":"subscription","name":"S"}],"query":"subscription S {b}"}])");
  EXPECT_EQ(told(R"({"query":"shoes"})", "application/json"), R"(json {"query":"shoes"})") << "a search is none";
  const auto names = [](std::string_view text) {
    std::string all;
    const auto operations = graphql_operations(text);
    if (!operations) return std::string("none");
    for (const auto& one : *operations) all += one.type + ":" + one.name + ";";
    return all;
  };
  EXPECT_EQ(names("# query No {\nquery A @d(if: {x: \"}\"}) {a(s: \"\"\"block \\\"\"\" } \"\"\") ...F} fragment F on T "
                  "{b} mutation B($x: [Int!]! = [1, -2.5e3]) {c}"),
            "query:A;mutation:B;");
  for (const char* text : {"", "   ", "fragment F on T {a}", "query", "query {", "{a}}", "type T {a: Int}",
                           "{a: \"open}", "(a)", "{a} ;", "query ( "}) {
    EXPECT_EQ(names(text), "none") << text;
  }
}

TEST(Decode, GarbageOfEachKindIsExplained) {
  for (const char* type : {"application/json", "application/msgpack", "application/cbor", "application/x-protobuf",
                           "application/grpc", "application/jwt", "multipart/form-data; boundary=b",
                           "application/graphql", "application/x-www-form-urlencoded"}) {
    for (const std::string& garbage : {std::string("\xc1\xff\x00\x1c", 4), std::string(), std::string("\xff")}) {
      const Decoding decoded = decode(garbage, {.content_type = type});
      if (!decoded.chain.empty()) continue;  // no octets are a protocol buffer
      EXPECT_TRUE(decoded.value.is_null()) << type;
      EXPECT_FALSE(decoded.problem.empty()) << type;
    }
  }
  EXPECT_EQ(told("not base64!", "", DecodeAs::kBase64), " null ! not base64");
}

TEST(Decode, SecretsAreMaskedHoweverTheyAreWrapped) {
  SeededEntropy entropy{1};
  const Redactor redactor(entropy);
  const std::string
      secret = "Zq8redXw3",
      json = R"({"user":"ada","password":"Zq8redXw3","pins":[{"otp":4711}],"note":"{\"token\":\"Zq8redXw3\"}"})";
  const std::string zipped = *codings::encode_all(json, {codings::Coding::kGzip});
  const std::string msgpack =
      "\x82\xa4user\xa3"
      "ada\xa8password\xa9" +
      secret;
  const std::string msgpack_octets = std::string("\x81\xa8password\xc4\x09", 12) + secret;
  const std::string cbor = "\xa1\x68password\x69" + secret;
  const std::string protobuf = "\x0a\x18{\"password\":\"Zq8redXw3\"}";
  const std::string graphql =
      R"({"query":"mutation L($p: String!) { login(p: $p) }","variables":{"password":"Zq8redXw3"}})";
  const std::string form = "user=ada&password=Zq8redXw3";
  const std::string multipart =
      "--X\r\nContent-Disposition: form-data; name=password\r\n\r\nZq8redXw3\r\n--X\r\nCookie: "
      "a=Zq8redXw3\r\n\r\nada\r\n--X--";
  const std::string bearer = base64_encode("Authorization: Bearer Zq8redXw3Zq8redXw3Zq8redXw3");
  const std::tuple<std::string, std::string_view, std::string_view> kCases[] = {
      {json, "application/json", "json"},
      {json + "\n" + json, "application/x-ndjson", "json"},
      {base64_encode(json), "", "base64,json"},
      {base64_encode(zipped), "", "base64,gzip,json"},
      {msgpack, "application/msgpack", "msgpack"},
      {msgpack_octets, "application/msgpack", "msgpack"},
      {cbor, "application/cbor", "cbor"},
      {protobuf, "application/x-protobuf", "protobuf"},
      {graphql, "application/json", "json,graphql"},
      {form, "application/x-www-form-urlencoded", "form"},
      {multipart, "multipart/form-data; boundary=X", "multipart"},
      {bearer, "", "base64"}};
  for (const auto& [body, type, chain] : kCases) {
    const Decoding open = decode(body, {.content_type = type});
    EXPECT_EQ(chain_of(open), chain) << told(open);
    const bool as_octets = body == msgpack_octets;
    EXPECT_NE(dump_json(open.value).find(as_octets ? base64_encode(secret) : secret), std::string::npos)
        << chain << told(open);
    const Decoding shut = decode(body, {.content_type = type, .redactor = &redactor});
    EXPECT_EQ(chain_of(shut), chain);
    EXPECT_EQ(dump_json(shut.value).find(secret), std::string::npos) << told(shut);
    EXPECT_EQ(dump_json(shut.value).find(base64_encode(secret)), std::string::npos) << told(shut);
    EXPECT_EQ(dump_json(shut.value).find("4711"), std::string::npos) << told(shut);
    EXPECT_NE(dump_json(shut.value).find("[redacted:"), std::string::npos) << told(shut);
  }
  const std::string personal =
      "eyJhbGciOiJub25lIn0." +
      base64url_encode(
          R"({"sub":"ada-4711","email":["a@b.c"],"scope":"read","access_token":"Zq8redXw3","address":{"street":"Main"}})") +
      ".c2ln";
  const std::string shown = told(personal, "application/jwt", DecodeAs::kDetect, &redactor);
  for (const char* hidden : {"ada-4711", "a@b.c", "Zq8redXw3", "Main", "c2ln"})
    EXPECT_EQ(shown.find(hidden), std::string::npos) << shown;
  EXPECT_NE(shown.find("\"scope\":\"read\""), std::string::npos) << shown;
}

TEST(Decode, AWindowOfWhatWasDecoded) {
  const auto window = [](std::string_view json, std::size_t offset, std::size_t limit) {
    const DecodedWindow made = window_of(*parse_json(json), offset, limit);
    return dump_json(made.value) + " of " + std::to_string(made.total) +
           (made.next_offset ? " next " + std::to_string(*made.next_offset) : "");
  };
  EXPECT_EQ(window("[1,2,3,4]", 1, 2), "[2,3] of 4 next 3");
  EXPECT_EQ(window("[1,2,3,4]", 3, 2), "[4] of 4");
  EXPECT_EQ(window("[1]", 9, 2), "[] of 1");
  EXPECT_EQ(window(R"({"a":1,"b":2,"c":3})", 1, 1), R"({"b":2} of 3 next 2)");
  EXPECT_EQ(window("\"hello\"", 1, 3), "\"ell\" of 5 next 4");
  EXPECT_EQ(window("\"a\xc3\xa9\"", 0, 2), "\"a\" of 3 next 1") << "between characters";
  EXPECT_EQ(window("7", 0, 0), "7 of 1");
}

}  // namespace
}  // namespace sluice::analysis
