// Recordings: where they lie, the one that this process makes, and how they are found again (engine.md 10). Sessions
// lie in roots: `$SLUICE_HOME/sessions`, and each directory that was given as storage_dir once. docs/sessions.md is the
// manual, docs/formats/session.md the format.
//
//   Store store(options, deps);
//   store.start({.name = "login"});           // everything captured from now on is recorded
//   store.write_until_stopped();              // on the writer's thread
//   auto reader = store.open(id);             // any recording of any root, also the one that is being made
//
// Thread-safe. Nothing here delays traffic; every other call may wait for the disk.
#pragma once

#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/entropy.h"
#include "base/file.h"
#include "capture/capture.h"
#include "session/manifest.h"
#include "session/reader.h"
#include "session/recording.h"
#include "session/recover.h"

namespace sluice::session {

struct Root {
  std::string path;                   // absolute, without links
  std::shared_ptr<FileSystem> files;  // that reaches nothing outside it
};

// Which directories hold sessions, beside the home's own. Implemented over state.db; by a fake in tests.
class RootArchive {
 public:
  virtual ~RootArchive() = default;
  virtual Result<std::vector<std::string>> roots() = 0;
  virtual Status add_root(const std::string& path) = 0;
};

struct StoreDeps {
  const Clock& clock;
  Entropy& entropy;
  capture::Ring* ring = nullptr;   // null: nothing can be recorded, only read
  RootArchive* archive = nullptr;  // null: the home's root alone
  std::string home_root;           // `$SLUICE_HOME/sessions`
  // What a tool's storage_dir stands for; makes it. kRefused: it lies under no allowed root.
  std::function<Result<Root>(const std::string& storage_dir)> open_given;
  // A root that was opened before, or the home's. kNotFound: it is gone.
  std::function<Result<Root>(const std::string& path)> open_known;
  RecordingLimits limits;
};

struct StartOptions {
  std::optional<std::string> name, storage_dir;
  Profile profile = Profile::kPreview;
  OnCap on_cap = OnCap::kStop;
  std::uint64_t max_disk_mb = 1024;
};

class Store {
 public:
  explicit Store(StoreDeps deps);
  ~Store();  // stops what is being recorded

  struct Started {
    Manifest manifest;
    bool was_active = false;  // there was one already: that is what is told of
  };
  Result<Started> start(const StartOptions& options);
  // nullopt: there was none. kUnavailable: the disk does not answer; the recording goes on.
  Result<std::optional<Manifest>> stop();
  std::optional<Manifest> active() const;
  ByteCount unwritten() const;
  const std::string& home_root() const { return deps_.home_root; }

  // Newest start first. What cannot be read is listed with the reason as its last error.
  Result<std::vector<Manifest>> list();
  // The next five: kNotFound: no root holds such a session, or that is no session's id.
  Result<Manifest> get(const std::string& id);
  // One whose last run died is recovered first. Of the active one: all that was captured before is there.
  Result<std::unique_ptr<Reader>> open(const std::string& id);
  Result<RecoveryReport> recover(const std::string& id);
  Result<RecoveryReport> verify(const std::string& id);
  // kConflict: it is being written.
  Status remove(const std::string& id);

  // The writer's thread; returns after end().
  void write_until_stopped();
  void end();

 private:
  struct Active {
    Root root;
    std::shared_ptr<Recording> recording;
    std::string id;
  };
  struct Found {
    Root root;
    std::string directory;
  };
  Result<std::vector<Root>> roots();
  Result<Found> find(const std::string& id);
  std::shared_ptr<const Active> current() const;
  Manifest describe(const Root& root, const std::string& id);
  bool is_active(const std::string& id) const;

  const StoreDeps deps_;
  std::mutex change_mutex_;      // start and stop, one at a time
  std::timed_mutex work_mutex_;  // the writer's work
  mutable std::mutex mutex_;     // below
  std::condition_variable wake_;
  std::shared_ptr<const Active> active_;
  bool ending_ = false;
};

}  // namespace sluice::session
