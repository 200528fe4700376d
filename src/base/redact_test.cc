#include "base/redact.h"

#include <gtest/gtest.h>

#include <ctime>
#include <regex>

#include "base/secret_names.h"

namespace sluice {
namespace {

const std::string kJwt = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl";

class RedactTest : public testing::Test {
 protected:
  // Hashes replaced by '#', so that expectations can be written down.
  static std::string shape(const std::string& text) {
    return std::regex_replace(text, std::regex("(\\[redacted:[a-z]+):[0-9a-f]{8}\\]"), "$1:#]");
  }
  std::string header(std::string_view name, std::string_view value) {
    return check(value, redactor_.mask_header_value(name, value));
  }
  std::string url(std::string_view text) {
    const Redacted once = redactor_.mask_url(text);
    EXPECT_EQ(redactor_.mask_url(once.text).text, once.text);
    return check(text, once);
  }
  std::string text(std::string_view text) {
    const Redacted once = redactor_.mask_text(text);
    EXPECT_EQ(redactor_.mask_text(once.text).text, once.text);
    return check(text, once);
  }
  std::string body(std::string_view text, std::string_view type = "application/json") {
    const Redacted once = redactor_.mask_body(text, type);
    const Redacted twice = redactor_.mask_body(once.text, type);
    EXPECT_EQ(twice.text, once.text);
    EXPECT_FALSE(twice.masked);
    return check(text, once);
  }
  static std::string check(std::string_view before, const Redacted& after) {
    EXPECT_EQ(after.masked, after.text != before) << "says what it did";
    return shape(after.text);
  }

  SeededEntropy entropy_{1};
  Redactor redactor_{entropy_};
};

TEST(SecretNames, AreFoundHoweverTheyAreSpelt) {
  for (const char* name : {"password", "Password", "PASS_WORD", "x-api-key", "X_Api_Key", "apiKey", "user[password]",
                           "user.password", "passwords[password][]", "password[0]", "ASP.NET_SessionId",
                           "__RequestVerificationToken", "X-Amz-Security-Token", "set-cookie", "client-secret"}) {
    EXPECT_NE(find_secret_name(name), nullptr) << name;
  }
  for (const char* name : {"", "x-", "x-request-id", "passwords", "next_token", "code", "key", "tokenizer", "[", "]",
                           "[]", "author", "content-type", "password_hint"}) {
    EXPECT_EQ(find_secret_name(name), nullptr) << name;
  }
}

TEST_F(RedactTest, AProxyThatIsShownWithoutItsPasswordStaysAsItIs) {
  const std::string shown = "Global upstream set to http://user:***@proxy.example:3128/***";
  EXPECT_EQ(text(shown), shown);
  EXPECT_EQ(url("http://user:***@proxy.example/"), "http://user:***@proxy.example/");
  EXPECT_EQ(url("http://user:****@proxy.example/"), "http://user:[redacted:password:#]@proxy.example/");
}

TEST_F(RedactTest, MasksEqualValuesEqually) {
  const std::string mask = redactor_.mask("token", "value");
  EXPECT_TRUE(is_mask(mask)) << mask;
  EXPECT_EQ(mask, redactor_.mask("token", "value"));
  EXPECT_NE(mask, redactor_.mask("token", "other"));
  SeededEntropy entropy(2);
  EXPECT_NE(mask, Redactor(entropy).mask("token", "value")) << "another key, another hash";
  EXPECT_EQ(redactor_.mask("token", ""), "");
  EXPECT_EQ(redactor_.mask("key", mask), mask);
}

TEST_F(RedactTest, SeesTheSameValueBehindItsEscapes) {
  const std::string plain = redactor_.mask("password", "a b/c");
  EXPECT_EQ(redactor_.mask_body("password=a+b%2Fc", "application/x-www-form-urlencoded").text, "password=" + plain);
  EXPECT_EQ(redactor_.mask_body(R"({"password":"a b\/c"})", "application/json").text,
            "{\"password\":\"" + plain + "\"}");
}

TEST(Mask, IsToldFromWhatOnlyLooksLikeOne) {
  EXPECT_TRUE(is_mask("[redacted:token:0123abcd]"));
  for (const char* text : {"", "[redacted:]", "[redacted::0123abcd]", "[redacted:token:0123abc]",
                           "[redacted:token:0123ABCD]", "[redacted:to ken:0123abcd]", "[redacted:token:0123abcd",
                           "[redacted:token:0123abcd] and more", "[redacted:a:b:0123abcd]"}) {
    EXPECT_FALSE(is_mask(text)) << text;
  }
}

TEST_F(RedactTest, KeepsTheSchemeOfCredentials) {
  EXPECT_EQ(header("Authorization", "Bearer abc.def"), "Bearer [redacted:authorization:#]");
  EXPECT_EQ(header("proxy-authorization", "Basic dXNlcjpwYXNz"), "Basic [redacted:authorization:#]");
  EXPECT_EQ(header("authorization", "Digest username=\"u\", response=\"r\""), "Digest [redacted:authorization:#]");
  EXPECT_EQ(header("authorization", "Bearer"), "Bearer");
}

TEST_F(RedactTest, APlaceholderIsNoSecret) {
  EXPECT_EQ(header("authorization", "Bearer ${access_token}"), "Bearer ${access_token}");
  EXPECT_EQ(header("cookie", "a=1; sid=${sid_2}"), "a=[redacted:cookie:#]; sid=${sid_2}");
  EXPECT_EQ(url("/p?token=${t}&sig=x"), "/p?token=${t}&sig=[redacted:signature:#]");
  EXPECT_EQ(body(R"({"token":"${t}","password":"p"})"), R"({"token":"${t}","password":"[redacted:password:#]"})");
  for (const char* text : {"${a}b", "b${a}", "${}", "${1}", "${a b}", "${a", "$a", "${a}${b}"})
    EXPECT_EQ(header("x-api-key", text), "[redacted:key:#]") << text;
}

TEST_F(RedactTest, ShowsNoWordThatIsNoKnownScheme) {
  EXPECT_EQ(header("authorization", "s3cret more"), "[redacted:authorization:#]");
  EXPECT_EQ(header("authorization", "s3cret"), "[redacted:authorization:#]");
}

TEST_F(RedactTest, KeepsCookieNamesAndAttributes) {
  EXPECT_EQ(header("cookie", "a=1; b=\"2\";c=; lonely"),
            "a=[redacted:cookie:#]; b=[redacted:cookie:#];c=; [redacted:cookie:#]");
  EXPECT_EQ(header("set-cookie", "id=x=y; Path=/; HttpOnly; Expires=Wed, 01 Jan 2031 00:00:00 GMT"),
            "id=[redacted:cookie:#]; Path=/; HttpOnly; Expires=Wed, 01 Jan 2031 00:00:00 GMT");
  EXPECT_EQ(header("cookie", ""), "");
  EXPECT_EQ(header("cookie", "a=[redacted:cookie:01234567]; [redacted:cookie:01234567]"),
            "a=[redacted:cookie:#]; [redacted:cookie:#]");
}

TEST_F(RedactTest, FindsEveryCookieOfFieldsThatWereJoined) {
  const std::string date = "Expires=Wed, 01 Jan 2031 00:00:00 GMT";
  const std::string masked = "a=[redacted:cookie:#]; ";
  EXPECT_EQ(header("set-cookie", "a=1; Path=/, b=SECRET; HttpOnly, JWT=" + kJwt),
            masked + "Path=/, b=[redacted:cookie:#]; HttpOnly, JWT=[redacted:cookie:#]");
  EXPECT_EQ(header("set-cookie", "a=1; " + date + ", b=SECRET; " + date),
            masked + date + ", b=[redacted:cookie:#]; " + date);
  EXPECT_EQ(header("set-cookie", "a=1; Expires=Wednesday, 01-Jan-31 00:00:00 GMT; Secure,SECRET"),
            masked + "Expires=Wednesday, 01-Jan-31 00:00:00 GMT; Secure,[redacted:cookie:#]");
  EXPECT_EQ(header("set-cookie", "a=1; Path=/\nb=SECRET; Secure"), masked + "Path=/\nb=[redacted:cookie:#]; Secure");
  EXPECT_EQ(header("set-cookie", "a=1; next=https://h/?token=SECRET; x=" + kJwt),
            masked + "next=https://h/?token=[redacted:token:#]; x=[redacted:jwt:#]");
  for (const char* hidden : {"a=1; Expires=0, b=SECRET", "a=1; Expires=-1,SECRET", "a=1; Expires=Wed, SECRET",
                             "a=1; expires=Wed, 01 Jan, b=SECRET", "a=1; Path=expires=Wed, SECRET", "a=1, b=SECRET",
                             "a=[redacted:cookie:01234567], SECRET", "a=SECRET[redacted:cookie:01234567], b=SECRET",
                             "a=1; Expires=\"Wed, 01 Jan 2031\", b=SECRET", "a=1; Path=/, Expires=SECRET; b=2"}) {
    EXPECT_EQ(header("set-cookie", hidden).find("SECRET"), std::string::npos) << header("set-cookie", hidden);
  }
  EXPECT_EQ(body(R"({"Set-Cookie":"a=1; Path=/, b=SECRET; Secure\nc=SECRET"})"),
            R"({"Set-Cookie":"a=[redacted:cookie:#]; Path=/, b=[redacted:cookie:#]; Secure\nc=[redacted:cookie:#]"})");
}

TEST_F(RedactTest, WhatWasMaskedBeforeItWasJoinedStays) {
  const auto joined = [&](std::string_view name, std::initializer_list<std::string_view> values) {
    std::string text;
    for (const std::string_view value : values)
      text += (text.empty() ? "" : ", ") + redactor_.mask_header_value(name, value).text;
    return text;
  };
  const auto stays = [&](std::string_view name, const std::string& text) {
    EXPECT_EQ(redactor_.mask_header_value(name, text).text, text);
  };
  stays("set-cookie", joined("set-cookie", {"a=1; Path=/", "b=2", "c=3", "4; Secure"}));
  stays("cookie", joined("cookie", {"a=1; b=2", "c=3"}));
  stays("authorization", joined("authorization", {"Bearer a", "Digest b"}));
  stays("x-api-key", joined("x-api-key", {"a", "b"}));
}

TEST_F(RedactTest, MasksHeadersOfTheListAndLeavesOthers) {
  for (const char* name : {"X-Api-Key", "api-key", "x-auth-token", "X-CSRF-Token", "x-xsrf-token", "x-vault-token"}) {
    EXPECT_TRUE(header(name, "v4lue").starts_with("[redacted:")) << name;
  }
  EXPECT_EQ(header("content-type", "text/html; charset=utf-8"), "text/html; charset=utf-8");
  EXPECT_EQ(header("www-authenticate", "Bearer realm=\"example\", error=\"invalid_token\""),
            "Bearer realm=\"example\", error=\"invalid_token\"");
  EXPECT_EQ(header("x-thing", "prefix " + kJwt), "prefix [redacted:jwt:#]");
  EXPECT_EQ(header("location", "/cb?access_token=abc&x=1"), "/cb?access_token=[redacted:token:#]&x=1");
}

TEST_F(RedactTest, MasksUrlParametersByName) {
  EXPECT_EQ(url("https://h/p?a=1&token=abc&b=2"), "https://h/p?a=1&token=[redacted:token:#]&b=2");
  EXPECT_EQ(url("/p?API_KEY=abc;user%5Bpassword%5D=x"),
            "/p?API_KEY=[redacted:key:#];user%5Bpassword%5D=[redacted:password:#]");
  EXPECT_EQ(url("https://h/#access_token=abc&token_type=bearer"),
            "https://h/#access_token=[redacted:token:#]&token_type=bearer");
  EXPECT_EQ(url("/shop;jsessionid=ABC/cart?x=1"), "/shop;jsessionid=[redacted:session:#]/cart?x=1");
  EXPECT_EQ(url("/p?x=" + kJwt), "/p?x=[redacted:jwt:#]");
  EXPECT_EQ(url("/v1/" + kJwt + "/me"), "/v1/[redacted:jwt:#]/me");
  for (const char* same : {"", "/", "*", "h:443", "https://h", "https://h/p?q=token&tokens=1&token", "/a?token=&b",
                           "http://[::1]:80/x", "a@b"}) {
    EXPECT_EQ(url(same), same);
  }
}

TEST_F(RedactTest, MasksAnOauthCodeOnlyBesideItsCompanions) {
  EXPECT_EQ(url("/cb?code=abc&state=xyz"), "/cb?code=[redacted:code:#]&state=xyz");
  EXPECT_EQ(url("/country?code=ch"), "/country?code=ch");
  EXPECT_EQ(body("grant_type=authorization_code&code=abc", "application/x-www-form-urlencoded"),
            "grant_type=authorization_code&code=[redacted:code:#]");
}

TEST_F(RedactTest, MasksPasswordsAndTokensInUserinfo) {
  EXPECT_EQ(url("https://user:p@ss@host/p"), "https://user:[redacted:password:#]@host/p");
  EXPECT_EQ(url("https://ghp_0123456789abcdef@host/p"), "https://[redacted:userinfo:#]@host/p");
  EXPECT_EQ(url("ssh://git@host/p"), "ssh://git@host/p");
  EXPECT_EQ(url("user:secret@host:8080"), "user:[redacted:password:#]@host:8080");
  EXPECT_EQ(url("https://host/p@x:y"), "https://host/p@x:y");
}

TEST_F(RedactTest, MasksTokensAndUrlsInRunningText) {
  EXPECT_EQ(text("see " + kJwt + ", or not"), "see [redacted:jwt:#], or not");
  EXPECT_EQ(text("a " + kJwt + ".x.y z"), "a [redacted:jwt:#] z") << "five parts: RFC 7516";
  EXPECT_EQ(text("cut eyJhbGciOiJI.eyJzd"), "cut [redacted:jwt:#]");
  EXPECT_EQ(text("%20" + kJwt), "%20[redacted:jwt:#]");
  EXPECT_EQ(text("curl -H 'authorization: bearer abcdef0123'"),
            "curl -H 'authorization: bearer [redacted:authorization:#]'");
  EXPECT_EQ(text("Basic dXNlcjpwYXNzd29yZA=="), "Basic [redacted:authorization:#]");
  // What stands behind a token is no part of it, and may be a secret itself.
  EXPECT_EQ(text("Basic dXNlcjpwYXNzd29yZA.eyJh.eyJi"), "Basic [redacted:authorization:#].[redacted:jwt:#]");
  EXPECT_EQ(text("open https://u:p@h/x?sig=1 now"),
            "open https://u:[redacted:password:#]@h/x?sig=[redacted:signature:#] now");
  for (const char* same : {"bearer authentication is basic knowledge", "eyJ", "keyJoy.and.more", "eyJhbGciOiJI and on",
                           "a: //b", "https://", "://", "basic a basic b"}) {
    EXPECT_EQ(text(same), same);
  }
}

TEST_F(RedactTest, MasksJsonMembersByName) {
  EXPECT_EQ(body(R"({"user":"u","password" : "p\"q","n":1})"),
            R"({"user":"u","password" : "[redacted:password:#]","n":1})");
  EXPECT_EQ(body(R"({"session":{"id":"x","token":"t"}})"), R"({"session":{"id":"x","token":"[redacted:token:#]"}})");
  EXPECT_EQ(body(R"({"otp":123456,"x":[1]})"), R"({"otp":"[redacted:password:#]","x":[1]})");
  EXPECT_EQ(
      body(R"({"token": ["a", "b",["c"], 5, {"x":"y"}]})"),
      R"({"token": ["[redacted:token:#]", "[redacted:token:#]",["[redacted:token:#]"], "[redacted:token:#]", {"x":"y"}]})");
  EXPECT_EQ(body(R"({"Authorization":"Bearer t","cookie":"a=b"})"),
            R"({"Authorization":"Bearer [redacted:authorization:#]","cookie":"a=[redacted:cookie:#]"})");
  EXPECT_EQ(body(R"([{"name":"password","value":"x"},{"name":"q","value":"y"}])"),
            R"([{"name":"password","value":"[redacted:password:#]"},{"name":"q","value":"y"}])");
  EXPECT_EQ(body("{\"" + kJwt + "\":1}"), "{\"[redacted:jwt:#]\":1}");
  EXPECT_EQ(body("{\"u\":\"https:\\/\\/h\\/?a=1\\u0026token=x\"}"),
            "{\"u\":\"https:\\/\\/h\\/?a=1\\u0026token=[redacted:token:#]\"}");
  for (const char* same : {R"({"token":null,"auth":true,"password":"","secret":{}})", R"(["password","x"])",
                           R"({"a":"password","b":"token"})", R"({"token")", R"({"token":)", "", "\"", "\"token\":x"}) {
    EXPECT_EQ(body(same), same);
  }
}

TEST_F(RedactTest, MasksWhatAnEventSaysOverSeveralLines) {
  const auto events = [&](std::string_view text) { return body(text, "text/event-stream; charset=utf-8"); };
  EXPECT_EQ(events("event: login\ndata: {\"user\":\"u\",\ndata: \"password\":\ndata:  \"hunter2\"\ndata: }\n\n"),
            "event: login\ndata: {\"user\":\"u\",\ndata: \"password\":\ndata:  \"[redacted:password:#]\"\ndata: }\n\n");
  EXPECT_EQ(events("data:{\"token\"\r\ndata::\r\ndata:[\"a\",\r\ndata:\"b\"]}\r\n\r\n"),
            "data:{\"token\"\r\ndata::\r\ndata:[\"[redacted:token:#]\",\r\ndata:\"[redacted:token:#]\"]}\r\n\r\n");
  EXPECT_EQ(events("data: {\"password\":\"hun\ndata: ter2\"}\n\n"),
            "data: {\"password\":\"[redacted:password:#]\"}\n\n");
  EXPECT_EQ(events("data: {\"otp\":\ndata: 1234}\n\n"), "data: {\"otp\":\ndata: \"[redacted:password:#]\"}\n\n");
  EXPECT_EQ(events("data: {\"n\":1}\n\n"), "data: {\"n\":1}\n\n");
}

TEST_F(RedactTest, MasksJsonInsideJsonStrings) {
  EXPECT_EQ(body(R"({"body":"{\"password\":\"p\\\"q\",\"a\":1,\"otp\":12}","b":2})"),
            R"({"body":"{\"password\":\"[redacted:password:#]\",\"a\":1,\"otp\":\"[redacted:password:#]\"}","b":2})");
  EXPECT_EQ(body(R"("{\"a\":\"{\\\"token\\\":\\\"t\\\"}\"}")"),
            R"("{\"a\":\"{\\\"token\\\":\\\"[redacted:token:#]\\\"}\"}")");
}

TEST_F(RedactTest, MasksWhateverTheTextWasCutTo) {
  const std::string whole = R"({"a":"b","password":"hunter2hunter2","list":["x"],"jwt":")" + kJwt +
                            R"(","in":"{\"token\":\"hunter2hunter2\"}","token":["hunter2hunter2"]})";
  for (std::size_t size = 0; size <= whole.size(); ++size) {
    const std::string masked = body(whole.substr(0, size));
    EXPECT_EQ(masked.find("hunt"), std::string::npos) << masked;
    EXPECT_EQ(masked.find("c2ln"), std::string::npos) << masked;
  }
}

TEST_F(RedactTest, MasksFormsOfBothKinds) {
  EXPECT_EQ(body("user=u&pwd=p&x=" + kJwt, "application/x-www-form-urlencoded; charset=utf-8"),
            "user=u&pwd=[redacted:password:#]&x=[redacted:jwt:#]");
  EXPECT_EQ(body("user=u&pwd=p\n", ""), "user=u&pwd=[redacted:password:#]");
  EXPECT_EQ(body("--B\r\nContent-Disposition: form-data; name=\"password\"\r\n\r\np\r\n"
                 "--B\r\ncontent-disposition: form-data; filename=\"f\"; name=q\r\n\r\nplain\r\n--B--\r\n",
                 "multipart/form-data; boundary=\"B\""),
            "--B\r\nContent-Disposition: form-data; name=\"password\"\r\n\r\n[redacted:password:#]\r\n"
            "--B\r\ncontent-disposition: form-data; filename=\"f\"; name=q\r\n\r\nplain\r\n--B--\r\n");
}

TEST_F(RedactTest, MasksWholeHeads) {
  const std::string head =
      "GET /x?token=abc HTTP/1.1\r\nHost: h\r\nCookie: a=b;\r\n c=d\r\nAUTHORIZATION:Bearer x\r\n\r\n";
  const Redacted once = redactor_.mask_head(head);
  EXPECT_EQ(shape(once.text),
            "GET /x?token=[redacted:token:#] HTTP/1.1\r\nHost: h\r\nCookie: a=[redacted:cookie:#];\r\n "
            "c=[redacted:cookie:#]\r\nAUTHORIZATION:Bearer [redacted:authorization:#]\r\n\r\n");
  EXPECT_EQ(redactor_.mask_head(once.text).text, once.text);
  const std::string answer = "HTTP/1.1 200 OK\r\nSet-Cookie: a=b; Path=/\r\nServer: x\r\n\r\n";
  EXPECT_EQ(shape(redactor_.mask_head(answer).text),
            "HTTP/1.1 200 OK\r\nSet-Cookie: a=[redacted:cookie:#]; Path=/\r\nServer: x\r\n\r\n");
  for (const char* same : {"", "\r\n", "x", " ", "GET", "GET \r\n", ":\r\n:", "\n\n"}) {
    EXPECT_EQ(redactor_.mask_head(same).text, same);
  }
}

TEST_F(RedactTest, TakesTimeThatFollowsTheLength) {
  // Inputs that a careless scanner reads over and over: half a megabyte of each takes milliseconds; quadratic time
  // would be minutes. Processor time, so that a busy machine does not fail it.
  for (const char* unit : {"\"",
                           "\\\"",
                           "eyJ.",
                           "eyJ",
                           "bearer ",
                           ":// ",
                           "\"a\" ",
                           "://a@",
                           ";",
                           "[",
                           "\"token\":[",
                           "\"name\":\"",
                           "basic QUFB",
                           "\"\\",
                           "://a?&;",
                           "--B",
                           "--B\r\n\r\n",
                           "; name",
                           "; a=1, ",
                           "=[redacted:cookie:01234567],",
                           "; expires=Wed, 0"}) {
    std::string attack;
    while (attack.size() < 500'000) attack += unit;
    const std::clock_t start = std::clock();
    (void)redactor_.mask_body(attack, "application/json");
    (void)redactor_.mask_body(attack, "multipart/form-data; boundary=B");
    (void)redactor_.mask_url(attack);
    (void)redactor_.mask_header_value("cookie", attack);
    (void)redactor_.mask_header_value("set-cookie", attack);
    (void)redactor_.mask_head(attack);
    EXPECT_LT(std::clock() - start, 5 * CLOCKS_PER_SEC) << unit;
  }
}

TEST_F(RedactTest, MasksCanBeTakenOutOfAText) {
  const std::string masked = redactor_.mask("jwt", "value");
  EXPECT_EQ(without_masks("a " + masked + " b" + masked), std::string("a \0 b\0", 6));
  EXPECT_TRUE(holds_mask("a " + masked));
  EXPECT_FALSE(holds_mask("[redacted:"));
  EXPECT_EQ(without_masks("no mask"), "no mask");
  EXPECT_EQ(without_masks("[redacted:"), "[redacted:");
  EXPECT_EQ(without_masks("[redacted:[redacted:jwt:01234567]"), std::string("[redacted:\0", 11));
  EXPECT_EQ(without_masks("[redacted:JWT:01234567]"), "[redacted:JWT:01234567]");
}

}  // namespace
}  // namespace sluice
