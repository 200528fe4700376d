// URLs and parameters.
#include <algorithm>

#include "base/masker.h"
#include "base/text.h"

namespace sluice {
namespace {

constexpr std::size_t kLongestName = 256;   // of a parameter, as it is spelt: a longer one is no listed name
constexpr std::size_t kShortestToken = 16;  // as userinfo without a password: shorter ones are people's names

std::string plain_text(std::string_view escaped) {
  std::string text(escaped);
  std::replace(text.begin(), text.end(), '+', ' ');
  return percent_decode(text);
}

// Parameters end at '&', at ';', and at "\u0026", which is '&' inside JSON.
constexpr std::string_view kEscapedAmpersand = "\\u0026";
struct Separator {
  std::size_t at;
  std::size_t size;
};
Separator next_separator(std::string_view text) {
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '&' || text[i] == ';') return {i, 1};
    if (text[i] == '\\' && text.substr(i).starts_with(kEscapedAmpersand)) return {i, kEscapedAmpersand.size()};
  }
  return {text.size(), 0};
}

template <class Visit>
void for_each_parameter(std::string_view text, Visit visit) {
  for (;;) {
    const Separator end = next_separator(text);
    visit(text.substr(0, end.at), text.substr(end.at, end.size));
    if (end.size == 0) return;
    text.remove_prefix(end.at + end.size);
  }
}

std::string name_of(std::string_view parameter) {
  const std::size_t size = std::min(parameter.find('='), parameter.size());
  return size > kLongestName ? std::string() : plain_text(parameter.substr(0, size));
}

// RFC 6749 §4.1.2, §4.1.3: an authorization code travels beside one of these. `code` elsewhere is a country, an error
// or a voucher, and hiding it would hide what people look for.
bool accompanies_code(std::string_view name) {
  return name == "state" || name == "grant_type" || name == "client_id" || name == "redirect_uri" ||
         name == "code_verifier" || name == "session_state" || name == "iss" || name == "scope";
}

}  // namespace

void Masker::url(std::string_view url) {
  const std::size_t target = std::min(url.find_first_of("/?#\\"), url.size());
  const std::size_t mark = url.find(':');
  std::size_t authority = 0;
  if (mark != std::string_view::npos && mark < target) {
    if (const std::string_view rest = url.substr(mark + 1); rest.starts_with("//")) {
      authority = mark + 3;
    } else if (rest.starts_with("\\/\\/")) {
      authority = mark + 5;  // JSON may write '/' as "\/"
    }
  } else if (url.starts_with("//")) {
    authority = 2;
  }
  put(url.substr(0, authority));
  url.remove_prefix(authority);

  if (authority > 0 || target > 0) {
    const std::size_t end = std::min(url.find_first_of("/?#\\"), url.size());
    std::string_view host = url.substr(0, end);
    if (const std::size_t at = host.rfind('@'); at != std::string_view::npos) {
      const std::string_view userinfo = host.substr(0, at);
      const std::size_t colon = is_mask(userinfo) ? std::string_view::npos : userinfo.find(':');
      if (colon != std::string_view::npos) {
        put(userinfo.substr(0, colon + 1));
        const std::string_view password = userinfo.substr(colon + 1);
        if (password == "***")  // what is hidden already: upstream proxies are shown so
          put(password);
        else
          secret("password", password, percent_decode(password));
      } else if (userinfo.size() >= kShortestToken) {
        secret("userinfo", userinfo, percent_decode(userinfo));  // "https://TOKEN@host"
      } else {
        put(userinfo);  // "ssh://git@host"
      }
      host.remove_prefix(at);
    }
    tokens(host);
    url.remove_prefix(end);
  }

  const std::size_t query = std::min(url.find_first_of("?#"), url.size());
  path(url.substr(0, query));
  url.remove_prefix(query);
  while (!url.empty()) {  // the query, and the fragment, in which OAuth's implicit grant answers
    put(url.front());
    url.remove_prefix(1);
    const std::size_t end = std::min(url.find('#'), url.size());
    parameters(url.substr(0, end));
    url.remove_prefix(end);
  }
}

// Segments may carry parameters: "/shop;jsessionid=…/cart".
void Masker::path(std::string_view text) {
  while (!text.empty()) {
    const std::size_t semicolon = std::min(text.find(';'), text.size());
    tokens(text.substr(0, semicolon));
    text.remove_prefix(semicolon);
    if (text.empty()) return;
    put(';');
    text.remove_prefix(1);
    const std::size_t end = std::min(text.find('/'), text.size());
    parameters(text.substr(0, end));
    text.remove_prefix(end);
  }
}

void Masker::parameters(std::string_view text) {
  bool code_is_secret = false;
  for_each_parameter(text, [&](std::string_view parameter, std::string_view) {
    code_is_secret = code_is_secret || accompanies_code(name_of(parameter));
  });
  for_each_parameter(text, [&](std::string_view one, std::string_view separator) {
    parameter(one, code_is_secret);
    put(separator);
  });
}

void Masker::parameter(std::string_view text, bool code_is_secret) {
  const std::size_t equals = text.find('=');
  if (equals == std::string_view::npos) return tokens(text);
  const std::string name = name_of(text);
  const std::string_view value = text.substr(equals + 1);
  put(text.substr(0, equals + 1));
  if (const SecretName* found = find_secret_name(name)) {
    secret(found->kind, value, plain_text(value));
  } else if (code_is_secret && name == "code") {
    secret("code", value, plain_text(value));
  } else {
    tokens(value);
  }
}

}  // namespace sluice
