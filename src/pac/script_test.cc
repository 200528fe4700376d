#include "pac/script.h"

#include <gtest/gtest.h>

#include "pac/answer.h"
#include "pac/script_text.h"
#include "pac/test_names.h"
#include "pac/wire.h"

namespace sluice::pac {
namespace {

class PacScript : public testing::Test {
 protected:
  std::string refusal(std::string_view text) {
    const auto script = Script::load(text, names_, clock_);
    return script ? "loaded" : script.error().message;
  }
  std::unique_ptr<Script> load(std::string_view text) {
    auto script = Script::load(text, names_, clock_);
    EXPECT_TRUE(script) << script.error().message;
    return script ? *std::move(script) : nullptr;
  }
  static std::string ask(Script& script, std::string_view url = "http://h.test/p?q", std::string_view host = "h.test") {
    const auto answer = script.evaluate(url, host);
    return answer ? *answer : "error: " + answer.error().message;
  }
  std::string run(std::string_view text) {
    const auto script = load(text);
    return script ? ask(*script) : "";
  }

  TestNames names_;
  TestClock clock_;
};

TEST_F(PacScript, IsAskedWithUrlAndHost) {
  EXPECT_EQ(run("function FindProxyForURL(url, host) { return url + ' ' + host + ' ' + arguments.length; }"),
            "http://h.test/p?q h.test 2");
}

TEST_F(PacScript, TheExFunctionIsPreferred) {
  EXPECT_EQ(run("function FindProxyForURL() { return 'PROXY old:1'; } function FindProxyForURLEx() { return 'PROXY "
                "new:1'; }"),
            "PROXY new:1");
  EXPECT_EQ(run("var FindProxyForURLEx = 7; function FindProxyForURL() { return 'PROXY old:1'; }"), "PROXY old:1");
}

TEST_F(PacScript, SyntaxThatIsNotKnownIsReportedByItsLine) {
  EXPECT_TRUE(refusal("var a;\n\nlet b = 1;").starts_with("could not be parsed, line 3: SyntaxError: "))
      << refusal("let b");
  EXPECT_TRUE(refusal("var f;\nf = (a) => a;").starts_with("could not be parsed, line 2: "));
  EXPECT_TRUE(refusal("\n\n\nvar x = `t`;").starts_with("could not be parsed, line 4: "));
  EXPECT_TRUE(refusal("class A {}").starts_with("could not be parsed, line 1: "));
  EXPECT_TRUE(
      refusal("function FindProxyForURL(u, h) {\n return 'DIRECT';\n").starts_with("could not be parsed, line 3: "));
  EXPECT_TRUE(refusal("<html><body>Log in</body></html>").starts_with("could not be parsed, line 1: "));
  EXPECT_NE(refusal("let b;").find("ECMAScript 5"), std::string::npos);
}

TEST_F(PacScript, WhatDefinesNothingIsRefused) {
  for (const char* text : {"", "   ", "// nothing", "var FindProxyForURL;", "var FindProxyForURL = 'DIRECT';",
                           "function findproxyforurl() { return 'DIRECT'; }"}) {
    EXPECT_EQ(refusal(text), "defines no FindProxyForURL") << text;
  }
}

TEST_F(PacScript, WhatIsThrownIsToldWithItsLine) {
  EXPECT_EQ(refusal("\nthrow new Error('bad thing');"), "threw Error: bad thing at line 2");
  EXPECT_EQ(refusal("throw 'text'"), "threw text");
  EXPECT_EQ(run("function FindProxyForURL(u, h) {\n  return nothing(h);\n}"),
            "error: threw ReferenceError: identifier 'nothing' undefined at line 2");
  EXPECT_EQ(run("function FindProxyForURL() { throw null; }"), "error: threw null");
  EXPECT_EQ(run("function FindProxyForURL() { throw {toString: function() { throw 1; }}; }"),
            "error: threw something that cannot be shown");
  EXPECT_EQ(run("function FindProxyForURL() { throw '\\u001b[31m\\n' + new Array(9999).join('x'); }").size(), 216u);
}

TEST_F(PacScript, WhatIsNoTextIsNoAnswer) {
  const std::pair<const char*, const char*> table[] = {{"", "nothing"},
                                                       {"return null;", "nothing"},
                                                       {"return 7;", "a number"},
                                                       {"return false;", "true or false"},
                                                       {"return {};", "an object"},
                                                       {"return ['DIRECT'];", "an object"},
                                                       {"return new String('DIRECT');", "an object"}};
  for (const auto& [body, kind] : table) {
    EXPECT_EQ(run("function FindProxyForURL() { " + std::string(body) + " }"),
              "error: returned " + std::string(kind) + " where it should name a proxy or DIRECT");
  }
}

TEST_F(PacScript, ASymbolDoesNotPassForItsText) {
  const auto script = load("function FindProxyForURL() { return Symbol('DIRECT'); }");
  const auto answer = script->evaluate("http://h/", "h");
  EXPECT_FALSE(answer && parse_answer(*answer));
}

TEST_F(PacScript, AHugeAnswerIsRefusedByItsLength) {
  EXPECT_EQ(run("function FindProxyForURL() { return new Array(1000001).join('x'); }"),
            "error: returned 1000000 octets where it should name a proxy");
}

TEST_F(PacScript, MemoryHasAnEnd) {
  for (const char* body : {"var s = 'x'; while (true) s += s;", "var a = []; while (true) a.push({b: [1, 2, 3]});",
                           "var a = [new Uint8Array(1e9)];", "var a = []; while (true) a.push([1, 'x' + a.length]);"}) {
    const auto script = load("function FindProxyForURL() { " + std::string(body) + " }");
    EXPECT_EQ(ask(*script), "error: used more than 64 MiB of memory") << body;
    EXPECT_TRUE(script->is_spent());
  }
  EXPECT_EQ(refusal("var a = []; while (true) a.push('x' + a.length);"), "used more than 64 MiB of memory");
}

TEST_F(PacScript, GarbageIsCollectedAndNotCounted) {
  const auto script =
      load("function FindProxyForURL() { for (var i = 0; i < 2000; ++i) new Uint8Array(1e6); return 'DIRECT'; }");
  EXPECT_EQ(ask(*script), "DIRECT");
  EXPECT_FALSE(script->is_spent());
}

TEST_F(PacScript, DeepRecursionIsAnErrorAndTheNextCallWorks) {
  const auto script = load(
      "function deep(n) { return 1 + deep(n + 1); }\n"
      "function FindProxyForURL(u, h) { return h == 'deep' ? deep(0) : 'DIRECT'; }");
  EXPECT_TRUE(ask(*script, "http://deep/", "deep").starts_with("error: threw RangeError")) << ask(*script, "", "deep");
  EXPECT_EQ(ask(*script), "DIRECT");
  EXPECT_FALSE(refusal(std::string(20'000, '(')).starts_with("loaded"));
  EXPECT_FALSE(refusal(std::string(200'000, '[')).starts_with("loaded"));
}

TEST_F(PacScript, AlertsAreKeptUpToAFewAndCut) {
  const auto script = load(
      "var y = new Array(999).join('y');\n"
      "function FindProxyForURL() { for (var i = 0; i < 100000; ++i) alert(i + '\\n' + y); "
      "return 'DIRECT'; }");
  EXPECT_EQ(ask(*script), "DIRECT");
  const Script::Alerts alerts = script->take_alerts();
  EXPECT_EQ(alerts.texts.size(), 8u);
  EXPECT_EQ(alerts.dropped, 99'992u);
  EXPECT_EQ(alerts.texts[1].substr(0, 4), "1 yy");
  EXPECT_LT(alerts.texts[1].size(), 210u);
  EXPECT_TRUE(script->take_alerts().texts.empty());
}

TEST_F(PacScript, HasNoDoorsButTheFunctionsOfProxyScripts) {
  EXPECT_EQ(run("function FindProxyForURL() { return [typeof Duktape, typeof print, typeof require, typeof process, "
                "typeof XMLHttpRequest, typeof fetch, typeof load].join(); }"),
            "undefined,undefined,undefined,undefined,undefined,undefined,undefined");
}

TEST_F(PacScript, MayBreakItsOwnWorldAndNotOurs) {
  EXPECT_EQ(
      run("String.prototype.replace = null; RegExp = null; Object.defineProperty(Error.prototype, 'lineNumber', "
          "{get: function() { throw 1; }}); function FindProxyForURL() { return String(shExpMatch('a', '(a|b')); }"),
      "error: threw TypeError: null not callable (property 'replace' of '(a|b')");
  EXPECT_EQ(
      run("shExpMatch = isInNet = function() { return 'mine'; }; function FindProxyForURL() { return isInNet(); }"),
      "mine");
  EXPECT_EQ(run("var self = this; function FindProxyForURL() { for (var k in self) try { delete self[k]; } catch (e) "
                "{} return 'DIRECT'; }"),
            "DIRECT");
}

TEST_F(PacScript, ThatItsEntryIsDeletedIsAnErrorOfTheNextCall) {
  const auto script = load("function FindProxyForURL() { FindProxyForURL = undefined; return 'DIRECT'; }");
  EXPECT_EQ(ask(*script), "DIRECT");
  EXPECT_TRUE(ask(*script).starts_with("error: threw TypeError"));
}

TEST_F(PacScript, TextOfAnyKindOfEditorIsRead) {
  const std::string body = "function FindProxyForURL() { return 'PROXY caf\xc3\xa9'; }";
  EXPECT_EQ(run(decode_script(body)), "PROXY caf\xc3\xa9");
  EXPECT_EQ(run(decode_script("\xef\xbb\xbf" + body)), "PROXY caf\xc3\xa9");
  EXPECT_EQ(run(decode_script("// caf\xe9 \x80\nfunction FindProxyForURL() { return 'caf\xe9'; }")), "caf\xc3\xa9");
  std::string little = "\xff\xfe", big = "\xfe\xff";
  for (const char c : std::string_view("function FindProxyForURL() { return '+'; }")) {
    little += c == '+' ? std::string("\x3d\xd8\x00\xde", 4) : std::string{c, '\0'};  // U+1F600
    big += c == '+' ? std::string("\xd8\x3d\xde\x00", 4) : std::string{'\0', c};
  }
  EXPECT_EQ(decode_script(little), "function FindProxyForURL() { return '\xf0\x9f\x98\x80'; }");
  EXPECT_EQ(decode_script(big), decode_script(little));
  EXPECT_EQ(decode_script(std::string_view("\xff\xfe\x00\xd8\x41", 5)), "\xef\xbf\xbd");
  EXPECT_EQ(decode_script("\xef\xbb\xbf\xff"), "\xef\xbf\xbd");
}

TEST_F(PacScript, OddOctetsInUrlAndHostDoNoHarm) {
  const auto script = load("function FindProxyForURL(u, h) { return h.length + ''; }");
  EXPECT_EQ(ask(*script, "http://x/\xff", std::string_view("a\0b", 3)), "3");
  EXPECT_EQ(ask(*script, "", ""), "0");
}

TEST(PacWire, WhatIsWrittenIsReadAgain) {
  Request request;
  request.script = "var a = '\n\xc3\xa9\"';";
  EXPECT_EQ(*read_request(write(request))->script, *request.script);
  EXPECT_EQ(write(request).find('\n'), std::string::npos);
  const auto asked = read_request(write({std::nullopt, "http://a/", "a"}));
  EXPECT_EQ(asked->url + " " + asked->host, "http://a/ a");
  EXPECT_FALSE(asked->script);
  Reply reply{"DIRECT", {{"one", "two"}, 3}, true};
  const auto told = read_reply(write(reply));
  EXPECT_EQ(*told->answer, "DIRECT");
  EXPECT_EQ(told->alerts.texts, reply.alerts.texts);
  EXPECT_EQ(told->alerts.dropped, 3u);
  EXPECT_TRUE(told->last);
  const auto failed = read_reply(write(Reply{fail(Code::kTooLarge, "much"), {}}));
  EXPECT_EQ(failed->answer.error().code, Code::kTooLarge);
  EXPECT_EQ(failed->answer.error().message, "much");
}

TEST(PacWire, WhatAProcessWouldNotSayIsRefused) {
  for (const char* line : {"", "{}", "[]", "{\"answer\":1}", "{\"answer\":null}", "{\"error\":{}}", "nonsense",
                           "{\"answer\":\"a\",\"alerts\":\"x\"}", "{\"answer\":\"a\",\"alerts\":[1]}",
                           "{\"answer\":\"a\",\"alerts\":[\"\",\"\",\"\",\"\",\"\",\"\",\"\",\"\",\"\"]}",
                           "{\"answer\":\"a\",\"dropped\":-1}", "{\"answer\":\"a\",\"answer\":\"b\"}"}) {
    EXPECT_FALSE(read_reply(line)) << line;
  }
  for (const char* line : {"", "{}", "{\"script\":1}", "{\"url\":\"a\"}", "{\"host\":\"a\"}"}) {
    EXPECT_FALSE(read_request(line)) << line;
  }
}

}  // namespace
}  // namespace sluice::pac
