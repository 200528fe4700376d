// For a test and a fuzz target: another reader of HTTP/1 (Boost.Beast), and what both saw in a form to compare.
#pragma once

#include <algorithm>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>
#include <optional>
#include <ostream>
#include <string>
#include <utility>
#include <vector>

#include "base/text.h"
#include "http1/http1.h"

namespace sluice::http1 {

namespace beast = boost::beast::http;

struct Seen {
  std::string start;                                        // method and target, or status
  std::vector<std::pair<std::string, std::string>> fields;  // names in lower case
  std::string content;
  std::size_t consumed = 0;
  friend bool operator==(const Seen&, const Seen&) = default;
};

inline std::ostream& operator<<(std::ostream& out, const Seen& seen) {
  out << "[" << seen.start << "]";
  for (const auto& [name, value] : seen.fields) out << " [" << name << ": " << value << "]";
  return out << " [" << seen.content << "] of " << seen.consumed;
}

inline std::string start_of(const http::RequestHead& head) { return head.method + " " + head.target; }
inline std::string start_of(const http::ResponseHead& head) { return std::to_string(head.status); }

// The first message, if it is whole and nothing was refused.
template <class Head, class Reader>
std::optional<Seen> ours(Reader& reader, Bytes octets, http::AnomalySet* anomalies) {
  Seen seen;
  reader.feed(octets);
  for (;;) {
    const auto event = reader.next();
    if (!event || std::holds_alternative<http::NeedMore>(*event)) return std::nullopt;
    if (const auto* head = std::get_if<Head>(&*event)) {
      seen.start = start_of(*head);
      for (std::size_t i = 0; i < head->fields.size(); ++i) {
        seen.fields.emplace_back(to_lower(head->fields.name(i)), head->fields.value(i));
      }
    } else if (const auto* piece = std::get_if<http::BodyPiece>(&*event)) {
      seen.content += piece->content;
    } else if (const auto* trailers = std::get_if<http::Trailers>(&*event)) {
      // The other reader counts them among the head's fields.
      for (std::size_t i = 0; i < trailers->fields.size(); ++i) {
        seen.fields.emplace_back(to_lower(trailers->fields.name(i)), trailers->fields.value(i));
      }
    } else if (std::holds_alternative<http::MessageEnd>(*event)) {
      break;
    }
  }
  *anomalies = reader.anomalies();
  seen.consumed = octets.size() - reader.take_rest().size();
  return seen;
}

template <bool kIsRequest>
std::optional<Seen> theirs(Bytes octets) {
  beast::parser<kIsRequest, beast::string_body> parser;
  parser.eager(true);
  boost::beast::error_code error;
  std::size_t used = 0;
  while (!parser.is_done()) {
    const auto now = parser.put(boost::asio::buffer(octets.data() + used, octets.size() - used), error);
    used += now;
    if (error || (now == 0 && !parser.is_done())) return std::nullopt;
  }
  Seen seen;
  const auto& message = parser.get();
  if constexpr (kIsRequest) {
    seen.start = std::string(message.method_string()) + " " + std::string(message.target());
  } else {
    seen.start = std::to_string(message.result_int());
  }
  for (const auto& field : message) {
    seen.fields.emplace_back(to_lower(std::string(field.name_string())), std::string(field.value()));
  }
  seen.content = message.body();
  seen.consumed = used;
  return seen;
}

// What each reader is known to see in another way, and neither wrongly.
inline bool known_difference(http::AnomalySet anomalies) {
  return anomalies & (http::bit(http::Anomaly::kLeadingEmptyLine) | http::bit(http::Anomaly::kObsFold));
}

inline void sorted(Seen& seen) {
  std::stable_sort(seen.fields.begin(), seen.fields.end(), [](auto& a, auto& b) { return a.first < b.first; });
}

}  // namespace sluice::http1
