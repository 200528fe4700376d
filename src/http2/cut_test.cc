// Wherever the octets of a connection are cut, a session says the same.
#include <gtest/gtest.h>

#include <string>

#include "http2/handmade.h"
#include "http2/pair.h"

namespace sluice::http2 {
namespace {

using namespace handmade;

Options small() {
  Options options;
  options.head_size = 600;
  options.max_streams = 4;
  options.stream_window = options.stream_window_max = 100;
  return options;
}

std::string server_octets() {
  const std::string padded = std::string(1, '\x03') + "abc" + std::string(3, '\0');
  const std::string parts = section(with(post("/cut"), {{"a", "1"}, {"b", "2"}}));
  std::string octets = client_preface() + settings_ack();
  octets += settings({{4, 70'000}, {0x99, 1}}) + window_update(0, 1000) + priority(3, 0, 7);
  octets += headers(1, with(post(), {{"content-length", "6"}})) + ping() + data(1, padded, kPadded) + data(1, "");
  octets += frame(FrameType::kHeaders, 0, 3, parts.substr(0, 7)) + frame(FrameType::kContinuation, 0, 3, "") +
            frame(FrameType::kContinuation, kEndHeaders, 3, parts.substr(7));
  octets += data(1, "def", kEndStream) + data(3, "x");
  octets += frame(FrameType::kHeaders, kEndHeaders | kPriority | kEndStream, 5,
                  number(0x80000001, 4) + "\xff" + section(with(get(), {{"Bad", "1"}})));
  octets += headers(7, get(), kEndStream);                      // one too many
  octets += rst_stream(5, 8) + data(3, std::string(120, 'y'));  // too much
  octets += data(3, "late") + headers(9, with(get(), {{"x", std::string(900, 'x')}}), kEndStream);
  octets += frame(static_cast<FrameType>(0xcc), 0, 0, "unknown") + goaway(0, 0) + headers(11, get()) + data(11, "z");
  return octets + headers(11, {{"trailer", "1"}}, kEndStream);
}

std::string client_octets() {
  std::string octets = settings({{3, 10}, {8, 1}}) + settings_ack();
  octets += headers(1, {{":status", "103"}, {"link", "x"}}) + headers(1, {{":status", "200"}, {"content-length", "4"}});
  octets += headers(3, {{":status", "200"}}) + data(1, "ab") + data(3, "12") + data(1, "cd", kEndStream);
  octets += data(3, "34") + headers(3, {{"t", "1"}}, kEndStream) + headers(5, {{":status", "2"}});
  octets += rst_stream(7, 2) + headers(9, {{":status", "200"}, {"content-length", "1"}}) + data(9, "xy");
  octets += goaway(11, 0) + headers(11, {{":status", "204"}}, kEndStream);
  return octets;
}

// What a session says at the end, with `cuts` on the way.
std::string told(Role role, const Options& options, Bytes octets, const std::vector<std::size_t>& cuts) {
  End end(role, options);
  end.transcript.consumes = false;  // what the caller does in between may matter
  if (role == Role::kClient) {
    for (int i = 0; i < 7; ++i) {
      end.source.content[2 * i + 1] = {"body", i % 2 == 0, {}};
      EXPECT_TRUE(end.session.submit_request(http::make_request("POST", "/", {{"host", "a"}}), {}, Body::kPulled));
    }
  }
  while (!end.session.output().empty()) {
  }
  end.transcript.feed(octets, cuts);
  while (!end.session.output().empty()) {
  }
  end.transcript.drain();
  return end.text() + (end.session.is_over() ? "over" : "");
}

void same_at_every_cut(Role role, const Options& options, const std::string& octets) {
  const std::string whole = told(role, options, octets, {});
  std::vector<std::size_t> every;
  for (std::size_t cut = 1; cut < octets.size(); ++cut) {
    every.push_back(cut);
    ASSERT_EQ(told(role, options, octets, {cut}), whole) << "cut before " << cut;
    const std::vector<std::size_t> two = {cut, std::min(cut + 5, octets.size())};
    ASSERT_EQ(told(role, options, octets, two), whole) << "cut before " << cut << " and after 5 more";
  }
  EXPECT_EQ(told(role, options, octets, every), whole);
}

TEST(Cuts, AServerSaysTheSame) {
  const auto text = told(Role::kServer, small(), server_octets(), {});
  EXPECT_NE(text.find("head 1 POST"), text.npos);
  EXPECT_NE(text.find("data 1 [def]\nend 1\n"), text.npos) << text;
  EXPECT_NE(text.find("malformed 5 head"), text.npos) << text;
  EXPECT_NE(text.find("malformed 9 head too large"), text.npos) << text;
  EXPECT_NE(text.find("reset 3 3 by us"), text.npos) << text;
  EXPECT_NE(text.find("trailers 11"), text.npos) << text;
  same_at_every_cut(Role::kServer, small(), server_octets());
}

TEST(Cuts, AClientSaysTheSame) {
  const auto text = told(Role::kClient, {}, client_octets(), {});
  EXPECT_NE(text.find("trailers 3"), text.npos) << text;
  EXPECT_NE(text.find("head 11 204"), text.npos) << text;
  same_at_every_cut(Role::kClient, {}, client_octets());
}

TEST(Cuts, AServerFailsTheSame) {
  for (const std::string& wrong :
       {data(0, "x"), headers(1, get(), kEndStream) + data(1, "xyz"), frame(FrameType::kPing, 0, 0, "short"),
        frame(FrameType::kHeaders, kEndHeaders, 1, "\xff\xff\xff\xff\xff\xff"), settings({{2, 7}}),
        window_update(0, 0x7fffffff), std::string(frame(FrameType::kContinuation, 0, 1, "x"))}) {
    same_at_every_cut(Role::kServer, small(), client_preface() + wrong);
  }
  same_at_every_cut(Role::kServer, small(), "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
}

}  // namespace
}  // namespace sluice::http2
