// A ring whose traffic is recorded: on the real disk beneath a directory of its own, or on one in memory with faults.
// For tests of this folder and above.
#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <string>

#include "base/beneath.h"
#include "capture/capture_test_support.h"
#include "session/session.h"

namespace sluice::session {

class TemporaryDirectory {
 public:
  TemporaryDirectory() {
    std::string made = testing::TempDir() + "/sluice-session-XXXXXX";
    if (::mkdtemp(made.data())) path_ = std::filesystem::canonical(made).string();
  }
  ~TemporaryDirectory() { std::filesystem::remove_all(path_); }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

inline std::string content_of(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}
inline void write_content(const std::string& path, const std::string& content) {
  std::ofstream(path, std::ios::binary | std::ios::trunc) << content;
}

class FakeArchive final : public RootArchive {
 public:
  Result<std::vector<std::string>> roots() override { return known; }
  Status add_root(const std::string& path) override {
    known.push_back(path);
    return {};
  }
  std::vector<std::string> known;
};

struct StoreFixture : capture::RingFixture {
  TemporaryDirectory directory;
  FakeArchive archive;
  OperatorKeyPtr key;  // what stores that are made from now on encrypt with
  std::unique_ptr<Store> store;

  StoreFixture() {
    EXPECT_TRUE(open());
    store = make_store(ring.get());
  }
  ~StoreFixture() { store.reset(); }
  std::unique_ptr<Store> make_store(capture::Ring* from) {
    StoreDeps deps{clock, entropy, from, &archive, directory.path(), {}, {}, {}};
    const auto open_root = [](const std::string& path) -> Result<Root> {
      SLUICE_TRY(auto files, BeneathFileSystem::open(path, "", BeneathFileSystem::IfAbsent::kMake));
      return Root{files->path(), std::shared_ptr<FileSystem>(std::move(files))};
    };
    deps.open_given = deps.open_known = open_root;
    deps.key = key;
    return std::make_unique<Store>(std::move(deps));
  }
  std::string start(StartOptions options = {}) {
    const auto started = store->start(options);
    EXPECT_TRUE(started) << (started ? "" : started.error().message);
    return started ? started->manifest.id : "";
  }
  Manifest stop() {
    const auto stopped = store->stop();
    EXPECT_TRUE(stopped && *stopped);
    return stopped && *stopped ? **stopped : Manifest{};
  }
  std::string record(const std::vector<Spec>& specs, StartOptions options = {}) {
    const std::string id = start(options);
    for (const Spec& spec : specs) exchange(spec);
    stop();
    return id;
  }
  std::string place(const std::string& id) const { return directory.path() + "/" + id; }
  std::string segment(const std::string& id, std::uint32_t number = 1) const { return segment_path(place(id), number); }
  static std::vector<Row> rows(const Reader& reader, Query query = {}) {
    std::vector<Row> all;
    query.ascending = true;
    EXPECT_TRUE(reader.visit(query, 0, UINT64_MAX, [&](const Row& row) {
      all.push_back(row);
      return true;
    }));
    return all;
  }
  static std::string body_of(const Reader& reader, const Row& row,
                             flow::Direction direction = flow::Direction::kResponse) {
    const auto slice = reader.read_body(row.id, direction, 0, UINT64_MAX);
    return slice ? slice->octets : "error: " + slice.error().message;
  }
};

}  // namespace sluice::session
