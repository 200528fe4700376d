// What is refused, by the section of the RFC that says so; and what only looks as if it should be.
#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <vector>

#include "http2/handmade.h"
#include "http2/http2.h"
#include "http2/pair.h"

namespace sluice::http2 {
namespace {

using namespace handmade;

std::string serve(const std::string& frames, const Options& options = {}) {
  End server(Role::kServer, options);
  server.transcript.feed(client_preface() + frames);
  return server.text().substr(std::string_view("settings 0\n").size());
}

// The first event's problem, or "" if it is no Malformed.
std::string problem_of(const std::string& text, std::string_view kind = "head") {
  const std::string begin = "malformed 1 " + std::string(kind) + ": ";
  const auto at = text.find(begin);
  if (at == text.npos) return "";
  const auto from = at + begin.size();
  return text.substr(from, text.find(" |", from) - from);
}

Fields without(Fields fields, std::string_view name) {
  std::erase_if(fields, [&](const auto& field) { return field.first == name; });
  return fields;
}
Fields changed(Fields fields, std::string_view name, std::string_view value) {
  for (auto& field : fields) {
    if (field.first == name) field.second = value;
  }
  return fields;
}

struct Case {
  std::string_view section;  // that the message must cite
  std::string_view words;    // of the message
  Fields fields;
};

const Fields kConnect = {{":method", "CONNECT"}, {":authority", "b.example:443"}};
const Fields kWebSocket = with(changed(handmade::get(), ":method", "CONNECT"), {{":protocol", "websocket"}});

std::vector<Case> request_cases() {
  const Fields sound = handmade::get();
  const std::string smuggled = "GET / HTTP/1.1\r\nhost: b.example";
  return {
      {"§8.3", "unknown pseudo", with(sound, {{":foo", "x"}})},
      {"§8.3", "unknown pseudo", with(sound, {{":status", "200"}})},
      {"§8.3", "unknown pseudo", with({{":", "x"}}, sound)},
      {"§8.3", "stands twice", with(sound, {{":path", "/"}})},
      {"§8.3", "stands twice", with(sound, {{":method", "GET"}})},
      {"§8.3", "stands twice", with(sound, {{":scheme", "https"}})},
      {"§8.3", "stands twice", with(sound, {{":authority", "a.example"}})},
      {"§8.3", "after a field", with({{"accept", "*/*"}}, sound)},
      {"§8.3", "after a field", with(without(sound, ":path"), {{"x", "y"}, {":path", "/"}})},
      {"§8.3.1", "no :method", without(sound, ":method")},
      {"§8.3.1", "no :scheme", without(sound, ":scheme")},
      {"§8.3.1", "no :path", without(sound, ":path")},
      {"§8.3.1", "neither :authority nor Host", without(sound, ":authority")},
      {"§8.3.1", "no :method", {{"x", "y"}}},
      {"§8.3.1", "no :method", {}},
      {"§8.3.1", ":path is empty", changed(sound, ":path", "")},
      {"§8.3.1", "begin with a slash", changed(sound, ":path", "x")},
      {"§8.3.1", "begin with a slash", changed(sound, ":path", "*")},
      {"§8.3.1", "begin with a slash", changed(sound, ":path", "http://a.example/")},
      {"§8.3.1", "blank or a control", changed(sound, ":path", "/ HTTP/1.1")},
      {"§8.3.1", "blank or a control", changed(sound, ":path", "/\r\nx: y")},
      {"§8.3.1", "blank or a control", changed(sound, ":path", "/\x7f")},
      {"§8.3.1", "blank or a control", changed(sound, ":path", std::string("/\0", 2))},
      {"§8.3.1", "no token", changed(sound, ":method", "")},
      {"§8.3.1", "no token", changed(sound, ":method", smuggled)},
      {"§8.3.1", "no token", changed(sound, ":method", "G T")},
      {"§8.3.1", "no scheme", changed(sound, ":scheme", "")},
      {"§8.3.1", "no scheme", changed(sound, ":scheme", "1http")},
      {"§8.3.1", "no scheme", changed(sound, ":scheme", "http://b.example/?")},
      {"§8.3.1", "no host", changed(sound, ":authority", "")},
      {"§8.3.1", "no host", changed(sound, ":authority", "a.example/x")},
      {"§8.3.1", "no host", changed(sound, ":authority", "a.example b")},
      {"§8.3.1", "no host", changed(sound, ":authority", "a.example,b.example")},
      {"§8.3.1", "no host", changed(sound, ":authority", "a.example\r\nx: y")},
      {"§8.3.1", "no host", changed(sound, ":authority", "a:1:2")},
      {"§8.3.1", "no host", changed(sound, ":authority", ":80")},
      {"§8.3.1", "no host", changed(sound, ":authority", "[::1")},
      {"§8.3.1", "no host", changed(sound, ":authority", "[::1]x")},
      {"§8.3.1", "user information", changed(sound, ":authority", "me@a.example")},
      {"§8.3.1", "Host differs", with(sound, {{"host", "b.example"}})},
      {"§8.3.1", "Host differs", with(sound, {{"host", "a.example:443"}})},
      {"§8.3.1", "more than one Host", with(sound, {{"host", "a.example"}, {"host", "a.example"}})},
      {"§8.3.1", "more than one Host",
       with(without(sound, ":authority"), {{"host", "a.example"}, {"host", "b.example"}})},
      {"§8.3.1", "no host", with(without(sound, ":authority"), {{"host", "a/b"}})},
      {"§8.3.1", "no host", with(without(sound, ":authority"), {{"host", ""}})},
      {"§8.2.1", "upper-case", with(sound, {{"Accept", "x"}})},
      {"§8.2.1", "upper-case", with(sound, {{"accepT", "x"}})},
      {"§8.2.1", "no token", with(sound, {{"a b", "x"}})},
      {"§8.2.1", "no token", with(sound, {{"a:b", "x"}})},
      {"§8.2.1", "no token", with(sound, {{"a\r\nb", "x"}})},
      {"§8.2.1", "no token", with(sound, {{std::string("a\0", 2), "x"}})},
      {"§8.2.1", "no token", with(sound, {{"\xc3\xa9", "x"}})},
      {"§8.2.1", "no name", with(sound, {{"", "x"}})},
      {"§8.2.1", "NUL, CR or LF", with(sound, {{"a", "x\r\ny: z"}})},
      {"§8.2.1", "NUL, CR or LF", with(sound, {{"a", "x\ny"}})},
      {"§8.2.1", "NUL, CR or LF", with(sound, {{"a", std::string("x\0y", 3)}})},
      {"§8.2.1", "begins or ends with a blank", with(sound, {{"a", " x"}})},
      {"§8.2.1", "begins or ends with a blank", with(sound, {{"a", "x\t"}})},
      {"§8.2.1", "begins or ends with a blank", with(sound, {{"a", " "}})},
      {"§8.2.2", "specific to a connection", with(sound, {{"connection", "close"}})},
      {"§8.2.2", "specific to a connection", with(sound, {{"keep-alive", "1"}})},
      {"§8.2.2", "specific to a connection", with(sound, {{"proxy-connection", "close"}})},
      {"§8.2.2", "specific to a connection", with(sound, {{"transfer-encoding", "chunked"}})},
      {"§8.2.2", "specific to a connection", with(sound, {{"upgrade", "h2c"}})},
      {"§8.2.2", "specific to a connection", with(sound, {{"te", "gzip"}})},
      {"§8.2.2", "specific to a connection", with(sound, {{"te", "trailers, gzip"}})},
      {"§8.1.1", "more than one Content-Length", with(sound, {{"content-length", "0"}, {"content-length", "0"}})},
      {"§8.1.1", "no plain decimal", with(sound, {{"content-length", "0, 0"}})},
      {"§8.1.1", "no plain decimal", with(sound, {{"content-length", "+1"}})},
      {"§8.1.1", "no plain decimal", with(sound, {{"content-length", "-1"}})},
      {"§8.1.1", "no plain decimal", with(sound, {{"content-length", "0x1"}})},
      {"§8.1.1", "no plain decimal", with(sound, {{"content-length", ""}})},
      {"§8.1.1", "no plain decimal", with(sound, {{"content-length", "9223372036854775808"}})},
      {"§8.1.1", "without content", with(sound, {{"content-length", "1"}})},
      {"§8.5", ":scheme or :path", with(kConnect, {{":scheme", "https"}})},
      {"§8.5", ":scheme or :path", with(kConnect, {{":path", "/"}})},
      {"§8.5", "no :authority", without(kConnect, ":authority")},
      {"§8.5", "no :authority", with(without(kConnect, ":authority"), {{"host", "b.example:443"}})},
      {"§9.3.6", "Content-Length", with(kConnect, {{"content-length", "1"}})},
      {"RFC 8441 §4", "is no CONNECT", changed(kWebSocket, ":method", "GET")},
      {"RFC 8441 §4", "no :authority", with(without(kWebSocket, ":authority"), {{"host", "a.example"}})},
      {"RFC 8441 §4", ":protocol is empty", changed(kWebSocket, ":protocol", "")},
      {"§8.3.1", "no :path", without(kWebSocket, ":path")},
      {"§8.3.1", "no :scheme", without(kWebSocket, ":scheme")},
  };
}

TEST(Refusals, RequestsThatRfc9113CallsMalformed) {
  for (const Case& wrong : request_cases()) {
    const std::string text = serve(headers(1, wrong.fields, kEndStream));
    const std::string message = problem_of(text);
    EXPECT_NE(message.find(wrong.section), message.npos) << wrong.section << " " << wrong.words << "\n" << text;
    EXPECT_NE(message.find(wrong.words), message.npos) << wrong.words << "\n" << text;
    EXPECT_EQ(text.find("\nhead"), text.npos) << text;  // nothing of it could be forwarded
  }
}

TEST(Refusals, RequestsThatOnlyLookWrong) {
  const Fields sound = handmade::get();
  const std::vector<std::pair<Fields, std::string>> cases = {
      {with(sound, {{"host", "A.example"}}), "GET / [host: a.example] scheme https"},
      {with(without(sound, ":authority"), {{"host", "a.example"}}), "GET / [host: a.example] scheme https"},
      {changed(sound, ":authority", "[::1]:8443"), "GET / [host: [::1]:8443] scheme https"},
      {changed(sound, ":scheme", "http"), "GET / [host: a.example] scheme http"},
      {changed(changed(sound, ":method", "OPTIONS"), ":path", "*"), "OPTIONS * [host: a.example] scheme https"},
      {changed(sound, ":path", "/%00?a|b\xc3\xa9"), "GET /%00?a|b\xc3\xa9 [host: a.example] scheme https"},
      {with(sound, {{"te", "trailers"}}), "GET / [host: a.example] [te: trailers] scheme https"},
      {with(sound, {{"x", ""}}), "GET / [host: a.example] [x: ] scheme https"},
      {with(sound, {{"x", "a\x01z"}}), "GET / [host: a.example] [x: a\x01z] scheme https"},
      {with(sound, {{"cookie", "a=1"}, {"cookie", "b=2"}}),
       "GET / [host: a.example] [cookie: a=1] [cookie: b=2] scheme https"},
      {with(sound, {{"content-length", "0"}}), "GET / [host: a.example] [content-length: 0] scheme https"},
      {with(kConnect, {{"content-length", "0"}}), "CONNECT b.example:443 [host: b.example:443] [content-length: 0]"},
      {kWebSocket, "CONNECT / [host: a.example] scheme https protocol websocket"},
      {with(sound, {{"connection-x", "1"}}), "GET / [host: a.example] [connection-x: 1] scheme https"},
  };
  for (const auto& [fields, expected] : cases) {
    EXPECT_EQ(serve(headers(1, fields, kEndStream)), "head 1 " + expected + " ended\n");
  }
}

TEST(Refusals, WholeUrlsAreTakenOnlyWhereTheyAreExpectedAndSayNothingNew) {
  const Fields sound = changed(handmade::get(), ":scheme", "http");
  const auto asked = [&](std::string_view path, bool expected) {
    Options options;
    options.whole_urls = expected;
    return serve(headers(1, changed(sound, ":path", path), kEndStream), options);
  };
  const std::string_view refused = ":path does not begin with a slash (RFC 9113 §8.3.1)";
  EXPECT_EQ(problem_of(asked("http://a.example/x?y", false)), refused);
  EXPECT_EQ(asked("http://a.example/x?y", true), "head 1 GET /x?y [host: a.example] scheme http ended\n");
  EXPECT_EQ(asked("http://A.example:80", true), "head 1 GET / [host: a.example] scheme http ended\n");
  EXPECT_EQ(asked("/http://b.example/", true), "head 1 GET /http://b.example/ [host: a.example] scheme http ended\n");
  for (const std::string_view other : {"http://b.example/", "http://a.example:81/", "https://a.example/",
                                       "ftp://a.example/", "http://a@a.example/", "http:///", "a.example/", ""}) {
    EXPECT_NE(problem_of(asked(other, true)), "") << other;
  }
}

TEST(Refusals, ExtendedConnectThatWasNotOffered) {
  Options options;
  options.extended_connect = false;
  EXPECT_EQ(problem_of(serve(headers(1, kWebSocket), options)),
            "a request has an unknown pseudo-header field (RFC 9113 §8.3)");
}

TEST(Refusals, KeepsWhatWasReadForTheRecord) {
  EXPECT_EQ(serve(headers(1, with(handmade::get("/x"), {{"a", "1"}, {":path", "/y"}, {"B", "2"}, {"c", "3"}}))),
            "malformed 1 head: a pseudo-header field stands after a field (RFC 9113 §8.3) | GET /x [host: a.example] "
            "[a: 1] [:path: /y] [B: 2] [c: 3]\n");
}

TEST(Refusals, LetsTheCallerAnswerWhatItRefused) {
  End server(Role::kServer, {});
  server.transcript.feed(client_preface() + headers(1, with(handmade::post(), {{"Bad", "1"}})) + data(1, "ignored") +
                         headers(1, {{"x", "y"}}, kEndStream) + headers(3, handmade::get(), kEndStream));
  ASSERT_TRUE(server.session.is_open(1));
  ASSERT_TRUE(server.session.submit_response(1, http::make_response(400), Body::kNone));
  while (!server.session.output().empty()) {
  }
  EXPECT_FALSE(server.session.is_open(1));
  const std::string text = server.text();
  EXPECT_EQ(text.find("ignored"), text.npos);
  EXPECT_EQ(text.find("trailers"), text.npos);
  EXPECT_NE(text.find("head 3 GET"), text.npos);  // the connection goes on
}

TEST(Refusals, BodiesThatRfc9113CallsMalformed) {
  const auto announced = [](std::string_view length) {
    return headers(1, with(handmade::post(), {{"content-length", std::string(length)}}));
  };
  const std::string trailers = headers(1, {{"x", "y"}}, kEndStream);
  const std::vector<std::pair<std::string, std::string_view>> cases = {
      {announced("5") + data(1, "four", kEndStream), "less content than Content-Length says (RFC 9113 §8.1.1)"},
      {announced("5") + data(1, "", kEndStream), "less content than Content-Length says (RFC 9113 §8.1.1)"},
      {announced("5") + data(1, "four") + trailers, "less content than Content-Length says (RFC 9113 §8.1.1)"},
      {announced("5") + data(1, "sixsix"), "more content than Content-Length says (RFC 9113 §8.1.1)"},
      {announced("0") + data(1, "x"), "more content than Content-Length says (RFC 9113 §8.1.1)"},
      {headers(1, handmade::post()) + headers(1, {{"x", "y"}}), "trailers do not end the stream (RFC 9113 §8.1)"},
      {headers(1, handmade::post()) + headers(1, {{":path", "/"}}, kEndStream),
       "trailers hold a pseudo-header field (RFC 9113 §8.1)"},
      {headers(1, handmade::post()) + headers(1, {{"X", "y"}}, kEndStream),
       "a field name holds upper-case letters (RFC 9113 §8.2.1)"},
      {headers(1, handmade::post()) + headers(1, {{"transfer-encoding", "chunked"}}, kEndStream),
       "a field is specific to a connection (RFC 9113 §8.2.2)"},
      {headers(1, handmade::post()) + headers(1, handmade::post(), kEndStream),
       "trailers hold a pseudo-header field (RFC 9113 §8.1)"},
  };
  for (const auto& [frames, words] : cases) {
    const std::string text = serve(frames);
    EXPECT_NE(problem_of(text, "body").find(words), text.npos) << words << "\n" << text;
    EXPECT_EQ(text.find("end 1"), text.npos) << text;  // never a clean end
  }
}

TEST(Refusals, FieldSectionsAboveTheLimit) {
  Options options;
  options.head_size = 1000;
  options.head_fields = 8;
  const auto large = [](std::size_t size) { return with(handmade::get(), {{"x", std::string(size, 'x')}}); };
  EXPECT_NE(serve(headers(1, large(700), kEndStream), options).find("head 1 GET"), std::string::npos);
  const std::string text = serve(headers(1, large(900), kEndStream) + headers(3, handmade::get(), kEndStream), options);
  EXPECT_NE(text.find("malformed 1 head too large: a field section is larger than the limit (RFC 9113 §10.5.1) | GET "
                      "/ [host: a.example]\n"),
            text.npos);
  EXPECT_NE(text.find("head 3 GET"), text.npos);
  const auto many = with(handmade::get(), Fields(5, {"x", "y"}));
  EXPECT_NE(serve(headers(1, many, kEndStream), options).find("malformed 1 head too large"), std::string::npos);
  EXPECT_NE(serve(headers(1, handmade::post()) + headers(1, large(900), kEndStream), options)
                .find("malformed 1 body too large"),
            std::string::npos);
}

// --- the client's side ---

std::string answered(const std::string& frames, std::string_view method = "GET", const Options& options = {}) {
  End client(Role::kClient, options);
  const auto head = method == "CONNECT" ? http::make_request(method, "b.example:443")
                                        : http::make_request(method, "/", {{"host", "a.example"}});
  EXPECT_TRUE(client.session.submit_request(head, {}, Body::kNone));
  while (!client.session.output().empty()) {
  }
  client.transcript.feed(settings() + frames);
  return client.text().substr(std::string_view("settings 0\n").size());
}

const Fields kOk = {{":status", "200"}};

TEST(Refusals, AnswersThatRfc9113CallsMalformed) {
  const std::vector<Case> cases = {
      {"§8.3.2", "no :status", {{"x", "y"}}},
      {"§8.3.2", "no :status", {}},
      {"§8.3.2", "not :status", with({{":path", "/"}}, kOk)},
      {"§8.3", "more than one :status", with(kOk, kOk)},
      {"§8.3", "after a field", with({{"x", "y"}}, kOk)},
      {"§8.3.2", "three digits", {{":status", "20"}}},
      {"§8.3.2", "three digits", {{":status", "2000"}}},
      {"§8.3.2", "three digits", {{":status", "099"}}},
      {"§8.3.2", "three digits", {{":status", "2 0"}}},
      {"§8.3.2", "three digits", {{":status", ""}}},
      {"§8.6", "switches protocols", {{":status", "101"}}},
      {"§8.1", "interim answer ends", {{":status", "103"}}},
      {"§8.6", "Content-Length", {{":status", "103"}, {"content-length", "1"}}},
      {"§8.6", "Content-Length", {{":status", "204"}, {"content-length", "1"}}},
      {"§8.1.1", "Content-Length", with(kOk, {{"content-length", "1"}})},
      {"§8.1.1", "more than one", with(kOk, {{"content-length", "1"}, {"content-length", "2"}})},
      {"§8.2.1", "upper-case", with(kOk, {{"Set-Cookie", "1"}})},
      {"§8.2.1", "NUL, CR or LF", with(kOk, {{"set-cookie", "a\r\nb"}})},
      {"§8.2.2", "connection", with(kOk, {{"transfer-encoding", "chunked"}})},
  };
  for (const Case& wrong : cases) {
    const std::string text = answered(headers(1, wrong.fields, kEndStream));
    const std::string message = problem_of(text);
    EXPECT_NE(message.find(wrong.section), message.npos) << wrong.section << "\n" << text;
    EXPECT_NE(message.find(wrong.words), message.npos) << wrong.words << "\n" << text;
  }
}

TEST(Refusals, AnswersWhoseContentIsNotWhatTheHeadSays) {
  const auto long_answer = headers(1, with(kOk, {{"content-length", "5"}}));
  const std::vector<std::tuple<std::string, std::string_view, std::string_view>> cases = {
      {long_answer + data(1, "four", kEndStream), "less content", "GET"},
      {long_answer + data(1, "sixsix"), "more content", "GET"},
      {long_answer + data(1, "fiver"), "more content", "HEAD"},
      {headers(1, {{":status", "204"}}) + data(1, "x"), "more content", "GET"},
      {headers(1, {{":status", "304"}, {"content-length", "5"}}) + data(1, "x"), "more content", "GET"},
      {headers(1, {{":status", "103"}}) + data(1, "x"), "before the final head", "GET"},
      {headers(1, {{":status", "103"}}) + data(1, "", kEndStream), "before the final head", "GET"},
  };
  for (const auto& [frames, words, method] : cases) {
    const std::string text = answered(frames, method);
    EXPECT_NE(problem_of(text, "body").find(words), text.npos) << words << "\n" << text;
  }
}

TEST(Refusals, AnswersThatOnlyLookWrong) {
  EXPECT_EQ(answered(headers(1, with(kOk, {{"content-length", "5"}}), kEndStream), "HEAD"),
            "head 1 200 [content-length: 5] ended\n");
  EXPECT_EQ(answered(headers(1, {{":status", "304"}, {"content-length", "5"}}, kEndStream)),
            "head 1 304 [content-length: 5] ended\n");
  EXPECT_EQ(answered(headers(1, {{":status", "204"}}) + data(1, "", kEndStream)), "head 1 204\nend 1\n");
  EXPECT_EQ(answered(headers(1, with(kOk, {{"content-length", "1"}})) + data(1, "tunnel"), "CONNECT"),
            "head 1 200 [content-length: 1]\ndata 1 [tunnel]\n");
  EXPECT_EQ(answered(headers(1, {{":status", "999"}}, kEndStream)), "head 1 999 ended\n");
}

TEST(Refusals, ResetsAMalformedAnswer) {
  End client(Role::kClient, {});
  ASSERT_TRUE(client.session.submit_request(http::make_request("GET", "/", {{"host", "a"}}), {}, Body::kNone));
  while (!client.session.output().empty()) {
  }
  client.transcript.feed(settings() + headers(1, {{":status", "abc"}}) + data(1, "late") + rst_stream(1, 0));
  EXPECT_FALSE(client.session.is_open(1));
  std::string out;
  for (Bytes part = client.session.output(); !part.empty(); part = client.session.output()) out += part;
  EXPECT_NE(out.find(rst_stream(1, 1)), out.npos);
  EXPECT_EQ(client.text(),
            "settings 0\nmalformed 1 head: :status is no number of three digits (RFC 9113 §8.3.2) | "
            "0\n");
}

}  // namespace
}  // namespace sluice::http2
