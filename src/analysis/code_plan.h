// What generated code does, before it is written in a language: requests one after the other, whose texts are literals,
// secrets from the environment, and values that earlier answers hand out (analysis.md). Private to this folder.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "analysis/codegen.h"
#include "analysis/places.h"

namespace sluice::analysis {

struct CodePart {
  enum Kind { kLiteral, kEnvironment, kChained } kind = kLiteral;
  enum Encode { kRaw, kUrl, kJson } encode = kRaw;
  std::string text;  // the literal's octets, or the variable's name
};
using CodeText = std::vector<CodePart>;

// A value that an answer hands out and a later request sends.
struct CodeValue {
  std::string variable;  // value_1
  Place place;           // kJson, kCookie, kHeader, or kHtml: an attribute
};

struct CodeStep {
  std::string method;
  CodeText url;
  std::vector<std::pair<std::string, CodeText>> headers;
  std::optional<CodeText> body;
  std::vector<CodeValue> values;
  bool page = false;                     // a browser would show it
  std::vector<std::string> jar_cookies;  // left to the client's cookie jar
  int expected_status = 0;               // of a login check; 0: any
  std::string expected_text;
  bool is_check() const { return expected_status != 0 || !expected_text.empty(); }
};

struct CodePlan {
  std::vector<CodeStep> steps;
  std::vector<std::string> environment;  // names, in the order of use
  bool has(CodePart::Kind kind) const;
  bool has(CodePart::Encode encode) const;
  bool has(PlaceKind kind) const;  // a value from there
  const CodeValue* value(const std::string& variable, std::size_t& step) const;
};

// What a target can take from earlier answers. kByReference: as .http files do, by a path of plain names and without
// encoding; cookies by the client's jar.
enum class Chain : std::uint8_t { kAll, kByReference };

struct CodePlanOptions {
  Chain chain = Chain::kAll;
  const Redactor* redactor = nullptr;  // null: secrets stay literals; else they come from the environment
};
// "// Set the environment variable NAME." of each.
std::string environment_comments(const CodePlan& plan);
// The parts as `write` says them, with `between` them; `empty` where there are none.
std::string joined(const CodeText& text, std::string (*write)(const CodePart& part), std::string_view empty,
                   std::string_view between = " + ");
CodePlan plan_code(const std::vector<CodeFlow>& flows, const CodePlanOptions& options);

// code_languages.cc
std::string python_literal(std::string_view octets);  // text, or b"…" where it is no UTF-8
std::string js_literal(std::string_view octets);      // a string, or Buffer.from("…", "base64")
std::string go_literal(std::string_view octets);
std::string cpp_literal(std::string_view octets);  // std::string("…", size)

// What a program says where a login check fails.
inline constexpr std::string_view kSessionIsOver = "The session does not live: log in again.";

std::string write_python(const CodePlan& plan, CodeTarget target);
std::string write_node(const CodePlan& plan);
std::string write_go(const CodePlan& plan);
std::string write_cpp(const CodePlan& plan);
std::string write_curl(const CodePlan& plan);       // code_shell.cc
std::string write_http_file(const CodePlan& plan);  // code_files.cc
std::string write_postman(const CodePlan& plan);

}  // namespace sluice::analysis
