#include "socks/client.h"

#include <gtest/gtest.h>

#include "base/text.h"
#include "socks/server.h"

namespace sluice::socks {
namespace {

using namespace std::string_literals;

ClientOptions options(Protocol protocol, std::string host, std::string user = "", std::string_view password = "") {
  return {protocol, {std::move(host), 443}, std::move(user), Secret(password)};
}

// What it writes and how it ends, for answers that come cut into pieces of `piece` octets.
std::string talk_in(std::size_t piece, ClientOptions wanted, std::string answers) {
  auto client = Client::create(std::move(wanted));
  if (!client) return "not created: " + client.error().message;
  std::string said;
  for (;;) {
    auto event = client->next();
    if (!event) return said + "failed " + std::string(to_string(event.error().code));
    if (auto* send = std::get_if<Client::Send>(&*event)) said += "send " + hex_encode(send->octets) + "; ";
    if (auto* connected = std::get_if<Client::Connected>(&*event)) {
      said += "connected " + authority_text(connected->bound.host, connected->bound.port, 0);
      return said + " rest " + client->take_rest() + answers;
    }
    if (!std::holds_alternative<Client::Wait>(*event)) continue;
    if (answers.empty()) return said + "wait";
    client->feed(answers.substr(0, piece));
    answers.erase(0, piece);
  }
}

std::string talk(const std::function<ClientOptions()>& wanted, const std::string& answers) {
  const std::string whole = talk_in(1000, wanted(), answers);
  for (const std::size_t piece : {1u, 2u, 3u, 5u, 7u}) EXPECT_EQ(talk_in(piece, wanted(), answers), whole) << piece;
  return whole;
}

TEST(SocksClient, AsksWithNamesOrAddressesAsTheSchemeSays) {
  const std::string kGranted4 = "\0\x5a\0\x50\xc0\0\2\1"s, kGranted5 = "\5\0\5\0\0\1\xc0\0\2\1\0\x50"s;
  EXPECT_EQ(talk([] { return options(Protocol::k4, "192.0.2.9", "me"); }, kGranted4 + "hi"),
            "send 040101bbc00002096d6500; connected 192.0.2.1:80 rest hi");
  EXPECT_EQ(talk([] { return options(Protocol::k4a, "site.example"); }, kGranted4),
            "send 040101bb0000000100736974652e6578616d706c6500; connected 192.0.2.1:80 rest ");
  EXPECT_EQ(talk([] { return options(Protocol::k4a, "192.0.2.9"); }, kGranted4),
            "send 040101bbc000020900; connected 192.0.2.1:80 rest ");
  EXPECT_EQ(talk([] { return options(Protocol::k5, "192.0.2.9"); }, kGranted5),
            "send 050100; send 05010001c000020901bb; connected 192.0.2.1:80 rest ");
  EXPECT_EQ(talk([] { return options(Protocol::k5, "2001:db8::9"); }, kGranted5),
            "send 050100; send 0501000420010db800000000000000000000000901bb; connected 192.0.2.1:80 rest ");
  EXPECT_EQ(talk([] { return options(Protocol::k5h, "site.example"); }, kGranted5 + "220 hello"),
            "send 050100; send 050100030c736974652e6578616d706c6501bb; connected 192.0.2.1:80 rest 220 hello");
}

TEST(SocksClient, GivesItsPasswordOnlyWhereItIsAskedFor) {
  const auto wanted = [] { return options(Protocol::k5, "192.0.2.9", "user", "secret"); };
  const std::string granted = "\5\0\0\1\0\0\0\0\0\0"s;
  EXPECT_EQ(talk(wanted, "\5\2\1\0"s + granted),
            "send 05020002; send 01047573657206736563726574; send 05010001c000020901bb; connected 0.0.0.0 rest ");
  EXPECT_EQ(talk(wanted, "\5\0"s + granted), "send 05020002; send 05010001c000020901bb; connected 0.0.0.0 rest ");
  EXPECT_EQ(talk(wanted, "\5\2\1\1"s), "send 05020002; send 01047573657206736563726574; failed refused");
  EXPECT_EQ(talk([] { return options(Protocol::k5, "192.0.2.9"); }, "\5\2"s), "send 050100; failed refused");
  EXPECT_EQ(talk(wanted, "\5\xff"s), "send 05020002; failed refused");
}

TEST(SocksClient, SaysWhyTheServerRefused) {
  const std::pair<char, Code> table[] = {{1, Code::kUnavailable}, {2, Code::kRefused},     {3, Code::kUnavailable},
                                         {4, Code::kUnavailable}, {5, Code::kUnavailable}, {6, Code::kTimeout},
                                         {8, Code::kUnavailable}, {77, Code::kUnavailable}};
  for (const auto& [reply, code] : table) {
    auto client = *Client::create(options(Protocol::k5h, "site.example"));
    client.feed("\5\0\5"s + reply);
    (void)client.next();
    (void)client.next();
    const auto event = client.next();
    ASSERT_FALSE(event);
    EXPECT_EQ(event.error().code, code) << int{reply};
    EXPECT_EQ(static_cast<int>(*client.refusal()), reply > 8 ? 1 : reply);
    EXPECT_FALSE(client.next());  // and stays so
  }
  EXPECT_EQ(talk([] { return options(Protocol::k4, "192.0.2.9"); }, "\0\x5b\0\0\0\0\0\0"s),
            "send 040101bbc000020900; failed unavailable");
  EXPECT_EQ(talk([] { return options(Protocol::k4, "192.0.2.9"); }, "\0\x5d"s),
            "send 040101bbc000020900; failed refused");
}

TEST(SocksClient, RefusesAnswersThatAreNotSocks) {
  EXPECT_EQ(talk([] { return options(Protocol::k5h, "a.example"); }, "HTTP/1.1 400 Bad"),
            "send 050100; failed invalid");
  EXPECT_EQ(talk([] { return options(Protocol::k4, "192.0.2.9"); }, "HTTP/1.1"),
            "send 040101bbc000020900; failed invalid");
  EXPECT_EQ(talk([] { return options(Protocol::k5, "192.0.2.9"); }, "\5\0\5\0\0\2\1\1"s),
            "send 050100; send 05010001c000020901bb; failed invalid");
}

TEST(SocksClient, IsNotCreatedForWhatItCannotAsk) {
  EXPECT_FALSE(Client::create(options(Protocol::k4, "site.example")));
  EXPECT_FALSE(Client::create(options(Protocol::k5, "site.example")));
  EXPECT_FALSE(Client::create(options(Protocol::k4a, "2001:db8::1")));
  EXPECT_FALSE(Client::create(options(Protocol::k4a, "a.example", "user", "secret")));
  EXPECT_FALSE(Client::create(options(Protocol::k5h, "a.example", "user")));
  EXPECT_FALSE(Client::create(options(Protocol::k5h, "a.example", std::string(256, 'u'), "p")));
  EXPECT_FALSE(Client::create(options(Protocol::k5h, "a.example", "u", std::string(256, 'p'))));
  EXPECT_FALSE(Client::create(options(Protocol::k4a, "a.example", "a\0b"s)));
  EXPECT_FALSE(Client::create(options(Protocol::k5h, "a b")));
}

TEST(SocksClient, KnowsItsSchemes) {
  EXPECT_EQ(find_protocol("socks4"), Protocol::k4);
  EXPECT_EQ(find_protocol("socks4a"), Protocol::k4a);
  EXPECT_EQ(find_protocol("socks5"), Protocol::k5);
  EXPECT_EQ(find_protocol("socks5h"), Protocol::k5h);
  EXPECT_EQ(find_protocol("socks"), Protocol::k5h);
  EXPECT_FALSE(find_protocol("http"));
}

// Both ends against each other: whatever the client may ask, the server understands.
TEST(Socks, ClientAndServerUnderstandEachOther) {
  for (const Protocol protocol : {Protocol::k4, Protocol::k4a, Protocol::k5, Protocol::k5h}) {
    for (const char* host : {"192.0.2.9", "site.example", "2001:db8::9"}) {
      for (const bool password : {false, true}) {
        auto client = Client::create(options(protocol, host, password ? "user" : "", password ? "secret" : ""));
        if (!client) continue;
        Server server(password ? Server::Auth::kPassword : Server::Auth::kNone);
        bool connected = false;
        for (int turn = 0; turn < 10 && !connected; ++turn) {
          const auto asked = client->next();
          ASSERT_TRUE(asked);
          if (auto* send = std::get_if<Client::Send>(&*asked)) server.feed(send->octets);
          connected = std::holds_alternative<Client::Connected>(*asked);
          auto event = server.next();
          ASSERT_TRUE(event) << event.error().message;
          if (auto* send = std::get_if<Server::Send>(&*event)) client->feed(send->octets);
          if (auto* given = std::get_if<Server::Credentials>(&*event)) {
            EXPECT_EQ(given->password.view(), "secret");
            client->feed(server.answer(true));
          }
          if (auto* request = std::get_if<Server::Request>(&*event)) {
            EXPECT_EQ(request->destination, (HostPort{host, 443}));
            client->feed(server.granted());
          }
        }
        EXPECT_TRUE(connected) << host;
      }
    }
  }
}

}  // namespace
}  // namespace sluice::socks
