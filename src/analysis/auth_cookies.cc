// Session cookies (RFC 6265) and tokens against forgery.
#include <algorithm>
#include <array>

#include "analysis/auth_book.h"
#include "analysis/html.h"
#include "analysis/jwt.h"
#include "base/text.h"

namespace sluice::analysis {
namespace {

constexpr ByteCount kMostPage = 512 * kKiB;
constexpr std::array<std::string_view, 12> kSessionWords = {"sid",      "sess",      "session",   "sessionid",
                                                            "sessid",   "phpsessid", "auth",      "jsessionid",
                                                            "remember", "login",     "authtoken", "aspsessionid"};
constexpr std::array<std::string_view, 6> kCsrfPlain = {
    "authenticitytoken", "csrfmiddlewaretoken", "requestverificationtoken",
    "antiforgerytoken",  "csrftoken",           "xsrftoken"};
constexpr std::array<std::string_view, 4> kSafeMethods = {"GET", "HEAD", "OPTIONS", "TRACE"};

bool is_password(const std::vector<NameValue>& body) {
  return std::any_of(body.begin(), body.end(), [](const NameValue& each) {
    const auto words = name_words(each.name);
    const auto is = [](const std::string& word) { return word == "password" || word == "passwd" || word == "pwd"; };
    return !each.value.empty() && std::any_of(words.begin(), words.end(), is);
  });
}

Json attributes_of(std::string_view line) {
  Json attributes = Json::object();
  const auto parts = split(line, ';');
  for (std::size_t i = 1; i < parts.size() && i < 20; ++i) {
    const std::string_view part = trim(parts[i]);
    if (iequals(part, "httponly")) attributes["http_only"] = true;
    if (iequals(part, "secure")) attributes["secure"] = true;
    if (ifind(part, "samesite=") == 0) attributes["same_site"] = std::string(part.substr(9));
  }
  return attributes;
}

// A cookie is a session's by its name; or by how it was set, where the name is no other thing's.
void look_at_set_cookie(AuthBook& book, const FlowView& flow, std::string_view line, bool login) {
  const std::string_view pair = line.substr(0, std::min(line.find(';'), line.size()));
  const std::size_t equals = pair.find('=');
  if (equals == std::string_view::npos) return;
  const std::string name(trim(pair.substr(0, equals)));
  const std::string_view value = trim(pair.substr(equals + 1));
  if (name.empty() || value.empty() || is_api_key_name(name)) return;
  look_at_token(book, flow, "cookie", name, value);
  book.issue(value, {flow.exchange.id, "Set-Cookie: " + name, flow.authority, std::string(flow.path)});
  if (is_csrf_name(name)) return;
  const bool named = is_session_name(name);
  const Json attributes = attributes_of(line);
  if (!named && !(login && attributes.contains("http_only"))) return;
  AuthScheme* const scheme = book.scheme(AuthType::kSessionCookie, flow.authority, "cookie", name);
  if (!scheme) return;
  book.note(scheme, "set_by_answer", flow);
  if (named) book.note(scheme, "session_name", flow);
  if (attributes.contains("http_only")) book.note(scheme, "http_only", flow);
  if (login) book.note(scheme, "set_at_login", flow);
  if (looks_random(value)) book.note(scheme, "random_value", flow);
  for (const auto& [key, attribute] : attributes.items()) scheme->details[key] = attribute;
  if (!scheme->details.contains("set_by")) scheme->details["set_by"] = flow.exchange.id;
}

// Hidden inputs and meta elements of a page whose names speak of forgery.
void look_at_page(AuthBook& book, const FlowView& flow) {
  if (flow.exchange.response.body.size == 0 || flow.exchange.response.body.size > kMostPage || !book.may_read_body())
    return;
  const std::string page = flow.response_body();
  const auto holds = [&](std::string_view word) { return ifind(page, word) != std::string::npos; };
  if (page.size() > kMostPage ||
      (!holds("csrf") && !holds("xsrf") && !holds("_token") && !holds("forgery") && !holds("verificationtoken")))
    return;
  if (!book.may_read_page()) return;
  const auto html = HtmlPage::parse(page);
  if (!html) return;
  for (const HtmlNode* node : html->elements()) {
    const bool input = node->name == "input";
    if (!input && node->name != "meta") continue;
    const std::string_view* const name = node->attribute("name");
    const std::string_view* const value = node->attribute(input ? "value" : "content");
    if (!name || !value || !is_csrf_name(*name)) continue;
    book.issue(*value, {flow.exchange.id, std::string(node->name) + " " + std::string(*name), flow.authority,
                        std::string(flow.path)});
  }
}

void look_at_csrf_value(AuthBook& book, const FlowView& flow, std::string_view in, const std::string& name,
                        const std::string& value, const std::vector<NameValue>& cookies) {
  if (!is_csrf_name(name) || value.empty()) return;
  AuthScheme* const scheme = book.scheme(AuthType::kCsrf, flow.authority, in, name);
  if (!scheme) return;
  book.note(scheme, "csrf_name", flow);
  const auto& safe = kSafeMethods;
  if (std::find(safe.begin(), safe.end(), flow.exchange.method) == safe.end()) book.note(scheme, "unsafe_method", flow);
  for (const NameValue& cookie : cookies) {
    if (cookie.value.size() < 8 || (cookie.value != value && percent_decode(cookie.value) != value)) continue;
    book.note(scheme, "same_as_cookie", flow);
    scheme->details["cookie"] = cookie.name;
  }
  if (const IssuedBy* by = book.issuer(value)) {
    book.note(scheme, "from_answer", flow);
    scheme->details["issued_by"] = {{"flow", by->flow}, {"where", by->where}, {"host", by->host}, {"path", by->path}};
  }
  book.carries(scheme, flow);
}

}  // namespace

bool is_session_name(std::string_view name) {
  if (is_csrf_name(name)) return false;
  for (const std::string& word : name_words(name)) {
    if (std::find(kSessionWords.begin(), kSessionWords.end(), word) != kSessionWords.end()) return true;
    // ASPSESSIONIDQQQQ
    if (word.starts_with("aspsessionid")) return true;
  }
  return false;
}

bool is_csrf_name(std::string_view name) {
  std::string plain;
  const auto words = name_words(name);
  for (const std::string& word : words) {
    if (word == "csrf" || word == "xsrf") return true;
    plain += word;
  }
  if (name == "_token") return true;
  const std::string_view bare = plain.starts_with('x') ? std::string_view(plain).substr(1) : std::string_view(plain);
  const auto is = [&](std::string_view known) { return plain == known || bare == known; };
  return std::any_of(kCsrfPlain.begin(), kCsrfPlain.end(), is);
}

void look_at_cookies(AuthBook& book, const FlowView& flow, const std::vector<NameValue>& cookies,
                     const std::vector<NameValue>& body) {
  const bool login = is_password(body) && flow.accepted();
  for (std::size_t i = flow.response.next_named("set-cookie"); i < flow.response.size();
       i = flow.response.next_named("set-cookie", i + 1)) {
    look_at_set_cookie(book, flow, flow.response.value(i), login);
  }
  for (const auto& [name, value] : cookies) {
    if (value.empty() || is_csrf_name(name) || is_api_key_name(name)) continue;
    AuthScheme* scheme = nullptr;
    if (is_session_name(name)) {
      scheme = book.scheme(AuthType::kSessionCookie, flow.authority, "cookie", name);
      book.note(scheme, "session_name", flow);
    } else if (const IssuedBy* by = book.issuer(value); by && by->host == flow.authority) {
      // Only what was set as a session: a scheme that exists already.
      scheme = book.known(AuthType::kSessionCookie, flow.authority, "cookie", name);
    }
    if (!scheme) continue;
    book.note(scheme, "sent_back", flow);
    if (looks_random(value)) book.note(scheme, "random_value", flow);
    book.carries(scheme, flow);
    book.see_value(scheme, value);
  }
}

void look_at_csrf(AuthBook& book, const FlowView& flow, const std::vector<NameValue>& cookies,
                  const std::vector<NameValue>& body) {
  for (std::size_t i = 0; i < flow.request.size(); ++i) {
    look_at_csrf_value(book, flow, "header", std::string(flow.request.name(i)),
                       std::string(trim(flow.request.value(i))), cookies);
  }
  for (const auto& [name, value] : body) look_at_csrf_value(book, flow, "body", name, value, cookies);
  if (media_type_of(flow.response) == "text/html") look_at_page(book, flow);
}

}  // namespace sluice::analysis
