#include "session/session.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/text.h"

namespace sluice::session {
namespace {

constexpr std::chrono::milliseconds kPause{20};
constexpr std::chrono::seconds kPatience{10}, kSyncWait{2};
constexpr std::size_t kSecondOfId = 14;  // octets of an id that say when

std::string directory_of(const Root& root, const std::string& id) { return root.path + "/" + id; }

Error no_session(const std::string& id) {
  return {Code::kNotFound, fmt::format("There is no session '{}'.", repair_utf8(id.substr(0, 60)))};
}

// A live process writes it.
bool is_locked(FileSystem& files, const std::string& directory) {
  const auto lock = files.open(lock_path(directory), OpenMode::kRead);
  return lock && !(*lock)->lock();
}

}  // namespace

Store::Store(StoreDeps deps) : deps_(std::move(deps)) {}

Store::~Store() {
  end();
  (void)stop();
}

std::shared_ptr<const Store::Active> Store::current() const {
  const std::lock_guard guard(mutex_);
  return active_;
}

bool Store::is_active(const std::string& id) const {
  const auto active = current();
  return active && active->id == id;
}

// ---- recording ----

Result<Root> Store::root_for(const std::optional<std::string>& storage_dir) {
  if (!storage_dir) return deps_.open_known(deps_.home_root);
  SLUICE_TRY(Root root, deps_.open_given(*storage_dir));
  if (deps_.archive && root.path != deps_.home_root) SLUICE_CHECK(deps_.archive->add_root(root.path));
  return root;
}

Result<Store::Started> Store::start(const StartOptions& options) {
  const std::lock_guard one_at_a_time(change_mutex_);
  if (const auto active = current()) return Started{active->recording->manifest(), true};
  if (!deps_.ring) return fail(Code::kUnavailable, "Nothing is captured here.");
  SLUICE_TRY(Root root, root_for(options.storage_dir));
  RecordingOptions recording;
  recording.manifest.id = make_session_id(deps_.clock.wall(), deps_.entropy);
  recording.manifest.name = options.name;
  recording.manifest.profile = options.profile;
  recording.manifest.on_cap = options.on_cap;
  recording.manifest.root = root.path;
  SLUICE_TRY(recording.manifest.max_disk_mb, room_in(root, options.max_disk_mb));
  recording.directory = directory_of(root, recording.manifest.id);
  recording.index = index_path(recording.directory);
  recording.limits = deps_.limits;
  if (deps_.key) {
    Manifest& made = recording.manifest;
    SLUICE_TRY(recording.key, deps_.key->make(made.id, made.name, deps_.entropy, made.encryption));
  }
  auto active = std::make_shared<Active>();
  active->id = recording.manifest.id;
  SLUICE_TRY(active->recording, Recording::begin(std::move(recording), *root.files, deps_.clock, deps_.entropy));
  active->root = std::move(root);
  deps_.ring->sync();  // what was captured before is not recorded
  deps_.ring->hand_to(active->recording.get());
  const std::lock_guard guard(mutex_);
  active_ = active;
  wake_.notify_all();
  return Started{active->recording->manifest(), false};
}

Result<std::optional<Manifest>> Store::stop() {
  const std::lock_guard one_at_a_time(change_mutex_);
  const auto active = current();
  if (!active) return std::nullopt;
  {
    const std::unique_lock no_writer(work_mutex_, kPatience);
    if (!no_writer.owns_lock()) {
      return fail(Code::kUnavailable, "The disk does not answer. The recording goes on; stop it again later.");
    }
    deps_.ring->sync();
    deps_.ring->hand_to(nullptr);
    SLUICE_CHECK(active->recording->finish());
  }
  {
    const std::lock_guard guard(mutex_);
    active_ = nullptr;
  }
  want_sealed(active->id);
  if (deps_.disk_cap.max_mb > 0) (void)measure(active->root);
  return std::optional(active->recording->manifest());
}

Result<std::unique_ptr<Import>> Store::begin_import(const ImportOptions& options) {
  SLUICE_TRY(const Root root, root_for(options.storage_dir));
  Manifest manifest;
  manifest.id = make_session_id(deps_.clock.wall(), deps_.entropy);
  manifest.name = options.name;
  manifest.profile = Profile::kFull;
  manifest.root = root.path;
  SLUICE_TRY(manifest.max_disk_mb, room_in(root, options.max_disk_mb));
  SessionKeyPtr key;
  if (deps_.key) {
    SLUICE_TRY(key, deps_.key->make(manifest.id, manifest.name, deps_.entropy, manifest.encryption));
  }
  return Import::begin(root.files, std::move(manifest), std::move(key), deps_.clock, deps_.entropy);
}

std::optional<Manifest> Store::active() const {
  const auto active = current();
  return active ? std::optional(active->recording->manifest()) : std::nullopt;
}

ByteCount Store::unwritten() const {
  const auto active = current();
  return active ? active->recording->unwritten() : 0;
}

void Store::write_until_stopped() {
  for (;;) {
    std::shared_ptr<const Active> active;
    {
      std::unique_lock lock(mutex_);
      wake_.wait(lock, [this] { return ending_ || active_; });
      if (ending_) return;
      active = active_;
    }
    {
      const std::lock_guard working(work_mutex_);
      if (current() == active) active->recording->work();
    }
    active->recording->wait(kPause);
  }
}

void Store::end() {
  const std::lock_guard guard(mutex_);
  ending_ = true;
  wake_.notify_all();
}

// ---- finding ----

Result<std::vector<Root>> Store::roots(std::vector<std::string>* away) {
  std::vector<Root> all;
  SLUICE_TRY(Root home, deps_.open_known(deps_.home_root));
  all.push_back(std::move(home));
  if (!deps_.archive) return all;
  SLUICE_TRY(const auto paths, deps_.archive->roots());
  for (const std::string& path : paths) {
    const bool known = std::any_of(all.begin(), all.end(), [&](const Root& one) { return one.path == path; });
    if (known) continue;
    if (auto root = deps_.open_known(path)) {
      all.push_back(*std::move(root));
    } else if (away) {
      away->push_back(path);
    }
  }
  return all;
}

Result<Store::Found> Store::find(const std::string& id) {
  if (!is_session_id(id)) return fail(no_session(id));
  std::vector<std::string> away;
  SLUICE_TRY(auto all, roots(&away));
  for (Root& root : all) {
    std::string directory = directory_of(root, id);
    if (root.files->exists(segments_path(directory))) return Found{std::move(root), std::move(directory)};
  }
  Error error = no_session(id);
  if (!away.empty()) {
    error.message += fmt::format(" Recordings were also made in {}, which cannot be opened now.",
                                 repair_utf8(away.front().substr(0, 200)));
  }
  return fail(std::move(error));
}

// What a list says of it, whatever state it is in.
Manifest Store::describe(const Root& root, const std::string& id) {
  if (const auto active = current(); active && active->id == id) return active->recording->manifest();
  const std::string directory = directory_of(root, id);
  auto manifest = manifests_.load(*root.files, directory);
  if (!manifest) {
    Manifest unknown;
    unknown.id = id;
    unknown.root = root.path;
    unknown.created_ms = unknown.started_ms = created_ms_of(id).value_or(0);
    unknown.recovery = Recovery::kError;
    unknown.last_error = manifest.error().message;
    return unknown;
  }
  manifest->id = id;
  manifest->root = root.path;  // it may have been moved
  if (manifest->encryption && deps_.key) {
    if (const auto key = deps_.key->open(id, *manifest->encryption)) {
      manifest->name = (*key)->open_name(*manifest->encryption);
    }
  }
  if (manifest->active && !is_locked(*root.files, directory)) {
    manifest->active = false;
    manifest->recovery = Recovery::kError;
    manifest->last_error = "Whoever recorded it ended without closing it; it is recovered when it is opened.";
  }
  return *std::move(manifest);
}

Result<std::vector<Manifest>> Store::list() {
  SLUICE_TRY(Page all, list(0, SIZE_MAX));
  return std::move(all.sessions);
}

// Ids begin with the second of the start: their order is that of the starts, but for those of one second.
Result<Store::Page> Store::list(std::size_t offset, std::size_t limit) {
  Page page;
  SLUICE_TRY(const auto all, roots(&page.away));
  std::vector<std::pair<std::string, const Root*>> names;
  for (const Root& root : all) {
    auto listed = root.files->list(root.path);
    if (!listed) continue;
    for (std::string& name : *listed) {
      if (is_session_id(name)) names.emplace_back(std::move(name), &root);
    }
  }
  std::stable_sort(names.begin(), names.end(), [](const auto& a, const auto& b) { return a.first > b.first; });
  page.total = names.size();
  std::size_t first = std::min(offset, names.size()), end = first + std::min(limit, names.size() - first);
  const auto same_second = [&](std::size_t a, std::size_t b) {
    return names[a].first.compare(0, kSecondOfId, names[b].first, 0, kSecondOfId) == 0;
  };
  std::size_t before = 0;
  for (; first > 0 && first < names.size() && same_second(first, first - 1); --first) ++before;
  const std::size_t wanted = end - first - before;
  while (end > 0 && end < names.size() && same_second(end, end - 1)) ++end;
  for (std::size_t i = first; i < end; ++i) page.sessions.push_back(describe(*names[i].second, names[i].first));
  manifests_.forget_unasked();
  std::stable_sort(page.sessions.begin(), page.sessions.end(),
                   [](const Manifest& a, const Manifest& b) { return a.started_ms > b.started_ms; });
  page.sessions.erase(page.sessions.begin(), page.sessions.begin() + static_cast<std::ptrdiff_t>(before));
  page.sessions.resize(wanted);
  return page;
}

Result<Manifest> Store::get(const std::string& id) {
  SLUICE_TRY(const Found found, find(id));
  if (!is_active(id)) {
    const auto manifest = load_manifest(*found.root.files, found.directory);
    if (!manifest && manifest.error().code == Code::kConflict) return fail(manifest.error());
    if ((!manifest || manifest->active) && !is_locked(*found.root.files, found.directory)) {
      (void)session::recover(*found.root.files, found.root.path, id, index_path(found.directory), deps_.key);
    }
  }
  return describe(found.root, id);
}

Result<SessionKeyPtr> Store::key_of(const Found& found, const std::string& id) {
  SLUICE_TRY(KeyOf key, find_key(*found.root.files, found.directory, id, deps_.key));
  return std::move(key.key);
}

Result<Store::Beside> Store::files_beside(const Found& found, const std::string& id) {
  SLUICE_TRY(const SessionKeyPtr key, key_of(found, id));
  return key ? Beside{key->seal_files(found.root.files, "har"), true} : Beside{found.root.files, false};
}

Result<std::unique_ptr<Reader>> Store::open(const std::string& id) {
  SLUICE_TRY(const Found found, find(id));
  const std::string index = index_path(found.directory);
  SLUICE_TRY(const SessionKeyPtr key, key_of(found, id));
  const auto open_as = [&](Manifest manifest) {
    return Reader::open(found.root.files, found.directory, index, std::move(manifest), key, matches_);
  };
  if (const auto active = current(); active && active->id == id) {
    deps_.ring->sync();
    (void)active->recording->sync(kSyncWait);
    return open_as(active->recording->manifest());
  }
  const auto manifest = load_manifest(*found.root.files, found.directory);
  if (!manifest && manifest.error().code == Code::kConflict) return fail(manifest.error());
  const bool live = is_locked(*found.root.files, found.directory);
  if (manifest && (live || !manifest->active)) {
    auto reader = open_as(describe(found.root, id));
    if (reader || live) return reader;
  }
  if (const auto done = session::recover(*found.root.files, found.root.path, id, index, deps_.key); !done) {
    return fail(Error(done.error()).with_context("The session must be recovered before it can be read"));
  }
  return open_as(describe(found.root, id));
}

Result<Manifest> Store::checkpoint() {
  const auto active = current();
  if (!active) return fail(Code::kConflict, "Nothing is being recorded.");
  deps_.ring->sync();
  if (!active->recording->checkpoint(kSyncWait)) {
    const auto error = active->recording->manifest().last_error;
    return fail(Code::kUnavailable, error ? "The disk fails: " + *error
                                          : "The disk does not answer: what waits will be written when it does.");
  }
  return active->recording->manifest();
}

Result<RecoveryReport> Store::recover(const std::string& id) {
  SLUICE_TRY(const Found found, find(id));
  if (is_active(id)) return fail(Code::kConflict, "The session is being recorded: stop it first.");
  return session::recover(*found.root.files, found.root.path, id, index_path(found.directory), deps_.key);
}

Result<RecoveryReport> Store::verify(const std::string& id) {
  SLUICE_TRY(const Found found, find(id));
  return session::verify(*found.root.files, found.root.path, id, index_path(found.directory), deps_.key);
}

Status Store::remove(const std::string& id) {
  SLUICE_TRY(const Found found, find(id));
  if (is_active(id)) return fail(Code::kConflict, "Cannot delete the active session. Stop it first.");
  FileSystem& files = *found.root.files;
  const auto lock = files.open(lock_path(found.directory), OpenMode::kRead);
  if (lock && !(*lock)->lock()) {
    return fail(Code::kConflict, "Another process is recording this session. Stop it there first.");
  }
  {
    const std::lock_guard guard(mutex_);
    ++removing_;
  }
  const std::lock_guard no_sealing(seal_mutex_);
  // Gone at once, however long its files take.
  const std::string doomed = found.root.path + "/.deleted-" + id;
  const Status gone = files.rename(found.directory, doomed);
  {
    const std::lock_guard guard(mutex_);
    --removing_;
  }
  SLUICE_CHECK(gone);
  matches_->forget(found.directory);
  return files.remove_tree(doomed);
}

}  // namespace sluice::session
