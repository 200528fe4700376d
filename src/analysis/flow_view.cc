#include "analysis/flow_view.h"

#include <algorithm>

#include "base/text.h"
#include "base/url.h"

namespace sluice::analysis {
namespace {

bool is_upper(char c) { return c >= 'A' && c <= 'Z'; }
bool is_lower(char c) { return c >= 'a' && c <= 'z'; }
bool is_digit(char c) { return c >= '0' && c <= '9'; }

std::string plain(std::string_view text) {
  std::string spaced(text);
  std::replace(spaced.begin(), spaced.end(), '+', ' ');
  return repair_utf8(percent_decode(spaced));
}

}  // namespace

std::vector<NameValue> parse_pairs(std::string_view text) {
  std::vector<NameValue> pairs;
  while (!text.empty() && pairs.size() < kMostPairs) {
    const std::size_t end = std::min(text.find('&'), text.size());
    const std::string_view pair = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (pair.empty()) continue;
    const std::size_t equals = std::min(pair.find('='), pair.size());
    pairs.push_back({plain(pair.substr(0, equals)), plain(pair.substr(std::min(equals + 1, pair.size())))});
  }
  return pairs;
}

std::vector<NameValue> parse_cookies(const http::FieldList& request) {
  std::vector<NameValue> cookies;
  for (std::size_t i = request.next_named("cookie"); i < request.size(); i = request.next_named("cookie", i + 1)) {
    for (const std::string_view part : split(request.value(i), ';')) {
      const std::size_t equals = part.find('=');
      if (equals == std::string_view::npos || cookies.size() == kMostPairs) continue;
      cookies.push_back({std::string(trim(part.substr(0, equals))), std::string(trim(part.substr(equals + 1)))});
    }
  }
  return cookies;
}

std::string media_type_of(const http::FieldList& fields) {
  const auto type = fields.find("content-type");
  return type ? to_lower(trim(type->substr(0, type->find_first_of(";,")))) : "";
}

bool is_json_media(std::string_view media) {
  return media == "application/json" || media == "text/json" || media.ends_with("+json");
}

std::string shown_value(const http::FieldList& fields, std::size_t at, const Redactor* redactor) {
  return redactor ? redactor->mask_header_value(fields.name(at), fields.value(at)).text : std::string(fields.value(at));
}

std::optional<std::string> shown_field(const http::FieldList& fields, std::string_view name, const Redactor* redactor) {
  std::optional<std::string> shown;
  for (std::size_t i = fields.next_named(name); i < fields.size(); i = fields.next_named(name, i + 1)) {
    const std::string value = shown_value(fields, i, redactor);
    shown = shown ? *shown + ", " + value : value;
  }
  return shown;
}

std::vector<std::string> name_words(std::string_view name) {
  std::vector<std::string> words(1);
  for (std::size_t i = 0; i < name.size(); ++i) {
    const char c = name[i];
    if (!is_upper(c) && !is_lower(c) && !is_digit(c)) {
      words.emplace_back();
      continue;
    }
    // "userId" begins a word at I, "HTTPServer" at S.
    const bool next_lower = i + 1 < name.size() && is_lower(name[i + 1]);
    if (is_upper(c) && i > 0 &&
        (is_lower(name[i - 1]) || is_digit(name[i - 1]) || (is_upper(name[i - 1]) && next_lower)))
      words.emplace_back();
    words.back() += ascii_lower(c);
  }
  std::erase(words, "");
  return words;
}

FlowView::FlowView(const flow::Exchange& of, const BodyReader& bodies)
    : exchange(of),
      read_body(bodies),
      request(flow::parse_fields(of.request.head)),
      response(flow::parse_fields(of.response.head)) {
  const std::string_view target = of.target;
  const std::size_t mark = std::min(target.find('?'), target.size());
  path = target.substr(0, mark);
  query = target.substr(std::min(mark + 1, target.size()));
  authority = authority_text(of.host, of.port, default_port(of.scheme));
}

bool is_generated(const flow::Exchange& exchange) {
  if (exchange.id.starts_with("replay_")) return true;
  if (exchange.connection && exchange.connection->source == flow::Source::kInternal) return true;
  // A rule answered, or Sluice did.
  return !exchange.upstream && (exchange.matched_rule != 0 || (exchange.failure && exchange.status != 0));
}

bool is_request(const flow::Exchange& exchange) {
  const bool http = exchange.protocol == flow::Protocol::kHttp1 || exchange.protocol == flow::Protocol::kHttp2 ||
                    exchange.protocol == flow::Protocol::kWebSocket;
  return http && !exchange.method.empty() && !exchange.host.empty() && exchange.method != "CONNECT" &&
         exchange.target.starts_with('/');
}

}  // namespace sluice::analysis
