// Against another reader of HTTP/1, over many mutations of sound messages: where both accept, both see the same.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>
#include <optional>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "base/text.h"
#include "http1/http1.h"

namespace sluice::http1 {
namespace {

namespace beast = boost::beast::http;

struct Seen {
  std::string start;                                        // method and target, or status
  std::vector<std::pair<std::string, std::string>> fields;  // names in lower case
  std::string content;
  std::size_t consumed = 0;
  friend bool operator==(const Seen&, const Seen&) = default;
};

std::ostream& operator<<(std::ostream& out, const Seen& seen) {
  out << "[" << seen.start << "]";
  for (const auto& [name, value] : seen.fields) out << " [" << name << ": " << value << "]";
  return out << " [" << seen.content << "] of " << seen.consumed;
}

std::string start_of(const http::RequestHead& head) { return head.method + " " + head.target; }
std::string start_of(const http::ResponseHead& head) { return std::to_string(head.status); }

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

std::string mutated(std::string text, std::mt19937& random) {
  static constexpr std::array<std::string_view, 22> kPieces = {"\r\n",        "\n",
                                                               "\r",          " ",
                                                               "\t",          ":",
                                                               ",",           ";",
                                                               "0",           "1",
                                                               "a",           "A",
                                                               "/",           "+",
                                                               "-",           "x",
                                                               "\v",          "\"",
                                                               "chunked",     "Content-Length: 1\r\n",
                                                               "Host: b\r\n", "Transfer-Encoding: chunked\r\n"};
  const auto at = [&] { return random() % (text.size() + 1); };
  for (auto edits = 1 + random() % 3; edits > 0; --edits) {
    switch (random() % 4) {
      case 0:
        text.insert(at(), kPieces[random() % kPieces.size()]);
        break;
      case 1:
        text.erase(at(), 1 + random() % 3);
        break;
      case 2:
        text.insert(at(), std::string(1, static_cast<char>(random() % 256)));
        break;
      default:
        if (const auto where = at(); where < text.size()) {
          text[where] = kPieces[random() % kPieces.size()][0];
        }
    }
  }
  return text;
}

// What each reader is known to see in another way, and neither wrongly.
bool known_difference(http::AnomalySet anomalies) {
  return anomalies & (http::bit(http::Anomaly::kLeadingEmptyLine) | http::bit(http::Anomaly::kObsFold));
}

void sorted(Seen& seen) {
  std::stable_sort(seen.fields.begin(), seen.fields.end(), [](auto& a, auto& b) { return a.first < b.first; });
}

constexpr int kRounds = 20'000;  // about half a second each under the sanitizers

TEST(Differential, RequestsReadTheSameWhereBothAccept) {
  const std::array<std::string, 4> seeds = {
      "GET /a?b HTTP/1.1\r\nHost: a\r\nX: 1\r\nx: 2\r\n\r\n",
      "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 11\r\n\r\nhello world",
      "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: "
      "chunked\r\n\r\n5;x=y\r\nhello\r\n10\r\n0123456789abcdef\r\n0\r\n\r\n",
      "CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n",
  };
  std::mt19937 random(20'240'601);
  int both = 0;
  for (int i = 0; i < kRounds; ++i) {
    const std::string octets = mutated(seeds[static_cast<std::size_t>(i) % seeds.size()], random);
    RequestReader reader{HttpLimits{}};
    http::AnomalySet anomalies = 0;
    auto mine = ours<http::RequestHead>(reader, octets, &anomalies);
    auto other = theirs<true>(octets);
    if (!mine || !other || known_difference(anomalies)) continue;
    ++both;
    sorted(*mine);
    sorted(*other);
    ASSERT_EQ(*mine, *other) << octets;
  }
  EXPECT_GT(both, kRounds / 20);
}

TEST(Differential, AnswersReadTheSameWhereBothAccept) {
  const std::array<std::string, 3> seeds = {
      "HTTP/1.1 200 OK\r\nX: 1\r\nx: 2\r\nContent-Length: 11\r\n\r\nhello world",
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;x=y\r\nhello\r\n10\r\n0123456789abcdef\r\n0\r\n\r\n",
      "HTTP/1.1 204 No Content\r\nX: 1\r\n\r\n",
  };
  std::mt19937 random(20'240'602);
  int both = 0;
  for (int i = 0; i < kRounds; ++i) {
    const std::string octets = mutated(seeds[static_cast<std::size_t>(i) % seeds.size()], random);
    ResponseReader reader{HttpLimits{}};
    reader.begin("GET");
    http::AnomalySet anomalies = 0;
    auto mine = ours<http::ResponseHead>(reader, octets, &anomalies);
    auto other = theirs<false>(octets);
    if (!mine || !other || known_difference(anomalies)) continue;
    ++both;
    sorted(*mine);
    sorted(*other);
    ASSERT_EQ(*mine, *other) << octets;
  }
  EXPECT_GT(both, kRounds / 20);
}

}  // namespace
}  // namespace sluice::http1
