#include "analysis/export.h"

#include <gtest/gtest.h>

#include "analysis/har_parts.h"
#include "analysis/shell_quote.h"
#include "base/text.h"
#include "capture/capture_test_support.h"
#include "codings/codings.h"

namespace sluice::analysis {
namespace {

using capture::RingFixture;

class ExportTest : public testing::Test, protected RingFixture {
 protected:
  void SetUp() override { ASSERT_TRUE(open()); }
  // All pages together; how many there were.
  std::pair<std::string, std::size_t> read(ExportQuery query) {
    ring->sync();
    std::string all;
    for (std::size_t pages = 1;; ++pages) {
      const auto page = read_export(*ring, query);
      EXPECT_TRUE(page) << (page ? "" : page.error().message);
      if (!page) return {"failed", pages};
      EXPECT_LE(page->text.size(), query.room + 5 * kKiB);
      if (query.format != ExportFormat::kRaw) EXPECT_TRUE(is_utf8(page->text));
      all += page->text;
      if (!page->next || pages > 10'000) return {all, pages};
      query.cursor = ExportCursor::parse(page->next->text());
    }
  }
  Json har(ExportQuery query = {}) {
    const auto json = parse_json(read(query).first, {.max_members = SIZE_MAX});
    EXPECT_TRUE(json);
    return json ? (*json)["log"]["entries"] : Json::array();
  }
  Redactor masks{entropy};
};

TEST_F(ExportTest, PiecesOfAnySizeAreTheSameText) {
  std::string octets, text;
  for (int i = 0; i < 5'000; ++i) octets += static_cast<char>(i * 7), text += i % 3 == 0 ? "\xe2\x82\xac\"" : "a\x01";
  exchange({.method = "POST",
            .target = "/1",
            .request_body = octets,
            .response_body = text,
            .response_fields = "Transfer-Encoding: chunked\r\n"});
  exchange({.target = "/2",
            .response_body = *codings::encode_all(text, {codings::Coding::kGzip}),
            .response_fields = "Content-Encoding: gzip\r\n"});
  exchange({.method = "POST", .target = "/3", .request_body = "it's"});
  const Spec socket{.target = "/4", .status = 101, .protocol = flow::Protocol::kWebSocket};
  const ExchangeSeq seq = begin(socket);
  respond(seq, socket);
  for (int i = 0; i < 40; ++i) {
    sink().body(seq, flow::Direction::kRequest, text.substr(0, 100));
    sink().message(seq, {.opcode = 1, .offset = 100u * static_cast<unsigned>(i), .length = 100, .at = clock.wall()});
  }
  end(seq, socket);
  exchange({.target = "/5", .response_body = ""});
  for (const ExportFormat format :
       {ExportFormat::kHar, ExportFormat::kCurl, ExportFormat::kRaw, ExportFormat::kJsonl}) {
    for (const Redactor* redactor : {static_cast<const Redactor*>(nullptr), static_cast<const Redactor*>(&masks)}) {
      ExportQuery query{.format = format, .room = 100 * kMiB, .redactor = redactor};
      const auto [whole, one] = read(query);
      EXPECT_EQ(one, 1u);
      for (const std::size_t room : {1'000u, 1'001u, 3'333u, 20'000u}) {
        query.room = room;
        const auto [joined, pages] = read(query);
        EXPECT_EQ(joined, whole) << static_cast<int>(format) << " " << room;
        EXPECT_GE(pages + 5, whole.size() / (room + 5 * kKiB));
      }
    }
  }
  EXPECT_EQ(har({.room = 1'000}).size(), 5u);
  EXPECT_EQ(har()[3]["_webSocketMessages"].size(), 40u);
  EXPECT_EQ(har()[0]["response"]["content"]["text"], text);
  EXPECT_EQ(har()[0]["request"]["postData"]["text"], base64_encode(octets));
  EXPECT_EQ(har()[1]["response"]["content"]["text"], text);
}

TEST_F(ExportTest, ALongDecodedBodyIsWholeThoughItIsReadInParts) {
  std::string text;  // more than is decoded in one go
  for (int i = 0; text.size() < 17 * kMiB; ++i) text += std::to_string(i) + " and so on, ";
  exchange({.response_body = *codings::encode_all(text, {codings::Coding::kGzip}),
            .response_fields = "Content-Encoding: gzip\r\n"});
  const Json entries = har({.room = 64 * kMiB});
  ASSERT_EQ(entries.size(), 1u);
  const Json& content = entries[0]["response"]["content"];
  EXPECT_EQ(content["size"], text.size());
  EXPECT_TRUE(content["text"] == text);
}

TEST_F(ExportTest, AnExportEndsThoughTrafficGoesOn) {
  for (int i = 0; i < 10; ++i) exchange({.response_body = std::string(2'000, 'x')});
  ring->sync();
  ExportQuery query{.format = ExportFormat::kJsonl, .room = 3'000};
  std::uint64_t entries = 0;
  for (int pages = 0; pages < 1'000; ++pages) {
    const auto page = read_export(*ring, query);
    ASSERT_TRUE(page);
    entries += page->entries;
    if (!page->next) break;
    query.cursor = page->next;
    exchange({});
    ring->sync();
  }
  EXPECT_EQ(entries, 10u);
}

TEST_F(ExportTest, WhatLeftTheRingInTheMiddleIsAnErrorAndNotHalfAnEntry) {
  exchange({.response_body = std::string(20'000, 'x')});
  ring->sync();
  ExportQuery query{.room = 2'000};
  const auto page = read_export(*ring, query);
  ASSERT_TRUE(page && page->next);
  ring->clear();
  query.cursor = page->next;
  const auto gone = read_export(*ring, query);
  ASSERT_FALSE(gone);
  EXPECT_EQ(gone.error().code, Code::kNotFound);
}

TEST_F(ExportTest, SecretsAreMaskedInEveryFormat) {
  exchange({.method = "POST",
            .target = "/?access_token=Zq8redXw3",
            .request_body = R"({"password":"Zq8redXw3"})",
            .response_body = *codings::encode_all(R"({"token":"Zq8redXw3"})", {codings::Coding::kGzip}),
            .response_fields =
                "Content-Encoding: gzip\r\nSet-Cookie: sid=Zq8redXw3; Path=/\r\nLocation: /?token=Zq8redXw3\r\n",
            .request_fields = "Authorization: Bearer Zq8redXw3\r\nCookie: sid=Zq8redXw3\r\nX-Api-Key: Zq8redXw3\r\n",
            .response_trailers = "0\r\nX-Api-Key: Zq8redXw3\r\n\r\n"});
  for (const ExportFormat format :
       {ExportFormat::kHar, ExportFormat::kCurl, ExportFormat::kRaw, ExportFormat::kJsonl}) {
    EXPECT_NE(read({.format = format}).first.find("Zq8redXw3"), std::string::npos);
    const std::string shown = read({.format = format, .redactor = &masks}).first;
    EXPECT_EQ(shown.find("Zq8redXw3"), std::string::npos) << shown;
    EXPECT_EQ(shown.find(base64_encode("Zq8redXw3")), std::string::npos) << shown;
    EXPECT_NE(shown.find("[redacted:"), std::string::npos) << shown;
  }
}

TEST_F(ExportTest, TunnelsAreInNoHar) {
  exchange({.protocol = flow::Protocol::kTls});
  exchange({});
  EXPECT_EQ(har().size(), 1u);
  EXPECT_EQ(read({.format = ExportFormat::kCurl}).first.find("tls"), std::string::npos);
  const std::string id = ring->list({}, 0, 1).exchanges.at(0).id;
  for (const ExportFormat format : {ExportFormat::kHar, ExportFormat::kCurl}) {
    const auto refused = read_export(*ring, {.format = format, .id = id});
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, Code::kInvalid);
  }
  EXPECT_TRUE(read_export(*ring, {.format = ExportFormat::kJsonl, .id = id}));
}

TEST(ExportCursorTest, IsReadAgainAndNothingElseIs) {
  const ExportCursor cursor{7, 9, 3, 8, {2, 512, 1}};
  EXPECT_EQ(ExportCursor::parse(cursor.text())->text(), cursor.text());
  for (const char* text : {"", "1", "1.2.3.4.5.6", "1.2.3.4.5.6.7.8", "1.2.3.4.x.6.7", "1.2.3.4.-5.6.7",
                           "1.2.3.4.5.6.99999999999", "1.2.3.4.5.99999999999999999999.7", " 1.2.3.4.5.6.7"}) {
    EXPECT_FALSE(ExportCursor::parse(text)) << text;
  }
}

TEST(HarParts, TimingsAddUpAndNeverGoBack) {
  const auto told = [](const flow::Timings& timings) {
    const Json json = har_timings(timings);
    return dump_json(json) + " " + std::to_string(har_time(json));
  };
  flow::Timings all;
  all.request_head = 1'000, all.request_end = 2'000, all.resolved = 3'000, all.connected = 5'000,
  all.upstream_tls = 9'000;
  all.sent = 10'000, all.first_byte = 20'000, all.response_head = 20'500, all.end = 25'000;
  EXPECT_EQ(told(all),
            R"({"blocked":1.0,"dns":2.0,"connect":6.0,"send":1.0,"wait":10.0,"receive":5.0,"ssl":4.0} 25.000000)");
  flow::Timings reused;
  reused.request_head = 100, reused.sent = 200, reused.first_byte = 300, reused.end = 400;
  EXPECT_EQ(told(reused),
            R"({"blocked":0.1,"dns":-1,"connect":-1,"send":0.1,"wait":0.1,"receive":0.1,"ssl":-1} 0.400000)");
  flow::Timings odd;  // an answer before the request's end, a failure before any
  odd.request_head = 100, odd.sent = 900, odd.first_byte = 300, odd.end = 800;
  EXPECT_EQ(told(odd),
            R"({"blocked":0.1,"dns":-1,"connect":-1,"send":0.8,"wait":0.0,"receive":0.0,"ssl":-1} 0.900000)");
  EXPECT_EQ(told({}), R"({"blocked":0.0,"dns":-1,"connect":-1,"send":0.0,"wait":0.0,"receive":0.0,"ssl":-1} 0.000000)");
}

TEST(HarParts, CookiesAndQueries) {
  http::FieldList fields;
  fields.append("Set-Cookie",
                "sid=a=b; Path=/; Domain=x.org; Expires=Wed, 21 Oct 2015 07:28:00 GMT; Secure; HttpOnly; SameSite=Lax");
  fields.append("set-cookie", "bare");
  fields.append("set-cookie", "c=1; expires=soon; Max-Age=5");
  EXPECT_EQ(
      dump_json(har_response_cookies(har_headers(fields, nullptr))),
      R"([{"name":"sid","value":"a=b","path":"/","domain":"x.org","expires":"2015-10-21T07:28:00.000Z","secure":true,"httpOnly":true,"_sameSite":"Lax"},)"
      R"({"name":"","value":"bare"},{"name":"c","value":"1","_expires":"soon","_maxAge":"5"}])");
  EXPECT_EQ(dump_json(har_query("https://x/?a=1%20b+c&a&&=v#f?g=1")),
            R"([{"name":"a","value":"1 b c"},{"name":"a","value":""},{"name":"","value":"v"}])");
  EXPECT_EQ(dump_json(har_query("https://x/#?a=1")), "[]");
}

// What a shell makes of the word: POSIX.1-2024, 2.2.2 and 2.2.4.
std::string as_shell_reads(std::string_view word) {
  std::string value;
  if (word.starts_with("$'")) {
    EXPECT_TRUE(word.ends_with("'"));
    word = word.substr(2, word.size() - 3);
    for (std::size_t i = 0; i < word.size(); ++i) {
      EXPECT_NE(word[i], '\'');
      if (word[i] != '\\') {
        value += word[i];
      } else if (word[i + 1] == '\\' || word[i + 1] == '\'') {
        value += word[++i];
      } else {
        value += static_cast<char>(std::stoi(std::string(word.substr(i + 1, 3)), nullptr, 8));
        i += 3;
      }
    }
    return value;
  }
  bool inside = false;
  for (std::size_t i = 0; i < word.size(); ++i) {
    if (word[i] == '\'') {
      inside = !inside;
    } else if (inside) {
      value += word[i];
    } else {
      EXPECT_EQ(word.substr(i, 2), "\\'") << "only an escaped quote stands outside";
      value += word[++i];
    }
  }
  EXPECT_FALSE(inside);
  return value;
}

TEST(ShellQuote, AWordMeansItsOctetsAndNothingElse) {
  EXPECT_EQ(shell_quote(""), "''");
  EXPECT_EQ(shell_quote("it's $(id)"), "'it'\\''s $(id)'");
  EXPECT_EQ(shell_quote("a\x1b\x01"
                        "1'\\"),
            "$'a\\033\\0011\\'\\\\'");
  EXPECT_EQ(shell_quote("\xc2\x9b"), "$'\\302\\233'") << "a control character of two octets";
  SeededEntropy entropy{5};
  for (int round = 0; round < 3'000; ++round) {
    std::array<char, 24> octets;
    entropy.fill(octets);
    std::string text(octets.data(), static_cast<std::size_t>(round % 24));
    if (round % 2 == 0) {
      for (char& c : text) c = "'\\$`\"!\n\t a\x1b#~"[static_cast<unsigned char>(c) % 13];
    }
    std::erase(text, '\0');
    const std::string word = shell_quote(text);
    EXPECT_EQ(as_shell_reads(word), text);
    for (const char c : word) EXPECT_TRUE(static_cast<unsigned char>(c) >= 0x20 || c == '\n' || c == '\t');
  }
}

}  // namespace
}  // namespace sluice::analysis
