// Encrypted recordings: what stands on disk tells nothing, and what was altered, moved or is somebody else's is told
// from what can be read.
#include <gtest/gtest.h>

#include <map>
#include <set>
#include <thread>

#include "base/sealed_file.h"
#include "session/index_seal.h"
#include "session/segments.h"
#include "session/session_test_support.h"
#include "session/text_index.h"

namespace sluice::session {
namespace {

namespace fs = std::filesystem;

OperatorKeyPtr some_key(std::uint64_t seed = 1) {
  SeededEntropy chance(seed);
  std::string octets(32, '\0');
  chance.fill(octets);
  return *OperatorKey::parse(octets);
}

// Every file below, but for what SQLite keeps of readers.
std::map<std::string, std::string> files_below(const std::string& directory) {
  std::map<std::string, std::string> files;
  for (const auto& entry : fs::recursive_directory_iterator(directory)) {
    if (entry.is_regular_file()) files[entry.path().string()] = content_of(entry.path().string());
  }
  return files;
}

struct Encrypted : StoreFixture, testing::Test {
  Encrypted() { use(some_key()); }
  void use(OperatorKeyPtr given) {
    store.reset();
    key = std::move(given);
    store = make_store(ring.get());
  }
  std::string made(StartOptions options = {.name = "quarterly figures", .profile = Profile::kFull}) {
    auto upstream = std::make_shared<flow::Upstream>();
    upstream->id = 4;
    upstream->address = "192.0.2.77";
    return record({{.host = "hidden-host.example",
                    .target = "/concealed/path?token=tell-nobody",
                    .request_body = "question-in-body",
                    .response_body = "answer-in-body",
                    .response_fields = "Set-Cookie: session=cookie-value\r\nContent-Type: text/plain\r\n",
                    .upstream = upstream},
                   {.host = "hidden-host.example", .target = "/second", .response_body = "second-answer"},
                   {.host = "hidden-host.example", .target = "/third", .response_body = "third-answer"}},
                  options);
  }
  std::vector<std::string> targets(const std::string& id) {
    std::vector<std::string> found;
    const auto reader = store->open(id);
    if (!reader) return {"error: " + reader.error().message};
    for (const Row& row : rows(**reader)) found.push_back(row.target + "=" + body_of(**reader, row));
    return found;
  }
  const std::vector<std::string> whole{"/concealed/path?token=tell-nobody=answer-in-body", "/second=second-answer",
                                       "/third=third-answer"};
};

TEST_F(Encrypted, WhatWasRecordedIsReadBackAndNothingOfItStandsOnTheDisk) {
  const std::string id = start({.name = "quarterly figures", .profile = Profile::kFull});
  exchange({.host = "hidden-host.example",
            .target = "/concealed/path?token=tell-nobody",
            .response_body = "answer-in-body",
            .response_fields = "Set-Cookie: session=cookie-value\r\n"});
  std::thread writer([&] { store->write_until_stopped(); });
  EXPECT_EQ(targets(id), std::vector<std::string>{whole[0]}) << "while it is made";
  const auto live = files_below(directory.path());
  store->end();
  writer.join();
  stop();
  EXPECT_EQ(targets(id), std::vector<std::string>{whole[0]});
  const auto ended = files_below(directory.path());
  EXPECT_GE(ended.size(), 4u);
  for (const auto* files : {&live, &ended}) {
    for (const auto& [path, content] : *files) {
      for (const char* word : {"hidden-host", "concealed", "tell-nobody", "answer-in-body", "cookie-value", "quarterly",
                               "HTTP/1.1", "Set-Cookie", "example"}) {
        EXPECT_EQ(content.find(word), std::string::npos) << word << " in " << path;
      }
    }
  }
  EXPECT_EQ(store->get(id)->name, "quarterly figures");
}

TEST_F(Encrypted, FiltersOfTextsAndFilesBesideTellNothingEither) {
  std::vector<Spec> specs;
  for (int i = 0; i < 30; ++i) {
    specs.push_back(
        {.host = "hidden-host.example",
         .response_body = std::string(70'000, static_cast<char>('a' + i % 7)) + (i == 15 ? "needle-in-here" : "")});
  }
  const std::string id = record(specs, {.profile = Profile::kFull});
  const auto found = store->find(id);
  {
    const auto own = find_key(*found->root.files, found->directory, id, key);
    Index index(index_path(place(id)), own->key);
    ASSERT_TRUE(index.open_to_read());
    ASSERT_TRUE(extend_text_index(found->root.files, found->directory, index, own->key, [] { return false; }));
  }
  const auto reader = store->open(id);
  const WithoutText without = (*reader)->without_text("needle-in-here");
  EXPECT_EQ(without.covered, 30u);
  EXPECT_FALSE(without.holds_none(16));
  EXPECT_TRUE(without.holds_none(3));
  const auto beside = store->files_beside(*found, id);
  ASSERT_TRUE(beside && beside->encrypted);
  ASSERT_TRUE(beside->files->make_directories(found->directory + "/har"));
  ASSERT_TRUE(beside->files->save_file(found->directory + "/har/x.har.sealed", "{\"url\": \"hidden-host.example\"}"));
  EXPECT_EQ(beside->files->load_file(found->directory + "/har/x.har.sealed"), "{\"url\": \"hidden-host.example\"}");
  for (const auto& [path, content] : files_below(place(id))) {
    EXPECT_EQ(content.find("hidden-host"), std::string::npos) << path;
    EXPECT_EQ(content.find("aaaaaaaa"), std::string::npos) << path;
    if (path.ends_with(".tri")) EXPECT_EQ(content.find("SLUICETX"), std::string::npos);
  }
}

TEST_F(Encrypted, WithoutItsKeyItIsListedAndDeletedAndNothingElse) {
  const std::string id = made(), dead = made();
  std::string manifest = content_of(manifest_path(place(dead)));
  manifest.replace(manifest.find("stopped"), 7, "active");
  write_content(manifest_path(place(dead)), manifest);
  const auto before = files_below(directory.path());
  for (const bool other : {false, true}) {
    use(other ? some_key(2) : nullptr);
    for (const std::string& one : {id, dead}) {
      const auto reader = store->open(one);
      ASSERT_FALSE(reader);
      EXPECT_EQ(reader.error().code, Code::kRefused);
      for (const char* way : {"--sessions-key-file", "SLUICE_SESSIONS_KEY", other ? "another key" : "is encrypted"}) {
        EXPECT_NE(reader.error().message.find(way), std::string::npos) << reader.error().message;
      }
      EXPECT_EQ(store->recover(one).error().code, Code::kRefused);
      EXPECT_FALSE(store->seal(one).value_or(0));
      const auto found = store->get(one);
      ASSERT_TRUE(found);
      EXPECT_TRUE(found->encryption);
      EXPECT_FALSE(found->name);
    }
    EXPECT_EQ(store->list()->size(), 2u);
  }
  EXPECT_EQ(files_below(directory.path()), before) << "and nothing was changed";
  use(nullptr);
  EXPECT_TRUE(store->remove(id));
  EXPECT_FALSE(fs::exists(place(id)));
  use(some_key());
  EXPECT_EQ(targets(dead), whole);
}

TEST_F(Encrypted, VerifyLooksAtChecksumsWithoutTheKeyAndAtAllOfItWithIt) {
  const std::string id = made();
  const auto full = store->verify(id);
  ASSERT_TRUE(full && full->good());
  EXPECT_TRUE(full->encrypted && full->opened);
  use(nullptr);
  const auto closed = store->verify(id);
  ASSERT_TRUE(closed && closed->good());
  EXPECT_TRUE(closed->encrypted);
  EXPECT_FALSE(closed->opened);
  EXPECT_EQ(closed->exchanges, full->exchanges);
  EXPECT_EQ(closed->records, full->records);
  EXPECT_EQ(closed->cut_exchanges, 0u);
  std::string hurt = content_of(segment(id));
  hurt[hurt.size() - 30] ^= 1;
  write_content(segment(id), hurt);
  EXPECT_FALSE(store->verify(id)->good());
  use(some_key(2));
  EXPECT_EQ(store->verify(id).error().code, Code::kRefused);
}

TEST_F(Encrypted, RecordingsInClearAreReadBesideThem) {
  use(nullptr);
  const std::string clear = made();
  use(some_key());
  const std::string id = made();
  EXPECT_EQ(targets(clear), whole);
  EXPECT_EQ(targets(id), whole);
  EXPECT_FALSE(store->get(clear)->encryption);
  EXPECT_FALSE(store->verify(clear)->encrypted);
  EXPECT_TRUE(store->recover(clear));
  EXPECT_EQ(targets(clear), whole);
}

TEST_F(Encrypted, ALostManifestAndALostIndexAreMadeAgain) {
  const std::string id = made();
  fs::remove(manifest_path(place(id)));
  fs::remove(index_path(place(id)));
  use(nullptr);
  EXPECT_EQ(store->open(id).error().code, Code::kRefused) << "its segments say that it is encrypted";
  EXPECT_FALSE(fs::exists(manifest_path(place(id))));
  EXPECT_FALSE(store->verify(id)->opened);
  use(some_key(2));
  EXPECT_EQ(store->open(id).error().code, Code::kRefused);
  EXPECT_FALSE(fs::exists(index_path(place(id))));
  use(some_key());
  EXPECT_EQ(targets(id), whole);
  EXPECT_EQ(store->get(id)->name, "quarterly figures");
  EXPECT_TRUE(store->get(id)->encryption);
}

// Whatever octet of the manifest is damaged, the segments know what it said.
TEST_F(Encrypted, WhatTheManifestKeepsOfTheKeyIsInEachSegmentToo) {
  const std::string id = made(), manifest = content_of(manifest_path(place(id)));
  for (const char* member : {"\"keyCheck\": \"", "\"wrappedKey\": \"", "\"name\": \"", "\"cipher\": \""}) {
    const std::size_t at = manifest.rfind(member) + std::strlen(member);
    ASSERT_NE(manifest.rfind(member), std::string::npos) << member;
    std::string hurt = manifest;
    hurt[at + 2] = hurt[at + 2] == 'A' ? 'B' : 'A';
    write_content(manifest_path(place(id)), hurt);
    EXPECT_EQ(targets(id), whole) << member;
    ASSERT_TRUE(store->recover(id)) << member;
    EXPECT_EQ(store->get(id)->name, "quarterly figures") << member;
    use(some_key(2));
    EXPECT_FALSE(store->open(id)) << member;
    use(some_key());
  }
}

TEST_F(Encrypted, ADamagedIndexIsMadeAgain) {
  const std::string id = made();
  // What the index says of rows, exchanged between two of them.
  {
    sqlite::SqliteFile file(index_path(place(id)), std::chrono::seconds(1), sqlite::SqliteFile::Sync::kNormal);
    ASSERT_TRUE(file.open(sqlite::SqliteFile::IfMissing::kLeave, [] { return Status(); }));
    ASSERT_TRUE(file.run("UPDATE exchanges SET row = (SELECT row FROM exchanges WHERE seq = 2) WHERE seq = 1"));
    ASSERT_TRUE(file.run("PRAGMA journal_mode = DELETE"));
  }
  {
    const auto reader = store->open(id);
    ASSERT_TRUE(reader);
    EXPECT_EQ((*reader)->find(1).error().code, Code::kIo);
    EXPECT_TRUE((*reader)->find(2));
  }
  ASSERT_TRUE(store->recover(id));
  EXPECT_EQ(targets(id), whole);
  write_content(index_path(place(id)), "no database");
  EXPECT_EQ(targets(id), whole);
}

TEST_F(Encrypted, SegmentsAndIndexesOfOtherRecordingsAreNotTaken) {
  const std::string id = made(), other = made();
  fs::copy_file(segment(other), segment(id), fs::copy_options::overwrite_existing);
  auto report = store->recover(id);
  ASSERT_TRUE(report);
  EXPECT_EQ(report->exchanges, 0u);
  EXPECT_GT(report->damaged_ranges, 0u);
  fs::copy_file(index_path(place(other)), index_path(place(id)), fs::copy_options::overwrite_existing);
  const auto reader = store->open(id);
  EXPECT_FALSE(reader && (*reader)->find(1));
  // A whole recording under another one's id.
  const std::string copy = "20250101000000_abcdefgh";
  fs::copy(place(other), place(copy), fs::copy_options::recursive);
  EXPECT_EQ(store->open(copy).error().code, Code::kInvalid);
  EXPECT_EQ(targets(other), whole);
}

TEST_F(Encrypted, SegmentsInClearAreNotTaken) {
  const std::string id = made();
  use(nullptr);
  const std::string clear = made();
  use(some_key());
  fs::copy_file(segment(clear), segment(id, 2));
  const auto report = store->recover(id);
  ASSERT_TRUE(report);
  EXPECT_EQ(report->exchanges, 3u);
  ASSERT_EQ(report->damaged.size(), 1u);
  EXPECT_EQ(report->damaged[0].segment, 2u);
  fs::copy_file(segment(id), segment(clear, 2));
  const auto mixed = store->recover(clear);
  ASSERT_TRUE(mixed);
  EXPECT_EQ(mixed->exchanges, 3u);
  EXPECT_EQ(mixed->damaged.at(0).segment, 2u);
}

TEST_F(Encrypted, ATornEndCostsWhatWasTornAndAFlippedBitItsRecord) {
  const std::string id = made(), octets = content_of(segment(id));
  const std::uint64_t records = store->verify(id)->records;
  std::uint64_t last = 0;
  for (std::size_t length = 0; length <= octets.size(); length += length + 40 < octets.size() ? 37 : 1) {
    write_content(segment(id), octets.substr(0, length));
    const auto report = store->verify(id);
    ASSERT_TRUE(report) << length << ": " << report.error().message;
    EXPECT_GE(report->exchanges, last) << length;
    EXPECT_EQ(report->damaged_bytes, 0u) << length;
    last = report->exchanges;
  }
  EXPECT_EQ(last, 3u);
  write_content(segment(id), octets.substr(0, octets.size() - 10));
  ASSERT_TRUE(store->recover(id));
  EXPECT_EQ(content_of(segment(id)), octets.substr(0, octets.size() - 10)) << "segments are never changed";
  EXPECT_EQ(targets(id).size(), 3u);
  for (std::size_t at = 48; at < octets.size(); at += 19) {
    std::string hurt = octets;
    hurt[at] = static_cast<char>(hurt[at] ^ (1 << (at % 8)));
    write_content(segment(id), hurt);
    const auto report = store->verify(id);
    ASSERT_TRUE(report) << at << ": " << report.error().message;
    EXPECT_EQ(report->records, records - 1) << at;
    EXPECT_EQ(report->damaged_ranges, 1u) << at;
  }
}

TEST_F(Encrypted, OneWhoseRunDiedIsRecoveredWhenItIsOpened) {
  const std::string id = start();
  exchange({.target = "/done"});
  const ExchangeSeq seq = begin({.target = "/cut"});
  respond(seq, {});
  sink().body(seq, flow::Direction::kResponse, "what had arrived");
  std::thread writer([&] { store->write_until_stopped(); });
  ring->pump();
  (void)store->open(id);
  store->end();
  writer.join();
  TemporaryDirectory elsewhere;  // as a kill leaves it
  fs::copy(place(id), elsewhere.path() + "/" + id, fs::copy_options::recursive);
  StoreDeps deps{clock, entropy, nullptr, nullptr, elsewhere.path(), {}, {}, {}, {}, key};
  deps.open_known = [](const std::string& path) -> Result<Root> {
    SLUICE_TRY(auto files, BeneathFileSystem::open(path, "", BeneathFileSystem::IfAbsent::kMake));
    return Root{files->path(), std::shared_ptr<FileSystem>(std::move(files))};
  };
  Store later(std::move(deps));
  const auto reader = later.open(id);
  ASSERT_TRUE(reader) << reader.error().message;
  const auto found = rows(**reader);
  ASSERT_EQ(found.size(), 2u);
  EXPECT_EQ(found[1].state, flow::State::kAborted);
  EXPECT_EQ(body_of(**reader, found[1]), "what had arrived");
  EXPECT_EQ(later.get(id)->recovery, Recovery::kRecovered);
}

TEST_F(Encrypted, ImportsAreEncryptedToo) {
  const auto import = store->begin_import({.name = "quarterly figures"});
  ASSERT_TRUE(import);
  flow::Opened opened;
  opened.connection = connection();
  opened.method = "GET";
  opened.scheme = "https";
  opened.host = "hidden-host.example";
  opened.target = "/imported";
  opened.head = "GET /imported HTTP/1.1\r\nHost: hidden-host.example\r\n\r\n";
  const ExchangeSeq seq = (*import)->sink().opened(opened);
  flow::Ended ended;
  ended.state = flow::State::kDone;
  (*import)->sink().ended(seq, ended);
  const auto manifest = (*import)->finish();
  ASSERT_TRUE(manifest);
  EXPECT_TRUE(manifest->encryption);
  for (const auto& [path, content] : files_below(place(manifest->id))) {
    for (const char* word : {"hidden-host", "imported", "quarterly"}) {
      EXPECT_EQ(content.find(word), std::string::npos) << path;
    }
  }
  EXPECT_EQ(targets(manifest->id).size(), 1u);
}

// ---- nonces ----

// Remembers what was written where, also what was taken back.
class Remembering final : public FileSystem {
 public:
  explicit Remembering(FakeFileSystem& inner) : inner_(inner) {}

  struct Written {
    std::string path;
    ByteCount offset = 0;
    std::string octets;
  };
  std::vector<Written> written;

  Result<std::unique_ptr<File>> open(const std::string& path, OpenMode mode) override {
    SLUICE_TRY(auto file, inner_.open(path, mode));
    return std::make_unique<Watched>(std::move(file), path, *this);
  }
  Status make_directories(const std::string& path) override { return inner_.make_directories(path); }
  Result<std::vector<std::string>> list(const std::string& directory) override { return inner_.list(directory); }
  Status rename(const std::string& from, const std::string& to) override { return inner_.rename(from, to); }
  Status remove(const std::string& path) override { return inner_.remove(path); }
  Status remove_tree(const std::string& directory) override { return inner_.remove_tree(directory); }
  bool exists(const std::string& path) override { return inner_.exists(path); }

 private:
  class Watched final : public File {
   public:
    Watched(std::unique_ptr<File> file, std::string path, Remembering& by)
        : file_(std::move(file)), path_(std::move(path)), by_(by) {}
    Status append(std::span<const Bytes> pieces) override {
      std::string all;
      for (const Bytes piece : pieces) all += piece;
      by_.written.push_back({path_, by_.inner_.content(path_).value_or("").size(), all});
      return file_->append(pieces);
    }
    Result<std::size_t> read_at(ByteCount offset, MutableBytes out) const override {
      return file_->read_at(offset, out);
    }
    Result<ByteCount> size() const override { return file_->size(); }
    Status truncate(ByteCount size) override { return file_->truncate(size); }
    Status sync() override { return file_->sync(); }
    Status lock() override { return file_->lock(); }

   private:
    std::unique_ptr<File> file_;
    std::string path_;
    Remembering& by_;
  };

  FakeFileSystem& inner_;
};

// Writes that fail at every operation, tails that are torn and taken back, segments begun anew: under one segment's
// key no place is ever written with something else.
TEST(EncryptedNonces, ComeOnceHoweverTheDiskFails) {
  TemporaryDirectory directory;
  std::set<std::string> headers;  // of segments: what their keys are made of
  std::size_t taken_back = 0;
  for (std::size_t step = 1; step <= 25; ++step) {
    capture::RingFixture from;
    ASSERT_TRUE(from.open());
    FakeFileSystem faulty;
    faulty.add_directory("/home/sessions");
    Remembering disk(faulty);
    RecordingOptions options;
    options.manifest.id = "20250101000000_abcdefgh";
    options.manifest.profile = Profile::kFull;
    options.directory = "/home/sessions/20250101000000_abcdefgh";
    options.index = directory.path() + "/index-" + std::to_string(step) + ".db";
    SystemEntropy entropy;
    options.key = *some_key()->make(options.manifest.id, std::nullopt, entropy, options.manifest.encryption);
    auto recording = Recording::begin(options, disk, from.clock, entropy);
    ASSERT_TRUE(recording);
    from.ring->hand_to(recording->get());
    faulty.fail_operation(step);
    for (int i = 0; i < 12; ++i) {
      if (i == 6) faulty.tear_append(40 + step * 3);
      from.exchange({.target = "/" + std::to_string(i), .response_body = std::string(500, static_cast<char>('a' + i))});
      from.ring->pump();
      (*recording)->work();
      from.clock.advance(std::chrono::seconds(2));
      (*recording)->work();
    }
    from.ring->hand_to(nullptr);
    ASSERT_TRUE((*recording)->finish());
    std::map<std::string, std::string> content;  // by segment
    for (const auto& one : disk.written) {
      if (!one.path.ends_with(".seg")) continue;
      std::string& so_far = content[one.path];
      if (one.offset < so_far.size()) ++taken_back;
      for (std::size_t i = 0; i < one.octets.size(); ++i) {
        const std::size_t at = static_cast<std::size_t>(one.offset) + i;
        if (at >= so_far.size()) so_far.resize(at + 1);
        ASSERT_TRUE(so_far[at] == '\0' || so_far[at] == one.octets[i]) << one.path << " at " << at << ", step " << step;
        so_far[at] = one.octets[i];
      }
    }
    EXPECT_GE(content.size(), 2u) << "the segment is left";
    for (const auto& [path, octets] : content) {
      if (octets.size() >= 48)
        EXPECT_TRUE(headers.insert(octets.substr(16, 16)).second) << "number and salt came again";
    }
  }
  EXPECT_EQ(taken_back, 0u);
}

TEST(EncryptedNonces, OfAnIndexAreCountedAndItsKeyIsItsOwn) {
  TemporaryDirectory directory;
  SystemEntropy entropy;
  std::optional<Encryption> encryption;
  const SessionKeyPtr key = *some_key()->make("20250101000000_abcdefgh", std::nullopt, entropy, encryption);
  std::set<std::string> salts;
  for (int round = 0; round < 3; ++round) {
    const std::string path = directory.path() + "/index-" + std::to_string(round) + ".db";
    Index index(path, key);
    ASSERT_TRUE(index.create());
    std::set<std::string> nonces;
    std::size_t blobs = 0;
    for (std::uint64_t seq = 1; seq <= 5; ++seq) {
      Row row;
      row.seq = seq % 3 + 1;  // some are written again
      row.id = "00000000-0000-4000-8000-00000000000" + std::to_string(seq);
      ASSERT_TRUE(index.add(std::span(&row, 1)));
      sqlite::SqliteFile file(path, std::chrono::seconds(1), sqlite::SqliteFile::Sync::kNormal);
      ASSERT_TRUE(file.open_read_only());
      sqlite::Statement asked(file, "SELECT row FROM exchanges WHERE seq = ?1 UNION ALL SELECT columns FROM blocks");
      asked.bind(1, static_cast<std::int64_t>(row.seq));
      for (; asked.step() == sqlite::Statement::Step::kRow; ++blobs) nonces.insert(asked.blob(0).substr(0, kNonceSize));
      sqlite::Statement salt(file, "SELECT salt FROM seal");
      ASSERT_EQ(salt.step(), sqlite::Statement::Step::kRow);
      if (seq == 1) EXPECT_TRUE(salts.insert(salt.blob(0)).second);
    }
    EXPECT_EQ(nonces.size(), blobs);
    EXPECT_EQ(blobs, 10u);
  }
}

}  // namespace
}  // namespace sluice::session
