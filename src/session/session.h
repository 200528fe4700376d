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
#include <deque>
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
#include "session/import.h"
#include "session/manifest.h"
#include "session/manifest_cache.h"
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

// What all recordings of one root may take together; recordings of others beside it are counted too.
struct DiskCap {
  std::uint64_t max_mb = 0;     // 0: there is none
  OnCap on_cap = OnCap::kStop;  // kDropOldest: whole recordings that have ended, the oldest first
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
  DiskCap disk_cap;
  OperatorKeyPtr key;  // null: nothing new is encrypted, and what is cannot be read
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
  struct ImportOptions {
    std::optional<std::string> name, storage_dir;
    std::uint64_t max_disk_mb = 1024;
  };
  // A new session that is made of files, whatever else is being recorded.
  Result<std::unique_ptr<Import>> begin_import(const ImportOptions& options);
  std::optional<Manifest> active() const;
  // The cap over all, and what it did since this process began.
  struct DiskUse {
    DiskCap cap;
    ByteCount others = 0;       // of the root that is recorded to, or was last: its other recordings
    std::uint64_t dropped = 0;  // recordings
  };
  DiskUse disk_use() const;
  // All that was captured before is on the disk when this returns. kConflict: nothing is recorded; kUnavailable: the
  // disk does not answer, or fails: what waits will be written when it does.
  Result<Manifest> checkpoint();
  ByteCount unwritten() const;
  const std::string& home_root() const { return deps_.home_root; }
  bool encrypts() const { return deps_.key != nullptr; }  // what is recorded or imported from now on

  // Newest start first. What cannot be read is listed with the reason as its last error; what is encrypted, and not
  // with our key, without its name.
  Result<std::vector<Manifest>> list();
  // Of these `limit` behind `offset`, and how many there are: no more manifests are read than that takes.
  struct Page {
    std::size_t total = 0;
    std::vector<Manifest> sessions;
    std::vector<std::string> away;  // known roots that are not there now; what they hold is not counted
  };
  Result<Page> list(std::size_t offset, std::size_t limit);
  // The next seven: kNotFound: no root holds such a session, or that is no session's id. Those that need the key of one
  // that is encrypted: kRefused: there is none, or another one.
  Result<Manifest> get(const std::string& id);
  // One whose last run died is recovered first. Of the active one: all that was captured before is there.
  Result<std::unique_ptr<Reader>> open(const std::string& id);
  Result<RecoveryReport> recover(const std::string& id);
  Result<RecoveryReport> verify(const std::string& id);
  // kConflict: it is being written.
  Status remove(const std::string& id);
  // Where it lies: for what else is kept in its directory.
  struct Found {
    Root root;
    std::string directory;
  };
  Result<Found> find(const std::string& id);
  // Through which that is kept: what is written through them is as secret as the recording.
  struct Beside {
    std::shared_ptr<FileSystem> files;
    bool encrypted = false;
  };
  Result<Beside> files_beside(const Found& found, const std::string& id);

  // What makes a search in the session's bodies quick is missing: it is made when there is time (seal_until_stopped).
  void want_sealed(const std::string& id);
  // What is missing of it is made now. Answers the octets of text that were gone through.
  Result<ByteCount> seal(const std::string& id);

  // The writer's thread; returns after end().
  void write_until_stopped();
  // A thread of the lowest priority: what is recorded is made ready for searching. Returns after end().
  void seal_until_stopped();
  void end();

 private:
  struct Active {
    Root root;
    std::shared_ptr<Recording> recording;
    std::string id;
  };
  Result<Root> root_for(const std::optional<std::string>& storage_dir);
  Result<std::vector<Root>> roots(std::vector<std::string>* away = nullptr);
  std::shared_ptr<const Active> current() const;
  Manifest describe(const Root& root, const std::string& id);
  Result<SessionKeyPtr> key_of(const Found& found, const std::string& id);
  // What is left under the cap for a new recording, of at most `wanted` MiB. kTooLarge: nothing, and nothing may go.
  Result<std::uint64_t> room_in(const Root& root, std::uint64_t wanted);
  ByteCount measure(const Root& root);
  void drop_for_room(const Root& root, ByteCount own);
  void keep_cap();
  bool must_leave() const;  // the sealer
  bool is_active(const std::string& id) const;

  const StoreDeps deps_;
  std::mutex change_mutex_;      // start and stop, one at a time
  std::timed_mutex work_mutex_;  // the writer's work
  mutable std::mutex mutex_;     // below
  std::condition_variable wake_;
  std::shared_ptr<const Active> active_;
  ManifestCache manifests_;
  const std::shared_ptr<MatchCache> matches_ = std::make_shared<MatchCache>();
  bool ending_ = false;
  std::deque<std::string> to_seal_;
  DiskUse disk_use_;
  std::size_t removing_ = 0;  // sessions that wait for the sealer to leave
  std::mutex seal_mutex_;     // while something is sealed
};

}  // namespace sluice::session
