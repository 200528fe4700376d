// Against nghttp2's own judgement of heads, over many mutations of sound ones: what one accepts the other does, but
// for the cases listed here with their reasons.
#include <gtest/gtest.h>
#include <nghttp2/nghttp2.h>

#include <algorithm>
#include <array>
#include <random>
#include <string>
#include <string_view>

#include "base/text.h"
#include "http2/handmade.h"
#include "http2/pair.h"

namespace sluice::http2 {
namespace {

using handmade::Fields;

std::string_view value_of(const Fields& fields, std::string_view name) {
  for (const auto& [other, value] : fields) {
    if (other == name) return value;
  }
  return {};
}

// True if nghttp2 takes these octets as a head; fields that it would silently drop count as refused.
bool theirs(Role role, const std::string& octets, std::string_view method) {
  struct Verdict {
    bool accepted = false;
  } verdict;
  nghttp2_session_callbacks* callbacks = nullptr;
  nghttp2_session_callbacks_new(&callbacks);
  nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks,
                                                       [](nghttp2_session*, const nghttp2_frame* frame, void* user) {
                                                         if (frame->hd.type == NGHTTP2_HEADERS)
                                                           static_cast<Verdict*>(user)->accepted = true;
                                                         return 0;
                                                       });
  nghttp2_session_callbacks_set_on_invalid_header_callback(
      callbacks,
      [](nghttp2_session*, const nghttp2_frame*, const std::uint8_t*, std::size_t, const std::uint8_t*, std::size_t,
         std::uint8_t, void*) -> int { return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE; });
  nghttp2_session* session = nullptr;
  if (role == Role::kServer) {
    nghttp2_session_server_new(&session, callbacks, &verdict);
    const nghttp2_settings_entry connect{NGHTTP2_SETTINGS_ENABLE_CONNECT_PROTOCOL, 1};
    nghttp2_submit_settings(session, NGHTTP2_FLAG_NONE, &connect, 1);
  } else {
    nghttp2_session_client_new(&session, callbacks, &verdict);
    nghttp2_submit_settings(session, NGHTTP2_FLAG_NONE, nullptr, 0);
    std::string name = ":method", value(method);
    const nghttp2_nv pseudo{reinterpret_cast<std::uint8_t*>(name.data()), reinterpret_cast<std::uint8_t*>(value.data()),
                            name.size(), value.size(), NGHTTP2_NV_FLAG_NONE};
    nghttp2_submit_request(session, nullptr, &pseudo, 1, nullptr, nullptr);
    const std::uint8_t* out = nullptr;
    while (nghttp2_session_mem_send(session, &out) > 0) {
    }
  }
  nghttp2_session_mem_recv(session, reinterpret_cast<const std::uint8_t*>(octets.data()), octets.size());
  nghttp2_session_del(session);
  nghttp2_session_callbacks_del(callbacks);
  return verdict.accepted;
}

// "" if we take it, else why not.
std::string ours(Role role, const std::string& octets, std::string_view method) {
  End end(role, {});
  if (role == Role::kClient) {
    const auto head =
        method == "CONNECT" ? http::make_request(method, "b:1") : http::make_request(method, "/", {{"host", "a"}});
    EXPECT_TRUE(end.session.submit_request(head, {}, Body::kNone));
    while (!end.session.output().empty()) {
    }
  }
  end.transcript.feed(octets);
  for (const Event& event : end.transcript.take_events()) {
    if (const auto* bad = std::get_if<Malformed>(&event)) return bad->message;
    if (std::holds_alternative<HeadRead>(event)) return "";
  }
  return "nothing was said";
}

// We refuse, nghttp2 does not.
bool is_stricter(std::string_view problem, const Fields& fields, std::string_view method) {
  // RFC 9113 §8.3.1: it leaves it to others to compare, and takes user information, lists and odd ports.
  if (problem.starts_with("Host differs") || problem.starts_with("the authority holds user")) return true;
  if (problem.starts_with("the authority is no host")) return true;
  // It asks for a slash in http and https only; nothing else can be forwarded.
  if (problem.starts_with(":path does not begin")) {
    const auto scheme = value_of(fields, ":scheme");
    return !iequals(scheme, "http") && !iequals(scheme, "https");
  }
  if (problem.starts_with("a CONNECT request has a Content-Length")) return true;  // RFC 9110 §9.3.6
  // It drops Content-Length from an answer that opens a tunnel without reading it.
  if (method == "CONNECT" && problem.find("Content-Length") != problem.npos) return true;
  return problem.starts_with(":status") && value_of(fields, ":status").starts_with('0');
}

// nghttp2 refuses, we do not.
bool is_looser(Role role, const Fields& fields) {
  for (const auto& [name, value] : fields) {
    const bool pseudo = name.starts_with(':');
    for (const char c : value) {
      const auto octet = static_cast<unsigned char>(c);
      // RFC 9113 §8.2.1 forbids NUL, CR and LF; other controls pass, as in HTTP/1.
      if (!pseudo && (octet < 0x20 || octet == 0x7f) && octet != '\t') return true;
      // Octets that HTTP/1 targets are seen with, too.
      if (name == ":path" && (octet >= 0x80 || std::string_view("\"#<>\\^`{|}").find(c) != std::string_view::npos)) {
        return true;
      }
      if (name == ":protocol" && (octet < 0x20 || octet == 0x7f)) return true;
    }
    // A length of nothing, in more digits than one.
    if (role == Role::kClient && name == "content-length" && value.find_first_not_of('0') == value.npos) return true;
  }
  return false;
}

Fields mutated(Fields fields, std::mt19937& random) {
  static constexpr std::array<std::string_view, 24> kNames = {":method",
                                                              ":scheme",
                                                              ":authority",
                                                              ":path",
                                                              ":protocol",
                                                              ":status",
                                                              ":x",
                                                              "host",
                                                              "content-length",
                                                              "te",
                                                              "connection",
                                                              "upgrade",
                                                              "transfer-encoding",
                                                              "keep-alive",
                                                              "proxy-connection",
                                                              "cookie",
                                                              "priority",
                                                              "X",
                                                              "a b",
                                                              "",
                                                              "x:y",
                                                              "http2-settings",
                                                              "trailer",
                                                              "expect"};
  static constexpr std::array<std::string_view, 30> kValues = {
      "",     "GET",   "CONNECT",   "OPTIONS",   "HEAD",          "https",
      "http", "ftp",   "a.example", "A.EXAMPLE", "b.example:443", "me@a.example",
      "a,b",  "[::1]", "/",         "*",         "/x?y",          "x",
      "0",    "00",    "5",         "trailers",  "Trailers",      "200",
      "204",  "101",   "103",       " x",        "x\t",           "a b"};
  const auto pick = [&](const auto& list) { return std::string(list[random() % list.size()]); };
  for (auto edits = 1 + random() % 3; edits > 0; --edits) {
    const auto at = fields.empty() ? 0 : random() % fields.size();
    switch (random() % 6) {
      case 0:
        fields.insert(fields.begin() + static_cast<std::ptrdiff_t>(at), {pick(kNames), pick(kValues)});
        break;
      case 1:
        fields.emplace_back(pick(kNames), pick(kValues));
        break;
      case 2:
        if (!fields.empty()) fields.erase(fields.begin() + static_cast<std::ptrdiff_t>(at));
        break;
      case 3:
        if (!fields.empty()) fields[at].second = pick(kValues);
        break;
      case 4:
        if (!fields.empty()) std::swap(fields[at], fields[random() % fields.size()]);
        break;
      default:
        if (!fields.empty()) {
          auto& text = random() % 4 == 0 ? fields[at].first : fields[at].second;
          text.insert(random() % (text.size() + 1), 1, static_cast<char>(random() % 256));
        }
    }
  }
  return fields;
}

std::string readable(const Fields& fields) {
  std::string out;
  for (const auto& [name, value] : fields) out += "[" + name + ": " + value + "] ";
  return out;
}

constexpr int kRounds = 4'000;  // of two new sessions each

void compare(Role role, const std::vector<Fields>& sound, std::string_view method, unsigned seed) {
  std::mt19937 random(seed);
  int accepted = 0, refused = 0, stricter = 0, looser = 0;
  for (int round = 0; round < kRounds; ++round) {
    const Fields fields = round < static_cast<int>(sound.size()) ? sound[static_cast<std::size_t>(round)]
                                                                 : mutated(sound[random() % sound.size()], random);
    const std::uint8_t flags = random() % 2 == 0 ? handmade::kEndStream : 0;
    const std::string octets = (role == Role::kServer ? std::string(handmade::kMagic) : "") + handmade::settings() +
                               handmade::headers(1, fields, flags);
    const std::string problem = ours(role, octets, method);
    const bool taken = theirs(role, octets, method);
    (problem.empty() ? accepted : refused) += 1;
    if (problem.empty() == taken) continue;
    if (taken) {
      ++stricter;
      EXPECT_TRUE(is_stricter(problem, fields, method)) << problem << "\n" << readable(fields);
    } else {
      ++looser;
      EXPECT_TRUE(is_looser(role, fields)) << readable(fields);
    }
  }
  // Both ways were tried.
  EXPECT_GT(accepted, kRounds / 10);
  EXPECT_GT(refused, kRounds / 10);
  EXPECT_GT(stricter + looser, 0);
}

TEST(Differential, JudgesRequestsAsNghttp2Does) {
  const Fields get = handmade::get("/x");
  compare(Role::kServer,
          {get,
           handmade::with(get, {{"accept", "*/*"}, {"te", "trailers"}, {"host", "a.example"}}),
           handmade::with(handmade::post(), {{"content-length", "5"}}),
           {{":method", "CONNECT"}, {":authority", "b.example:443"}},
           {{":method", "OPTIONS"}, {":scheme", "https"}, {":path", "*"}, {"host", "a.example"}},
           {{":method", "CONNECT"},
            {":protocol", "websocket"},
            {":scheme", "https"},
            {":path", "/"},
            {":authority", "a.example"}}},
          "", 1);
}

TEST(Differential, JudgesAnswersAsNghttp2Does) {
  const std::vector<Fields> sound = {{{":status", "200"}},
                                     {{":status", "200"}, {"content-length", "5"}, {"x", "y"}},
                                     {{":status", "204"}, {"content-length", "0"}},
                                     {{":status", "103"}, {"link", "</x>"}},
                                     {{":status", "304"}, {"content-length", "5"}}};
  compare(Role::kClient, sound, "GET", 2);
  compare(Role::kClient, sound, "HEAD", 3);
  compare(Role::kClient, sound, "CONNECT", 4);
}

}  // namespace
}  // namespace sluice::http2
