#include "session/import.h"

#include <gtest/gtest.h>

#include "capture/records.h"
#include "flow/loaded.h"
#include "session/session_test_support.h"

namespace sluice::session {
namespace {

namespace fs = std::filesystem;

struct Imports : StoreFixture, testing::Test {
  static flow::Loaded loaded(const std::string& target, std::string body = "answer") {
    flow::Loaded one;
    one.exchange.method = "GET";
    one.exchange.scheme = "https";
    one.exchange.host = "a.example";
    one.exchange.port = 443;
    one.exchange.target = target;
    one.exchange.started = WallTime(std::chrono::seconds(1'600'000'000));
    one.exchange.request.head = "GET " + target + " HTTP/1.1\r\n\r\n";
    one.exchange.status = 200;
    one.exchange.response.head = "HTTP/1.1 200 OK\r\n\r\n";
    one.exchange.state = flow::State::kDone;
    one.response_body = std::move(body);
    return one;
  }
  std::unique_ptr<Import> begin(Store::ImportOptions options = {}) {
    auto import = store->begin_import(options);
    EXPECT_TRUE(import) << (import ? "" : import.error().message);
    return import ? *std::move(import) : nullptr;
  }
  std::vector<std::string> in_the_root() const {
    std::vector<std::string> names;
    for (const auto& entry : fs::directory_iterator(directory.path())) names.push_back(entry.path().filename());
    return names;
  }
};

TEST_F(Imports, AppearOnlyWhenTheyAreWhole) {
  const auto import = begin({.name = "file"});
  flow::emit(loaded("/one"), import->sink());
  ASSERT_TRUE(import->check());
  EXPECT_TRUE(store->list()->empty());
  const auto manifest = import->finish();
  ASSERT_TRUE(manifest) << manifest.error().message;
  EXPECT_EQ(in_the_root(), std::vector<std::string>{manifest->id});
  const auto reader = store->open(manifest->id);
  ASSERT_TRUE(reader) << reader.error().message;
  const auto found = rows(**reader);
  ASSERT_EQ(found.size(), 1u);
  EXPECT_EQ(found[0].id, "har_" + manifest->id + "_1");
  EXPECT_EQ(found[0].timestamp_ms, 1'600'000'000'000);
  EXPECT_EQ(body_of(**reader, found[0]), "answer");
  EXPECT_TRUE((*reader)->find(found[0].id));
  EXPECT_TRUE(store->verify(manifest->id)->good());
}

TEST_F(Imports, LeaveNothingWhereTheyAreNotFinished) {
  {
    const auto import = begin();
    flow::emit(loaded("/one"), import->sink());
    EXPECT_EQ(in_the_root().size(), 1u);
  }
  EXPECT_TRUE(in_the_root().empty());
}

TEST_F(Imports, WhatAKilledProcessLeftIsRemovedByTheNextAndWhatALivingOneMakesIsNot) {
  const auto living = begin();
  const std::string left = directory.path() + "/.importing-20200101000000_abcdefgh";
  fs::create_directories(left);
  write_content(left + "/lock", "");
  const auto manifest = begin()->finish();
  ASSERT_TRUE(manifest);
  EXPECT_FALSE(fs::exists(left));
  flow::emit(loaded("/one"), living->sink());
  EXPECT_TRUE(living->finish());
  EXPECT_EQ(in_the_root().size(), 2u);
}

TEST_F(Imports, BeyondTheBudgetThereIsNone) {
  {
    const auto import = begin({.max_disk_mb = 1});
    Status checked;
    for (int i = 0; i < 10 && checked; ++i) {
      flow::emit(loaded("/", std::string(300'000, 'x')), import->sink());
      checked = import->check();
    }
    ASSERT_FALSE(checked);
    EXPECT_EQ(checked.error().code, Code::kTooLarge);
  }
  EXPECT_TRUE(in_the_root().empty());
}

TEST_F(Imports, SocketsAndMissingOctetsAreKept) {
  flow::Loaded socket = loaded("/ws", "");
  socket.exchange.protocol = flow::Protocol::kWebSocket;
  socket.exchange.status = 101;
  socket.messages = {{flow::Direction::kRequest, 1, true, {}, "ask"},
                     {flow::Direction::kResponse, 2, true, {}, std::string("\0\1", 2)},
                     {flow::Direction::kResponse, 9, true, {}, "ping"},
                     {flow::Direction::kRequest, 1, true, {}, "again"}};
  flow::Loaded cut = loaded("/cut");
  cut.response_missing = 94;
  const auto import = begin();
  flow::emit(socket, import->sink());
  flow::emit(cut, import->sink());
  const auto manifest = import->finish();
  ASSERT_TRUE(manifest);
  const auto reader = store->open(manifest->id);
  const auto found = rows(**reader);
  const auto messages = (*reader)->messages(found[0].id, 0, 10, 100);
  ASSERT_TRUE(messages);
  ASSERT_EQ(messages->messages.size(), 4u);
  for (std::size_t i = 0; i < 4; ++i) EXPECT_EQ(messages->messages[i].octets, socket.messages[i].payload);
  EXPECT_EQ(found[1].response.size, 100u);
  EXPECT_FALSE(found[1].response.complete);
}

TEST(ImportedIds, SayTheirSessionAndNumberAndBack) {
  for (const char* session : {"20261122081308_0000000z", "00000000000000_00000000", "99999999999999_zzzzzzzz"}) {
    for (const std::uint32_t n : {0u, 1u, 4'294'967'295u}) {
      const capture::Uuid uuid = capture::imported_uuid(session, n);
      const std::string text = capture::id_text(uuid);
      EXPECT_EQ(text, "har_" + std::string(session) + "_" + std::to_string(n));
      EXPECT_EQ(capture::parse_id(text), uuid);
      EXPECT_EQ(static_cast<unsigned char>(uuid[8]) >> 6, 2) << "RFC 9562 §4.1";
    }
  }
  for (const char* bad :
       {"har_", "har_20261122081308_0000000z", "har_20261122081308_0000000z_", "har_20261122081308_0000000Z_1",
        "har_2026112208130x_0000000z_1", "har_20261122081308_0000000z_4294967296", "har_20261122081308_0000000z_-1"}) {
    EXPECT_FALSE(capture::parse_id(bad)) << bad;
  }
}

}  // namespace
}  // namespace sluice::session
