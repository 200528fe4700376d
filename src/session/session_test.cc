#include "session/session.h"

#include <gtest/gtest.h>

#include "session/session_test_support.h"

namespace sluice::session {
namespace {

namespace fs = std::filesystem;

struct Sessions : StoreFixture, testing::Test {};

TEST_F(Sessions, WhatIsCapturedWhileOneIsActiveCanBeReadAfterwards) {
  exchange({.target = "/before"});
  const std::string id = start({.name = "login"});
  const auto with_tls = connection(7);
  exchange({.target = "/one", .request_body = "question", .response_body = "answer", .connection = with_tls});
  exchange({.method = "POST", .target = "/two", .status = 404, .response_trailers = "Digest: x\r\n\r\n"});
  const Manifest manifest = stop();
  exchange({.target = "/after"});
  EXPECT_EQ(manifest.exchanges, 2u);
  EXPECT_FALSE(manifest.active);
  EXPECT_EQ(manifest.name, "login");
  EXPECT_EQ(manifest.dropped_writes, 0u);
  const auto reader = store->open(id);
  ASSERT_TRUE(reader) << reader.error().message;
  const auto found = rows(**reader);
  ASSERT_EQ(found.size(), 2u);
  EXPECT_EQ(found[0].target, "/one");
  EXPECT_EQ(found[0].seq, 1u);
  EXPECT_EQ(body_of(**reader, found[0]), "answer");
  EXPECT_EQ(body_of(**reader, found[0], flow::Direction::kRequest), "question");
  const auto exchange = (*reader)->exchange(found[1]);
  ASSERT_TRUE(exchange) << exchange.error().message;
  EXPECT_EQ(exchange->method, "POST");
  EXPECT_EQ(exchange->status, 404);
  EXPECT_EQ(exchange->response.trailers, "Digest: x\r\n\r\n");
  EXPECT_EQ(exchange->id, ring->list({}, 2, 1).exchanges.at(0).id) << "one id in the ring and in the recording";
  EXPECT_EQ((*reader)->exchange(found[0])->connection->client_address, "127.0.0.1");
}

TEST_F(Sessions, TheOneThatIsBeingMadeCanBeReadMeanwhile) {
  const std::string id = start();
  exchange({.target = "/now"});
  ring->set_pump_thread(false);
  std::thread writer([&] { store->write_until_stopped(); });
  const auto reader = store->open(id);
  ASSERT_TRUE(reader) << reader.error().message;
  EXPECT_EQ(rows(**reader).size(), 1u);
  store->end();
  writer.join();
}

TEST_F(Sessions, WhatQueriesFoundInOneIsForgottenWhenItIsDeleted) {
  const std::string id = record({{.target = "/one"}, {.target = "/two"}}), other = record({{.target = "/three"}});
  std::weak_ptr<const Matches> found, found_elsewhere;
  for (const auto& [recording, kept] : {std::pair(id, &found), std::pair(other, &found_elsewhere)}) {
    ASSERT_TRUE(store->seal(recording));
    *kept = *store->open(recording).value()->match({});
    EXPECT_FALSE(kept->expired()) << "the next page of it is quick";
  }
  ASSERT_TRUE(store->remove(id));
  EXPECT_TRUE(found.expired());
  EXPECT_FALSE(found_elsewhere.expired());
}

TEST_F(Sessions, PreviewKeepsTheBeginningOfEachBodyAndSaysSo) {
  const std::string large(300'000, 'x');
  const std::string preview = record({{.response_body = large}}),
                    full = record({{.response_body = large}}, {.profile = Profile::kFull});
  for (const auto& [id, stored] : {std::pair(preview, std::size_t{kPreviewBody}), std::pair(full, large.size())}) {
    const auto reader = store->open(id);
    ASSERT_TRUE(reader);
    const auto found = rows(**reader);
    ASSERT_EQ(found.size(), 1u);
    EXPECT_EQ(found[0].response.size, large.size());
    EXPECT_EQ(found[0].response.stored, stored);
    EXPECT_EQ(found[0].response.complete, stored == large.size());
    EXPECT_EQ(body_of(**reader, found[0]).size(), stored);
  }
}

TEST_F(Sessions, PartsOfLargeBodiesAreReadWithoutTheRest) {
  std::string large(700'000, '\0');
  for (std::size_t i = 0; i < large.size(); ++i) large[i] = static_cast<char>(i * 7 + i / 251);
  const std::string id = start({.profile = Profile::kFull});
  const ExchangeSeq seq = begin({});
  respond(seq, {});
  for (std::size_t at = 0; at < large.size(); at += 50'000) {
    sink().body(seq, flow::Direction::kResponse, Bytes(large).substr(at, 50'000));
    exchange({.target = "/between"});
    ring->pump();
  }
  end(seq, {});
  stop();
  const auto reader = store->open(id);
  ASSERT_TRUE(reader);
  const auto row = (*reader)->find(1);
  ASSERT_TRUE(row) << row.error().message;
  for (const std::size_t from : {0u, 1u, 49'999u, 50'000u, 123'456u, 699'999u}) {
    const auto slice = (*reader)->read_body(row->id, flow::Direction::kResponse, from, 60'000);
    ASSERT_TRUE(slice);
    EXPECT_EQ(slice->octets, large.substr(from, 60'000)) << from;
  }
}

TEST_F(Sessions, AnExchangeThatOutlivesTheRecordingSaysSo) {
  const std::string id = start();
  const ExchangeSeq seq = begin({.target = "/long"});
  respond(seq, {});
  sink().body(seq, flow::Direction::kResponse, "first part");
  stop();
  end(seq, {});
  const auto reader = store->open(id);
  ASSERT_TRUE(reader);
  const auto found = rows(**reader);
  ASSERT_EQ(found.size(), 1u);
  EXPECT_EQ(found[0].state, flow::State::kAborted);
  EXPECT_EQ(body_of(**reader, found[0]), "first part");
  EXPECT_EQ((*reader)->exchange(found[0])->failure->code, "recording_ended");
}

TEST_F(Sessions, AtTheCapNothingNewBeginsAndTheBudgetHolds) {
  const std::string id = start({.profile = Profile::kFull, .max_disk_mb = 1});
  for (int i = 0; i < 40; ++i) {
    exchange({.response_body = std::string(50'000, 'x')});
    ring->pump();
  }
  const Manifest manifest = stop();
  EXPECT_LE(manifest.bytes_written, kMiB);
  EXPECT_GT(manifest.exchanges, 10u);
  EXPECT_GT(manifest.dropped_writes + manifest.bytes_cut, 0u);
  EXPECT_EQ(manifest.recovery, Recovery::kError);
  EXPECT_NE(manifest.last_error.value_or("").find("cap"), std::string::npos);
  EXPECT_LE(fs::file_size(segment(id)), kMiB);
}

TEST_F(Sessions, OrTheOldestAreDropped) {
  const std::string id = start({.profile = Profile::kFull, .on_cap = OnCap::kDropOldest, .max_disk_mb = 1});
  std::thread writer([&] { store->write_until_stopped(); });
  for (int i = 0; i < 60; ++i) {
    exchange({.target = "/" + std::to_string(i), .response_body = std::string(50'000, 'x')});
    (void)store->open(id);  // all of it is written
  }
  store->end();
  writer.join();
  const Manifest manifest = stop();
  EXPECT_GT(manifest.dropped_exchanges, 20u);
  EXPECT_LE(manifest.bytes_written, kMiB + 300'000);
  const auto reader = store->open(id);
  ASSERT_TRUE(reader);
  const auto found = rows(**reader);
  ASSERT_FALSE(found.empty());
  EXPECT_EQ(found.back().target, "/59");
  EXPECT_EQ(found.size(), manifest.exchanges);
  for (const Row& row : found) EXPECT_EQ(body_of(**reader, row).size(), 50'000u) << row.target;
  EXPECT_TRUE(store->verify(id)->good());
}

TEST_F(Sessions, FiltersAgreeWithWhatWasRecorded) {
  const std::string id =
      record({{.host = "Api.example.com", .target = "/users?q=1"},
              {.method = "POST", .target = "/login", .status = 500},
              {.host = "cdn.test", .target = "/a.png", .response_fields = "Content-Type: image/PNG; x\r\n"}});
  const auto reader = store->open(id);
  ASSERT_TRUE(reader);
  const auto count = [&](Query query) { return (*reader)->count(query).value_or(99); };
  EXPECT_EQ(count({}), 3u);
  EXPECT_EQ(count({.method = "POST"}), 1u);
  EXPECT_EQ(count({.host_contains = "API."}), 1u);
  EXPECT_EQ(count({.url_contains = "/LOGIN"}), 1u);
  EXPECT_EQ(count({.text = "users?Q"}), 1u);
  EXPECT_EQ(count({.text = "%"}), 0u);
  EXPECT_EQ(count({.text = "' OR 1=1 --"}), 0u);
  EXPECT_EQ(count({.status = 500}), 1u);
  EXPECT_EQ(count({.to_ms = 5}), 0u);
  EXPECT_EQ(rows(**reader)[2].content_type, "image/png");
  EXPECT_EQ((*reader)->find(rows(**reader)[1].id)->target, "/login");
  EXPECT_FALSE((*reader)->find("nothing"));
  EXPECT_FALSE((*reader)->find(99));
}

TEST_F(Sessions, NamesThatAreNoIdsReachNothing) {
  record({{}});
  fs::create_directories(directory.path() + "/keep/segments");
  for (const char* id : {"", ".", "..", "../keep", "keep", "20250101000000_abcdefg/", "/etc", "20250101000000_ABCDEFGH",
                         "20250101000000_../../..", "20250101000000_abcdefgh"}) {
    EXPECT_EQ(store->get(id).error().code, Code::kNotFound) << id;
    EXPECT_EQ(store->open(id).error().code, Code::kNotFound) << id;
    EXPECT_EQ(store->recover(id).error().code, Code::kNotFound) << id;
    EXPECT_EQ(store->verify(id).error().code, Code::kNotFound) << id;
    EXPECT_EQ(store->remove(id).error().code, Code::kNotFound) << id;
  }
  EXPECT_TRUE(fs::exists(directory.path() + "/keep"));
  EXPECT_EQ(store->list()->size(), 1u);
}

TEST_F(Sessions, ALinkIsNoSession) {
  const std::string id = record({{}});
  TemporaryDirectory elsewhere;
  const std::string other = "20250101000000_abcdefgh";
  fs::copy(place(id), elsewhere.path() + "/real", fs::copy_options::recursive);
  fs::create_symlink(elsewhere.path() + "/real", place(other));
  EXPECT_FALSE(store->open(other));
  EXPECT_FALSE(store->remove(other));
  EXPECT_TRUE(fs::exists(elsewhere.path() + "/real/manifest.json"));
  fs::remove_all(segments_path(place(id)));
  fs::create_symlink(elsewhere.path() + "/real/segments", segments_path(place(id)));
  EXPECT_FALSE(store->recover(id));
}

TEST_F(Sessions, OneThatIsWrittenIsNeitherRecoveredNorDeleted) {
  const std::string id = start();
  exchange({});
  const auto other = make_store(nullptr);  // as another process has it
  for (Store* const from : {store.get(), other.get()}) {
    EXPECT_EQ(from->recover(id).error().code, Code::kConflict);
    EXPECT_EQ(from->remove(id).error().code, Code::kConflict);
  }
  EXPECT_TRUE(other->get(id)->active);
  EXPECT_TRUE(other->open(id)) << "read-only commands work on a live session";
  stop();
  EXPECT_TRUE(other->recover(id));
  EXPECT_TRUE(other->remove(id));
  EXPECT_TRUE(fs::is_empty(directory.path()));
}

TEST_F(Sessions, ANewerVersionIsRefusedAndLeftAlone) {
  const std::string id = record({{}});
  std::string manifest = content_of(manifest_path(place(id)));
  manifest.replace(manifest.find("\"schemaVersion\": 1"), 18, "\"schemaVersion\": 2");
  write_content(manifest_path(place(id)), manifest);
  EXPECT_EQ(store->open(id).error().code, Code::kConflict);
  EXPECT_EQ(store->recover(id).error().code, Code::kConflict);
  EXPECT_EQ(store->get(id).error().code, Code::kConflict);
  EXPECT_EQ(content_of(manifest_path(place(id))), manifest);
  EXPECT_NE(store->list()->at(0).last_error->find("newer"), std::string::npos);
}

TEST_F(Sessions, PagesOfAListAreTheListInPieces) {
  for (int i = 0; i < 7; ++i) {
    clock.advance(std::chrono::milliseconds(i % 3 == 0 ? 1'400 : 200));  // some of them within one second
    record({{}});
  }
  const std::vector<Manifest> all = *store->list();
  ASSERT_EQ(all.size(), 7u);
  for (std::size_t offset = 0; offset <= 8; ++offset) {
    for (std::size_t limit = 1; limit <= 8; ++limit) {
      const auto page = store->list(offset, limit);
      ASSERT_TRUE(page);
      EXPECT_EQ(page->total, 7u);
      const std::size_t there = offset < 7 ? std::min(limit, 7 - offset) : 0;
      ASSERT_EQ(page->sessions.size(), there) << offset << " " << limit;
      for (std::size_t i = 0; i < there; ++i) EXPECT_EQ(page->sessions[i].id, all[offset + i].id);
    }
  }
  for (std::size_t i = 1; i < all.size(); ++i) EXPECT_GE(all[i - 1].started_ms, all[i].started_ms);
}

TEST_F(Sessions, ASecondStartAnswersTheFirst) {
  const std::string id = start();
  const auto second = store->start({.name = "other"});
  ASSERT_TRUE(second);
  EXPECT_TRUE(second->was_active);
  EXPECT_EQ(second->manifest.id, id);
  stop();
  EXPECT_FALSE(*store->stop());
}

TEST_F(Sessions, ARootThatWasGivenOnceIsLookedThroughEverAfter) {
  TemporaryDirectory elsewhere;
  const std::string id = record({{}}, {.storage_dir = elsewhere.path()});
  EXPECT_TRUE(fs::exists(elsewhere.path() + "/" + id));
  const auto later = make_store(nullptr);
  EXPECT_TRUE(later->open(id));
  EXPECT_EQ(later->list()->size(), 1u);
}

}  // namespace
}  // namespace sluice::session
