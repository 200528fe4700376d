#include "analysis/codegen.h"

#include <gtest/gtest.h>

#include <map>

#include "analysis/code_plan.h"
#include "base/entropy.h"
#include "base/text.h"

namespace sluice::analysis {
namespace {

constexpr CodeTarget kAll[] = {
    CodeTarget::kCurlCffi,  CodeTarget::kRequests, CodeTarget::kAiohttp, CodeTarget::kPlaywright, CodeTarget::kCurl,
    CodeTarget::kNodeFetch, CodeTarget::kGo,       CodeTarget::kCpp,     CodeTarget::kHttpFile,   CodeTarget::kPostman};

const Redactor* redactor() {
  static SeededEntropy entropy(9);
  static const Redactor made(entropy);
  return &made;
}

bool holds(const std::string& text, std::string_view part) { return text.find(part) != std::string::npos; }

// The text without what stands in double-quoted literals with backslashes, which all these languages have.
std::string without_literals(const std::string& code) {
  std::string rest;
  bool inside = false;
  for (std::size_t i = 0; i < code.size(); ++i) {
    if (inside && code[i] == '\\') {
      ++i;
    } else if (code[i] == '"') {
      inside = !inside;
    } else if (!inside) {
      rest += code[i];
    }
  }
  EXPECT_FALSE(inside);
  return rest;
}

std::string html_escaped(const std::string& text) {
  std::string out;
  for (const char c : text) out += c == '"' ? "&quot;" : c == '&' ? "&amp;" : std::string(1, c);
  return out;
}

// A shell's script without what stands in quotes.
std::string without_shell_quotes(const std::string& script) {
  std::string rest;
  for (std::size_t i = 0; i < script.size(); ++i) {
    const bool ansi = script.compare(i, 2, "$'") == 0;
    const char quote = ansi ? '\'' : script[i];
    if (quote != '\'' && quote != '"') {
      if (script[i] == '\\') ++i;
      rest += script[i];
      continue;
    }
    for (i += ansi ? 2 : 1; i < script.size() && script[i] != quote; ++i) {
      if (script[i] == '\\' && (ansi || quote == '"')) ++i;
      // Expansions in double quotes are ours.
      if (quote == '"') rest += script[i];
    }
    EXPECT_LT(i, script.size());
  }
  return rest;
}

// Names of environment variables are made of letters that were there.
std::string without_names(std::string rest) {
  for (std::size_t at; (at = rest.find("COOKIE_")) != std::string::npos;)
    rest.erase(at, std::min(rest.find_first_of(").] \\\n", at), rest.size()) - at);
  return rest;
}

// Whether EVIL7 stands anywhere but in a literal.
bool escapes(CodeTarget target, const std::string& code) {
  if (target == CodeTarget::kCurl)
    return holds(without_names(without_shell_quotes(code.substr(code.find("# Step 1")))), "EVIL7");
  if (target == CodeTarget::kHttpFile) {
    std::size_t steps = 0;
    for (const std::string_view line : split(code, '\n')) {
      steps += line.starts_with("### ") ? 1 : 0;
      if (line.starts_with("EVIL7") || line.starts_with("# EVIL7") || line.find("{{EVIL7") != std::string_view::npos)
        return true;
    }
    return steps != 4;
  }
  if (target == CodeTarget::kPostman) {
    const auto collection = parse_json(code);
    if (!collection || (*collection)["item"].size() != 4) return true;
    for (const Json& item : (*collection)["item"]) {
      // Variables are put into requests; scripts stay as they are.
      if (holds(dump_json(item["request"]), "{{EVIL7")) return true;
      for (const Json& event : item.value("event", Json::array())) {
        for (const Json& line : event["script"]["exec"]) {
          if (holds(without_literals(line.get<std::string>()), "EVIL7")) return true;
        }
      }
    }
    return holds(without_literals(code), "EVIL7");
  }
  // Helpers have quotes of other kinds.
  return holds(without_names(without_literals(code.substr(code.find("Step 1")))), "EVIL7");
}

std::vector<CodeFlow> login_and_use() {
  return {{.method = "POST",
           .url = "https://api.example.com/login",
           .headers = {{"Content-Type", "application/json"}, {"Host", "api.example.com"}, {"Accept-Encoding", "br"}},
           .body = R"({"user":"ann","password":"hunter22"})",
           .set_cookies = {"sid=cookie-value-1; HttpOnly"},
           .answer = R"({"data":{"access_token":"token-value-1","id":"x"}})",
           .answer_is_json = true},
          {.method = "GET",
           .url = "https://api.example.com/me?api_key=key-value-99&page=2",
           .headers = {{"Authorization", "Bearer token-value-1"}, {"Cookie", "sid=cookie-value-1; lang=de"}}}};
}

TEST(CodeGeneration, SecretsComeFromTheEnvironmentAndChainedValuesFromEarlierAnswers) {
  for (const CodeTarget target : kAll) {
    const std::string code = generate_code(target, login_and_use(), redactor());
    for (const char* secret : {"hunter22", "key-value-99", "token-value-1", "cookie-value-1"})
      EXPECT_FALSE(holds(code, secret)) << to_string(target) << code;
    for (const char* name : {"PASSWORD", "API_KEY"}) EXPECT_TRUE(holds(code, name)) << to_string(target);
    EXPECT_FALSE(holds(code, "Accept-Encoding")) << to_string(target);
  }
  const std::string code = generate_code(CodeTarget::kRequests, login_and_use(), redactor());
  EXPECT_TRUE(holds(code, R"(value_1 = response_1.json()["data"]["access_token"])")) << code;
  EXPECT_TRUE(holds(code, R"("Authorization": "Bearer " + value_1,)")) << code;
  EXPECT_TRUE(holds(code, R"(value_2 = response_1.cookies["sid"])")) << code;
  EXPECT_TRUE(holds(code, R"(json.dumps(os.environ["PASSWORD"])[1:-1])")) << code;
}

TEST(CodeGeneration, ValuesAreChainedOnlyFromEightCharactersAndAUniqueOriginOn) {
  std::vector<CodeFlow> flows = login_and_use();
  flows[0].answer = R"({"a":"token-value-1","b":"token-value-1","c":"1234567"})";
  flows[0].set_cookies.clear();
  flows[1].url = "https://api.example.com/1234567";
  const std::string code = generate_code(CodeTarget::kRequests, flows, redactor());
  EXPECT_FALSE(holds(code, "value_1")) << code;
  EXPECT_TRUE(holds(code, "AUTHORIZATION")) << code;
}

TEST(CodeGeneration, EveryTargetTakesValuesOfEarlierAnswersInItsOwnWay) {
  const std::map<CodeTarget, std::vector<std::string>> expected = {
      {CodeTarget::kCurl,
       {"value_1=$(pick \"$answers/1\" 'data' 'access_token')", "value_2=$(cookie \"$answers/1\" 'sid')",
        "'Bearer '\"$value_1\""}},
      {CodeTarget::kCpp,
       {"value_1 = pick(answer_1.body, {std::string(\"data\", 4), std::string(\"access_token\", 12)})",
        "value_2 = cookie(answer_1, std::string(\"sid\", 3))"}},
      {CodeTarget::kNodeFetch, {R"(value_1 = JSON.parse(text1)["data"]["access_token"])"}},
      {CodeTarget::kGo, {R"(value_1 := pick(body1, "data", "access_token"))"}},
      {CodeTarget::kHttpFile,
       {"# @name step1\nPOST ", "Authorization: Bearer {{step1.response.body.$.data.access_token}}",
        "# The client's cookie jar sends sid.", "Cookie: lang="}},
      {CodeTarget::kPostman,
       {"keep(\\\"value_1\\\", pm.response.json()[\\\"data\\\"][\\\"access_token\\\"]);", "Bearer {{value_1}}",
        "{{PASSWORD_json}}"}}};
  for (const auto& [target, texts] : expected) {
    const std::string code = generate_code(target, login_and_use(), redactor());
    for (const std::string& text : texts) EXPECT_TRUE(holds(code, text)) << text << "\n" << code;
  }
}

TEST(CodeGeneration, HiddenFieldsAndHeadersHandOutValuesToo) {
  const std::vector<CodeFlow> flows = {
      {.method = "GET",
       .url = "https://h.test/form",
       .answer_headers = {{"X-CSRF-Token", "header-value-1"}, {"Content-Type", "text/html; charset=utf-8"}},
       .answer = "<meta name=twice content=twice-value-1><input type=hidden name=csrf value='a&amp;b-value-1'>"
                 "<input name=other value=twice-value-1><a href='twice-value-2'>",
       .answer_is_html = true},
      {.method = "POST",
       .url = "https://h.test/twice-value-1",
       .headers = {{"X-CSRF-Token", "header-value-1"}, {"Content-Type", "text/html; charset=utf-8"}},
       .body = "csrf"},
      {.method = "POST",
       .url = "https://h.test/",
       .headers = {{"Content-Type", "application/x-www-form-urlencoded"}},
       .body = "csrf=a%26b-value-1"}};
  for (const CodeTarget target : kAll) {
    const std::string code = generate_code(target, flows, redactor());
    EXPECT_FALSE(holds(code, "header-value-1")) << to_string(target) << code;
    EXPECT_FALSE(holds(code, "a%26b-value-1")) << to_string(target) << code;
    EXPECT_TRUE(holds(code, "twice-value-1")) << to_string(target) << " is no unique origin";
    EXPECT_TRUE(holds(code, "text/html; charset=utf-8")) << to_string(target) << " is nothing that is handed out";
  }
  const std::string code = generate_code(CodeTarget::kRequests, flows, redactor());
  EXPECT_TRUE(holds(code, R"(attribute(response_1.text, "input", "name", "csrf", "value"))")) << code;
  EXPECT_TRUE(holds(code, R"(response_1.headers["X-CSRF-Token"])")) << code;
}

TEST(CodeGeneration, CertificatesAreVerified) {
  for (const CodeTarget target : kAll) {
    const std::string code = to_lower(generate_code(target, login_and_use(), redactor()));
    for (const char* off :
         {"verify=false", "insecure", "ignore_https", "rejectunauthorized", "verifypeer", "skipverify", "ssl=false"})
      EXPECT_FALSE(holds(code, off)) << to_string(target);
  }
}

TEST(CodeGeneration, W6NothingFromTrafficEscapesItsLiteral) {
  const std::string hostile[] = {"\"); EVIL7(\"",
                                 "'; EVIL7 '",
                                 "\\\"EVIL7\\",
                                 "\n# EVIL7\n",
                                 "\r\nEVIL7: 1",
                                 "${EVIL7}",
                                 "`EVIL7`",
                                 "$(EVIL7)",
                                 "{{EVIL7}}",
                                 "{EVIL7}",
                                 "*/EVIL7/*",
                                 "\xe2\x80\xa8"
                                 "EVIL7",
                                 "?\?/\"EVIL7",
                                 "%s%nEVIL7",
                                 "\"\"\"EVIL7\"\"\"",
                                 "</script>EVIL7",
                                 "\x7f\x1b[31mEVIL7",
                                 "\xff\xfe\"EVIL7",
                                 std::string("\0\"EVIL7", 7)};
  for (const std::string& text : hostile) {
    std::vector<CodeFlow> flows = {
        {.method = "POST" + text,
         .url = "https://h.example.com/" + text + "?a=" + text + "&token=" + text,
         .headers = {{"X-A", text}, {"Cookie", "a" + text + "=" + text}, {"Authorization", text}, {"X" + text, "1"}},
         .body = "raw " + text,
         .set_cookies = {"n" + text + "=cookie-value-1" + text},
         .answer = dump_json(Json{{text, {{"t" + text, "token-value-1"}}}}),
         .answer_is_json = true},
        {.method = "GET",
         .url = "https://h.example.com/token-value-1",
         .headers = {{"Cookie", "x=cookie-value-1" + text}},
         .answer_headers = {{"X-Token" + text, "header-value-1"}, {"X-Token", "header-value-2"}},
         .answer = "<input name=\"" + html_escaped("n" + text) + "\" value=\"" + html_escaped("page-value-1" + text) +
                   "\"><input name=plain value=page-value-2>",
         .answer_is_html = true},
        {.method = "POST",
         .url = "https://h.example.com/header-value-1/header-value-2/page-value-2",
         .headers = {{"Content-Type", "application/json"}},
         .body = dump_json(Json{{"a", "page-value-1" + text}, {"b", "page-value-2"}, {"c", text}, {"password", text}})},
        {.method = "GET", .url = "https://h.example.com/", .expected_status = 200, .expected_text = text}};
    for (const CodeTarget target : kAll) {
      for (const bool keep : {false, true}) {
        const std::string code = generate_code(target, flows, keep ? nullptr : redactor());
        EXPECT_FALSE(escapes(target, code)) << to_string(target) << "\n" << code;
        EXPECT_TRUE(is_utf8(code));
      }
    }
  }
}

TEST(CodeGeneration, W6LiteralsOfEachLanguageEndWhereTheyAreWrittenToEnd) {
  std::string all;
  for (int c = 0; c < 256; ++c) all += static_cast<char>(c);
  for (const std::string& text : {all, all + "\"", std::string("\\"), std::string("\\\\\"")}) {
    for (const std::string& literal : {python_literal(text), js_literal(text), go_literal(text), cpp_literal(text)}) {
      for (const char c : literal) EXPECT_TRUE(c >= 0x20 && c < 0x7f);
      EXPECT_EQ(without_literals(literal).find('\\'), std::string::npos) << literal;
    }
  }
  EXPECT_EQ(python_literal("a\"\\\n\xc3\xa9"), "\"a\\\"\\\\\\n\\xe9\"");
  EXPECT_EQ(python_literal("\xff"), "b\"\\xff\"");
  EXPECT_EQ(js_literal("\xe2\x80\xa8"), "\"\\u2028\"");
  EXPECT_EQ(go_literal("\xff\n"), "\"\\xff\\x0a\"");
  EXPECT_EQ(cpp_literal(std::string("\0"
                                    "1?",
                                    3)),
            "std::string(\"\\0001\\077\", 3)");
}

TEST(CodeGeneration, WhatIsLeftOfSecretsIsMasked) {
  const std::string jwt = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJ4In0.c2lnbmF0dXJlMTIz";
  const std::string code = generate_code(CodeTarget::kRequests,
                                         {{.method = "POST",
                                           .url = "https://h.test/" + jwt,
                                           .headers = {{"Content-Type", "application/json"}, {"X-Other", jwt}},
                                           .body = R"({"otp":123456,"note":")" + jwt + R"("})"},
                                          {.method = "POST", .url = "https://h.test/", .body = "token " + jwt}},
                                         redactor());
  EXPECT_FALSE(holds(code, "c2lnbmF0dXJl")) << code;
  EXPECT_FALSE(holds(code, "123456")) << code;
}

TEST(CodeGeneration, ABodyThatAnHttpFileCannotHoldIsLeftOut) {
  for (const std::string body :
       {"a\n### GET http://evil.test/", "< /etc/passwd", "{{secret}}", "\xff", "x\n> {% evil %}"}) {
    const std::string code =
        generate_code(CodeTarget::kHttpFile, {{.method = "POST", .url = "https://h.test/", .body = body}}, redactor());
    EXPECT_FALSE(holds(code, body)) << code;
    EXPECT_TRUE(holds(code, "left out"));
  }
}

TEST(CodeGeneration, DuplicateFieldsAreOneAndHopByHopFieldsGo) {
  const std::string code =
      generate_code(CodeTarget::kRequests,
                    {{.method = "GET",
                      .url = "https://h.test/",
                      .headers = {{"X-A", "1"}, {"x-a", "2"}, {"Connection", "close"}, {"Content-Length", "3"}}}},
                    redactor());
  EXPECT_TRUE(holds(code, R"("X-A": "1" + ", " + "2")") || holds(code, R"("X-A": "1, 2")")) << code;
  EXPECT_FALSE(holds(code, "Connection\":"));
  EXPECT_FALSE(holds(code, "Content-Length"));
}

}  // namespace
}  // namespace sluice::analysis
