#include "tls/session.h"

#include <gtest/gtest.h>
#include <openssl/err.h>

#include "tls/hello.h"
#include "tls/test_world.h"

namespace sluice::tls {
namespace {

// Sends all of `data` from one to the other, then ends that direction; what arrived, and how it ended.
std::pair<std::string, IoStatus> transfer(Session& from, Session& to, Bytes data, std::size_t read_size = 64 * 1024) {
  std::string arrived, space(read_size, '\0');
  bool closed = false;
  for (int turn = 0; turn < 100'000'000; ++turn) {
    if (!data.empty()) {
      const IoResult sent = from.write(data);
      if (sent.status == IoStatus::kError) return {arrived, IoStatus::kError};
      if (sent.status == IoStatus::kOk) data.remove_prefix(sent.count);
    } else if (!closed && !from.has_pending_output()) {
      from.close_write();
      closed = true;
    } else {
      (void)from.flush();
    }
    const IoResult got = to.read(space);
    if (got.status == IoStatus::kOk) arrived.append(space, 0, got.count);
    if (got.status != IoStatus::kOk && got.status != IoStatus::kWouldBlock) return {arrived, got.status};
  }
  return {arrived, IoStatus::kWouldBlock};
}

TEST_F(Tls, AgreesOnTls13AndTellsWhatWasAgreed) {
  auto pair = connect(world(), {.alpn = "http/1.1", .client = {.alpn = {"h2", "http/1.1"}}});
  ASSERT_TRUE(pair->ok) << pair->server->failure().text << pair->client->failure().text;
  const SessionInfo info = pair->client->info();
  EXPECT_EQ(info.protocol, "TLSv1.3");
  EXPECT_EQ(info.cipher, "TLS_AES_128_GCM_SHA256");
  EXPECT_EQ(info.alpn, "http/1.1");
  EXPECT_FALSE(info.resumed);
  EXPECT_TRUE(info.verified);
  EXPECT_EQ(info.verdict, "ok");
  ASSERT_EQ(info.chain.size(), 2u);
  EXPECT_EQ(info.chain[0].subject, "CN=example.com");
  EXPECT_EQ(info.chain[0].issuer, world().authority->subject());
  EXPECT_EQ(info.chain[0].sans, std::vector<std::string>{"DNS:example.com"});
  EXPECT_EQ(info.chain[0].serial_hex.size(), 32u);
  EXPECT_EQ(info.chain[0].sha256.size(), 64u);
  EXPECT_EQ(info.chain[0].not_after_ms - info.chain[0].not_before_ms, 197LL * 24 * 3600 * 1000);
  const auto hello = parse_server_hello(pair->client->take_server_hello());
  ASSERT_TRUE(hello);
  EXPECT_EQ(hello->selected_version, 0x0304);
  EXPECT_EQ(hello->cipher_suite, 0x1301);
  EXPECT_EQ(pair->server->info().alpn, "http/1.1");
}

TEST_F(Tls, ChoosesNoApplicationProtocolThatTheClientDidNotOffer) {
  auto pair = connect(world(), {.alpn = "h2", .client = {.alpn = {"http/1.1"}}});
  ASSERT_TRUE(pair->ok);
  EXPECT_EQ(pair->client->info().alpn, "");
}

class TlsSliced : public Tls, public testing::WithParamInterface<std::tuple<std::size_t, std::size_t, bool>> {};

TEST_P(TlsSliced, CarriesBothDirectionsWholeAndInOrder) {
  const auto [read_slice, write_slice, stutter] = GetParam();
  auto pair = connect(world(), {.pipe = {read_slice, write_slice, 1 << 20, stutter}});
  ASSERT_TRUE(pair->ok) << pair->server->failure().text << pair->client->failure().text;
  const std::string there = pattern(20'000, 1), back = pattern(5'001, 2);
  const auto arrived = transfer(*pair->client, *pair->server, there);
  EXPECT_TRUE(arrived.first == there);
  EXPECT_EQ(arrived.second, IoStatus::kEof);
  const auto returned = transfer(*pair->server, *pair->client, back, 1000);  // the other direction is still open
  EXPECT_TRUE(returned.first == back);
  EXPECT_EQ(returned.second, IoStatus::kEof);
}

INSTANTIATE_TEST_SUITE_P(Slices, TlsSliced,
                         testing::Combine(testing::Values(1, 2, 7, 1000, 1 << 20), testing::Values(1, 3, 100, 1 << 20),
                                          testing::Bool()));

TEST_F(Tls, CarriesTenMegabytesThroughANarrowPipe) {
  auto pair = connect(world(), {.pipe = {.read_slice = 50'000, .write_slice = 30'000, .capacity = 100'000}});
  ASSERT_TRUE(pair->ok);
  const std::string data = pattern(10'000'000, 3);
  const auto [arrived, end] = transfer(*pair->server, *pair->client, data);
  EXPECT_TRUE(arrived == data);
  EXPECT_EQ(end, IoStatus::kEof);
}

TEST_F(Tls, SendsOneWriteAsOneTransportWrite) {
  auto pair = connect(world(), {});
  ASSERT_TRUE(pair->ok);
  const std::string data = pattern(64 * 1024, 4);
  pair->pipe.a().writes = 0;
  const IoResult sent = pair->server->write(data);  // the ticket goes along
  EXPECT_EQ(sent.status, IoStatus::kOk);
  EXPECT_EQ(sent.count, data.size());
  EXPECT_EQ(pair->pipe.a().writes, 1);
  EXPECT_FALSE(pair->server->has_pending_output());
  std::string space(64 * 1024, '\0');
  const IoResult got = pair->client->read(space);
  EXPECT_EQ(got.count, data.size());
  EXPECT_NE(pair->client->resumption(), nullptr);
}

TEST_F(Tls, AsksTheTransportOnceForWhatIsAtHand) {
  auto pair = connect(world(), {});
  ASSERT_TRUE(pair->ok);
  ASSERT_EQ(pair->server->write("one").count, 3u);
  ASSERT_EQ(pair->server->write("two").count, 3u);
  pair->pipe.b().reads = 0;
  std::string space(1000, '\0');
  const IoResult got = pair->client->read(space);
  EXPECT_EQ(space.substr(0, got.count), "onetwo");  // two records, one read
  EXPECT_EQ(pair->pipe.b().reads, 1);
  EXPECT_EQ(pair->client->read(space).status, IoStatus::kWouldBlock);  // a new call asks anew
  EXPECT_EQ(pair->pipe.b().reads, 2);
}

TEST_F(Tls, KeepsTheCiphertextThatTheTransportDidNotTake) {
  auto pair = connect(world(), {.pipe = {.capacity = 2000}});
  ASSERT_TRUE(pair->ok);
  const std::string data = pattern(10'000, 5);
  const IoResult sent = pair->client->write(data);
  EXPECT_EQ(sent.status, IoStatus::kOk);
  EXPECT_EQ(sent.count, data.size());
  EXPECT_TRUE(pair->client->has_pending_output());
  EXPECT_EQ(pair->client->write("more").status, IoStatus::kWouldBlock);
  EXPECT_EQ(pair->client->flush().status, IoStatus::kWouldBlock);
  pair->client->close_write();  // after what is pending
  EXPECT_TRUE(pair->client->has_pending_output());
  std::string arrived, space(4000, '\0');
  IoResult got;
  while ((got = pair->server->read(space)).status != IoStatus::kEof) {
    ASSERT_NE(got.status, IoStatus::kError);
    arrived.append(space, 0, got.count);
    (void)pair->client->flush();
  }
  EXPECT_TRUE(arrived == data);
  EXPECT_FALSE(pair->client->has_pending_output());
  EXPECT_EQ(pair->client->flush().status, IoStatus::kOk);
}

TEST_F(Tls, TellsAnOrderlyEndFromACut) {
  for (const bool orderly : {true, false}) {
    auto pair = connect(world(), {});
    ASSERT_TRUE(pair->ok);
    ASSERT_EQ(pair->server->write("last words").count, 10u);
    if (orderly) {
      pair->server->close_write();
    } else {
      pair->pipe.a().close_write();
    }
    std::string space(1000, '\0');
    EXPECT_EQ(pair->client->read(space).count, 10u);
    const IoStatus end = orderly ? IoStatus::kEof : IoStatus::kTruncated;
    EXPECT_EQ(pair->client->read(space).status, end);
    EXPECT_EQ(pair->client->read(space).status, end);          // and so it stays
    EXPECT_EQ(pair->client->write("still there").count, 11u);  // our direction lives on
    EXPECT_EQ(pair->server->read(space).count, 11u);
  }
}

TEST_F(Tls, ReportsACutInsideARecordAsACut) {
  auto pair = connect(world(), {});
  ASSERT_TRUE(pair->ok);
  std::string space(1000, '\0');
  ASSERT_EQ(pair->server->write(pattern(500, 6)).count, 500u);
  std::string& on_the_way = pair->pipe.b().incoming();
  on_the_way.resize(on_the_way.size() - 3);
  pair->pipe.a().close_write();
  EXPECT_EQ(pair->client->read(space).status, IoStatus::kWouldBlock);  // a short read: the end shows at the next call
  EXPECT_EQ(pair->client->read(space).status, IoStatus::kTruncated);
}

TEST_F(Tls, ReadsWhatCameBeforeTheTransportStoppedTaking) {
  auto pair = connect(world(), {});
  ASSERT_TRUE(pair->ok);
  ASSERT_EQ(pair->server->write("413").count, 3u);
  pair->pipe.b().close_write();  // from now on write() on this end fails
  EXPECT_EQ(pair->client->write("body").status, IoStatus::kError);
  EXPECT_EQ(pair->client->error_text(), "connection reset");
  std::string space(100, '\0');
  EXPECT_EQ(pair->client->read(space).count, 3u);
}

TEST_F(Tls, BreaksOnAForgedRecord) {
  auto pair = connect(world(), {});
  ASSERT_TRUE(pair->ok);
  ASSERT_EQ(pair->server->write("good").count, 4u);
  ASSERT_EQ(pair->server->write("forged").count, 6u);
  pair->pipe.b().incoming().back() ^= 1;
  std::string space(100, '\0');
  EXPECT_EQ(pair->client->read(space).count, 4u);
  EXPECT_EQ(pair->client->read(space).status, IoStatus::kError);
  EXPECT_NE(pair->client->error_text().find("decryption failed or bad record mac"), std::string::npos)
      << pair->client->error_text();
  EXPECT_EQ(pair->server->read(space).status, IoStatus::kError);
  EXPECT_NE(pair->server->error_text().find("bad_record_mac"), std::string::npos) << pair->server->error_text();
}

TEST_F(Tls, NeverKeepsErrorsInTheThreadsQueue) {
  ERR_clear_error();
  auto pair = connect(world(), {.client = {.server_name = "other.example"}});
  EXPECT_FALSE(pair->ok);
  EXPECT_EQ(ERR_peek_error(), 0u);
}

TEST_F(Tls, RunsTlsInsideTls) {
  auto outer =
      connect(world(), {.host = "proxy.example", .pipe = {.read_slice = 777, .write_slice = 999, .capacity = 5000}});
  ASSERT_TRUE(outer->ok);
  auto server = *world().server->accept(*outer->server, world().leaf("inner.example"), "", "scope");
  auto client = *world().client->connect(*outer->client, to("inner.example"));
  ASSERT_TRUE(shake_hands(*server, *client)) << client->failure().text;
  const std::string data = pattern(300'000, 7);
  const auto [arrived, end] = transfer(*client, *server, data);
  EXPECT_TRUE(arrived == data);
  EXPECT_EQ(end, IoStatus::kEof);
}

// --- resumption ---

ResumptionPtr ticket_of(Pair& pair) {
  std::string space(100, '\0');
  EXPECT_EQ(pair.server->write("x").count, 1u);
  EXPECT_EQ(pair.client->read(space).count, 1u);
  return pair.client->resumption();
}

TEST_F(Tls, ResumesWithATicketAndRemembersWhatWasVerified) {
  auto first = connect(world(), {});
  ASSERT_TRUE(first->ok);
  const ResumptionPtr ticket = ticket_of(*first);
  ASSERT_TRUE(ticket);
  auto second = connect(world(), {.client = {.resume = ticket}});
  ASSERT_TRUE(second->ok);
  EXPECT_TRUE(second->client->info().resumed);
  EXPECT_TRUE(second->server->info().resumed);
  EXPECT_TRUE(second->client->info().verified);
  EXPECT_EQ(second->client->info().chain.size(), 2u);
  const ResumptionPtr next = ticket_of(*second);
  ASSERT_TRUE(next);
  auto third = connect(world(), {.client = {.resume = next}});
  EXPECT_TRUE(third->client->info().resumed);
  EXPECT_EQ(third->client->info().chain.size(), 2u);
}

TEST_F(Tls, ResumesAfterAnEndWithoutCloseNotify) {
  auto first = connect(world(), {});
  const ResumptionPtr ticket = ticket_of(*first);
  first->pipe.a().close_write();
  std::string space(10, '\0');
  EXPECT_EQ(first->client->read(space).status, IoStatus::kTruncated);
  first.reset();
  EXPECT_TRUE(connect(world(), {.client = {.resume = ticket}})->client->info().resumed);
}

TEST_F(Tls, IgnoresATicketOfAnotherScope) {
  auto first = connect(world(), {.scope = "example.com|ca 1"});
  const ResumptionPtr ticket = ticket_of(*first);
  auto second = connect(world(), {.scope = "example.com|ca 2", .client = {.resume = ticket}});
  ASSERT_TRUE(second->ok) << second->client->failure().text;
  EXPECT_FALSE(second->client->info().resumed);
  EXPECT_TRUE(second->client->info().verified);
}

TEST_F(Tls, NeverResumesPastTheVerification) {
  const LeafPtr other = world().leaf("other.example");
  auto first = connect(world(), {.client = {.verify = Verify::kRecordOnly}, .leaf = other});
  ASSERT_TRUE(first->ok);
  const ResumptionPtr ticket = ticket_of(*first);
  auto lenient = connect(world(), {.client = {.verify = Verify::kRecordOnly, .resume = ticket}, .leaf = other});
  EXPECT_TRUE(lenient->client->info().resumed);
  EXPECT_EQ(lenient->client->info().verdict, "hostname mismatch");
  auto strict = connect(world(), {.client = {.resume = ticket}, .leaf = other});
  EXPECT_FALSE(strict->ok);
  auto good = connect(world(), {});
  auto renamed =
      connect(world(), {.client = {.server_name = "other.example", .resume = ticket_of(*good)}, .leaf = other});
  EXPECT_TRUE(renamed->ok);
  EXPECT_FALSE(renamed->client->info().resumed);
}

// A socket that knows when it has nothing left, below one that waits for our end before it gives its own.
class KnowsItsEnd final : public ByteTransport {
 public:
  explicit KnowsItsEnd(Pipe::End& end) : end_(end) {}
  IoResult read(MutableBytes out) override { return end_.read(out); }
  IoResult write(Bytes octets) override { return end_.write(octets); }
  bool is_drained() const override { return end_.incoming().empty(); }
  void close_write() override {}
  std::string error_text() const override { return ""; }

 private:
  Pipe::End& end_;
};

TEST_F(Tls, AnEndThatCameWithTheLastContentIsNotWaitedFor) {
  Pipe pipe;
  KnowsItsEnd below_server(pipe.a()), below_client(pipe.b());
  auto server = *world().server->accept(below_server, world().leaf("example.com"), "", "scope");
  auto client = *world().client->connect(below_client, to("example.com"));
  ASSERT_TRUE(shake_hands(*server, *client));
  ASSERT_EQ(server->write("content").status, IoStatus::kOk);
  server->close_write();
  char space[64];
  const IoResult content = client->read(space);
  EXPECT_EQ(std::string_view(space, content.count), "content");
  EXPECT_FALSE(client->is_drained());
  EXPECT_EQ(client->read(space).status, IoStatus::kEof);
}

}  // namespace
}  // namespace sluice::tls
