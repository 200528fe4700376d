// Against another reader of HTTP/1, over many mutations of sound messages: where both accept, both see the same.
#include <gtest/gtest.h>

#include <array>
#include <random>
#include <string>

#include "http1/http1.h"
#include "http1/test_second_reader.h"

namespace sluice::http1 {
namespace {

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
