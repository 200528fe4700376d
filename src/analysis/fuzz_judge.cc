#include "analysis/fuzz_judge.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "base/text.h"

namespace sluice::analysis {
namespace {

constexpr std::size_t kMostEvidence = 120;     // octets
constexpr std::size_t kShortestReflected = 4;  // a quote or a digit stands in every page

struct Signature {
  std::string_view text, of;
};
constexpr std::array<Signature, 34> kSignatures = {{
    {"You have an error in your SQL syntax", "MySQL"},
    {"mysql_fetch", "MySQL"},
    {"MySQLSyntaxErrorException", "MySQL"},
    {"SQLSTATE[", "PDO"},
    {"PG::SyntaxError", "PostgreSQL"},
    {"unterminated quoted string at or near", "PostgreSQL"},
    {"syntax error at or near", "PostgreSQL"},
    {"psycopg2.errors", "PostgreSQL"},
    {"sqlite3.OperationalError", "SQLite"},
    {"SQLite3::", "SQLite"},
    {"SQLITE_ERROR", "SQLite"},
    {"unrecognized token:", "SQLite"},
    {"ORA-00", "Oracle"},
    {"ORA-01", "Oracle"},
    {"Unclosed quotation mark after", "SQL Server"},
    {"Incorrect syntax near", "SQL Server"},
    {"MongoServerError", "MongoDB"},
    {"Traceback (most recent call last)", "Python"},
    {"jinja2.exceptions", "Jinja2"},
    {"TemplateSyntaxError", "a template engine"},
    {"freemarker.core", "FreeMarker"},
    {"org.apache.velocity", "Velocity"},
    {"Twig\\Error", "Twig"},
    {"java.lang.", "Java"},
    {"javax.servlet", "Java"},
    {"System.NullReferenceException", ".NET"},
    {"Server Error in '/' Application", "ASP.NET"},
    {"Fatal error: Uncaught", "PHP"},
    {"<b>Warning</b>:", "PHP"},
    {"failed to open stream", "PHP"},
    {"panic: runtime error", "Go"},
    {"goroutine 1 [running]", "Go"},
    {"ActionView::Template::Error", "Rails"},
    {"UnhandledPromiseRejection", "Node"},
}};

std::string around(std::string_view text, std::size_t at, std::size_t length) {
  const std::size_t begin = at > 30 ? at - 30 : 0;
  std::string cut = repair_utf8(text.substr(begin, std::min(kMostEvidence, length + 60)));
  std::replace_if(
      cut.begin(), cut.end(), [](char c) { return static_cast<unsigned char>(c) < 0x20; }, ' ');
  return cut;
}

// Where in a page the text stands, as far as its octets before say.
std::string_view context_of(std::string_view text, std::size_t at, bool is_json) {
  if (is_json) return "a JSON string";
  const std::string_view before = text.substr(0, at);
  const std::size_t script = before.rfind("<script"), script_end = before.rfind("</script");
  if (script != before.npos && (script_end == before.npos || script_end < script)) return "a script";
  const std::size_t open = before.rfind('<'), close = before.rfind('>');
  if (open != before.npos && (close == before.npos || close < open)) return "a tag (attribute)";
  return before.find('<') == before.npos ? "text" : "HTML text";
}

template <class T>
T median(std::vector<T> values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

void find_reflection(const FuzzBaseline& baseline, const FuzzPayload& payload, const FuzzAnswer& answer,
                     std::vector<FuzzFinding>& findings) {
  if (payload.text.size() < kShortestReflected || payload.text.size() > 1'000) return;
  const std::size_t at = answer.text.find(payload.text);
  if (at == std::string::npos || baseline.holds(payload.text)) return;
  const bool is_json = to_lower(answer.fields.find("content-type").value_or("")).find("json") != std::string::npos;
  const bool live = payload.text.find_first_of("<>\"'`{}$") != std::string::npos;
  findings.push_back(
      {"reflection",
       fmt::format("The payload comes back{} in {}.", live ? " with its special characters as they are" : "",
                   context_of(answer.text, at, is_json)),
       around(answer.text, at, payload.text.size())});
}

void find_signature(const FuzzBaseline& baseline, const FuzzAnswer& answer, std::vector<FuzzFinding>& findings) {
  for (const Signature& signature : kSignatures) {
    const std::size_t at = answer.text.find(signature.text);
    if (at == std::string::npos || baseline.holds(signature.text)) continue;
    findings.push_back({"error_signature", fmt::format("The answer holds an error message of {}.", signature.of),
                        around(answer.text, at, signature.text.size())});
    return;
  }
}

// "//x.example/p" names x.example to a browser as "https://x.example/p" does.
bool leads_to(std::string_view location, const std::string& host) {
  std::string text = to_lower(location);
  std::replace(text.begin(), text.end(), '\\', '/');
  if (const std::size_t scheme = text.find(':'); scheme != text.npos && scheme < text.find('/'))
    text.erase(0, scheme + 1);
  const std::size_t begin = text.find_first_not_of('/');
  if (begin == std::string::npos || (begin < 2 && !location.starts_with("http"))) return false;
  std::string authority = text.substr(begin, text.find_first_of("/?#", begin) - begin);
  if (const std::size_t at = authority.rfind('@'); at != authority.npos) authority.erase(0, at + 1);
  return authority == host || authority.starts_with(host + ":");
}

void find_proof(const FuzzBaseline& baseline, const FuzzPayload& payload, const FuzzAnswer& answer,
                std::vector<FuzzFinding>& findings) {
  using Proof = FuzzPayload::Proof;
  switch (payload.proof) {
    case Proof::kNone:
      return;
    case Proof::kText: {
      const std::size_t at = answer.text.find(payload.expects);
      if (at == std::string::npos || baseline.holds(payload.expects)) return;
      findings.push_back({"proof", "The answer holds what only a payload that worked makes.",
                          around(answer.text, at, payload.expects.size())});
      return;
    }
    case Proof::kLocation: {
      const auto location = answer.fields.find("location");
      if (!location || !leads_to(*location, payload.expects)) return;
      findings.push_back({"proof", "The answer redirects to the payload's host.", repair_utf8(*location)});
      return;
    }
    case Proof::kHeader:
      if (!answer.fields.find(payload.expects)) return;
      findings.push_back({"proof", "The payload became a header field of the answer.", payload.expects});
      return;
    case Proof::kDelay:
      if (answer.time < baseline.time() + kFuzzDelay - std::chrono::milliseconds(200)) return;
      findings.push_back({"proof", "The answer came later by what the payload asks the server to wait.", ""});
      return;
  }
}

}  // namespace

void FuzzBaseline::add(const FuzzAnswer& answer) {
  statuses_.push_back(answer.status);
  sizes_.push_back(answer.size);
  times_.push_back(answer.time);
  texts_.push_back(answer.text);
}

ByteCount FuzzBaseline::size() const { return median(sizes_); }
std::chrono::microseconds FuzzBaseline::time() const { return median(times_); }

bool FuzzBaseline::has_status(int status) const {
  return std::find(statuses_.begin(), statuses_.end(), status) != statuses_.end();
}

bool FuzzBaseline::is_usual_size(ByteCount size) const {
  const auto [least, most] = std::minmax_element(sizes_.begin(), sizes_.end());
  const ByteCount slack = std::max<ByteCount>(std::max(this->size() / 5, 2 * (*most - *least)), 16);
  return size + slack >= *least && size <= *most + slack;
}

bool FuzzBaseline::holds(std::string_view text) const {
  return std::any_of(texts_.begin(), texts_.end(), [&](const std::string& one) { return one.find(text) != one.npos; });
}

std::vector<FuzzFinding> judge(const FuzzBaseline& baseline, const FuzzPayload& payload, const FuzzAnswer& answer) {
  std::vector<FuzzFinding> findings;
  find_proof(baseline, payload, answer, findings);
  if (answer.status >= 500 && !baseline.has_status(answer.status)) {
    findings.push_back({"server_error", fmt::format("Server error {}.", answer.status), ""});
  } else if (!baseline.has_status(answer.status)) {
    findings.push_back({"status", fmt::format("Status {} instead of {}.", answer.status, baseline.status()), ""});
  }
  find_signature(baseline, answer, findings);
  find_reflection(baseline, payload, answer, findings);
  if (baseline.has_status(answer.status) && !baseline.is_usual_size(answer.size)) {
    findings.push_back({"length", fmt::format("{} bytes instead of about {}.", answer.size, baseline.size()), ""});
  }
  const auto usual = baseline.time();
  if (payload.proof != FuzzPayload::Proof::kDelay && answer.time > 5 * usual + std::chrono::seconds(1)) {
    findings.push_back({"time",
                        fmt::format("{} ms instead of about {}.", answer.time / std::chrono::milliseconds(1),
                                    usual / std::chrono::milliseconds(1)),
                        ""});
  }
  return findings;
}

}  // namespace sluice::analysis
