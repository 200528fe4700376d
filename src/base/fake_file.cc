#include "base/fake_file.h"

#include <algorithm>

namespace sluice {
namespace {

std::string parent_of(const std::string& path) {
  const std::size_t slash = path.rfind('/');
  return slash == 0 || slash == std::string::npos ? "/" : path.substr(0, slash);
}

bool is_below(const std::string& path, const std::string& directory) {
  return path.size() > directory.size() && path.starts_with(directory) &&
         (directory.ends_with('/') || path[directory.size()] == '/');
}

}  // namespace

class FakeFile final : public File {
 public:
  FakeFile(FakeFileSystem& disk, std::shared_ptr<FakeFileSystem::Node> node, std::string path, bool writable)
      : disk_(disk), node_(std::move(node)), path_(std::move(path)), writable_(writable) {}
  ~FakeFile() override {
    const std::lock_guard guard(disk_.mutex_);
    if (node_->locked_by == this) node_->locked_by = nullptr;
  }

  Status append(std::span<const Bytes> pieces) override {
    std::unique_lock guard(disk_.mutex_);
    SLUICE_CHECK(start_writing());
    ++disk_.held_up_;
    disk_.stall_changed_.notify_all();
    disk_.stall_changed_.wait(guard, [&] { return !disk_.stalled_; });
    --disk_.held_up_;
    std::string all;
    for (Bytes piece : pieces) all += piece;
    std::size_t fits = all.size();
    std::string_view reason;
    if (disk_.tear_) {
      fits = std::min(fits, *std::exchange(disk_.tear_, std::nullopt));
      reason = "Input/output error";
    }
    if (disk_.capacity_) {
      const ByteCount stored = disk_.stored_locked();
      const ByteCount room = *disk_.capacity_ > stored ? *disk_.capacity_ - stored : 0;
      if (fits > room) {
        fits = static_cast<std::size_t>(room);
        reason = "No space left on device";
      }
    }
    node_->content.append(all, 0, fits);
    if (!reason.empty()) return fail(Code::kIo, path_ + ": " + std::string(reason));
    return {};
  }

  Result<std::size_t> read_at(ByteCount offset, MutableBytes out) const override {
    const std::lock_guard guard(disk_.mutex_);
    SLUICE_CHECK(disk_.count_operation(path_));
    if (offset >= node_->content.size()) return std::size_t{0};
    return node_->content.copy(out.data(), out.size(), static_cast<std::size_t>(offset));
  }

  Result<ByteCount> size() const override {
    const std::lock_guard guard(disk_.mutex_);
    SLUICE_CHECK(disk_.count_operation(path_));
    return ByteCount{node_->content.size()};
  }

  Status truncate(ByteCount size) override {
    const std::lock_guard guard(disk_.mutex_);
    SLUICE_CHECK(start_writing());
    node_->content.resize(static_cast<std::size_t>(size), '\0');
    return {};
  }

  Status sync() override {
    const std::lock_guard guard(disk_.mutex_);
    SLUICE_CHECK(disk_.count_operation(path_));
    node_->synced = node_->content;
    return {};
  }

  Status lock() override {
    const std::lock_guard guard(disk_.mutex_);
    SLUICE_CHECK(disk_.count_operation(path_));
    if (node_->locked_by != nullptr && node_->locked_by != this) {
      return fail(Code::kConflict, path_ + ": locked by another process");
    }
    node_->locked_by = this;
    return {};
  }

 private:
  Status start_writing() {
    SLUICE_CHECK(disk_.count_operation(path_));
    if (!writable_) return fail(Code::kIo, path_ + ": Bad file descriptor");
    return {};
  }

  FakeFileSystem& disk_;
  std::shared_ptr<FakeFileSystem::Node> node_;
  std::string path_;
  bool writable_;
};

Result<std::unique_ptr<File>> FakeFileSystem::open(const std::string& path, OpenMode mode) {
  const std::lock_guard guard(mutex_);
  SLUICE_CHECK(count_operation(path));
  if (directories_.contains(path)) return fail(Code::kRefused, path + ": not a regular file");
  auto found = files_.find(path);
  if (found == files_.end()) {
    if (mode == OpenMode::kRead || !has_directory(parent_of(path))) {
      return fail(Code::kNotFound, path + ": No such file or directory");
    }
    found = files_.emplace(path, std::make_shared<Node>()).first;
  } else if (mode == OpenMode::kCreateNew || mode == OpenMode::kCreateDirect) {
    return fail(Code::kConflict, path + ": File exists");
  }
  return std::make_unique<FakeFile>(*this, found->second, path, mode != OpenMode::kRead);
}

Status FakeFileSystem::make_directories(const std::string& path) {
  const std::lock_guard guard(mutex_);
  SLUICE_CHECK(count_operation(path));
  for (std::string part = path; part != "/"; part = parent_of(part)) {
    if (files_.contains(part)) return fail(Code::kConflict, part + ": exists and is not a directory");
  }
  add_directory_locked(path);
  return {};
}

Result<std::vector<std::string>> FakeFileSystem::list(const std::string& directory) {
  const std::lock_guard guard(mutex_);
  SLUICE_CHECK(count_operation(directory));
  if (!has_directory(directory)) return fail(Code::kNotFound, directory + ": No such file or directory");
  std::vector<std::string> names;
  const auto take = [&](const std::string& path) {
    if (path != "/" && parent_of(path) == directory) names.push_back(path.substr(path.rfind('/') + 1));
  };
  for (const auto& [path, node] : files_) take(path);
  for (const std::string& path : directories_) take(path);
  std::sort(names.begin(), names.end());
  return names;
}

Status FakeFileSystem::rename(const std::string& from, const std::string& to) {
  const std::lock_guard guard(mutex_);
  SLUICE_CHECK(count_operation(from));
  if (std::exchange(fail_rename_, false)) return fail(Code::kIo, from + ": Input/output error");
  if (!has_directory(parent_of(to))) return fail(Code::kNotFound, to + ": No such file or directory");
  if (const auto found = files_.find(from); found != files_.end()) {
    if (directories_.contains(to)) return fail(Code::kIo, from + ": Is a directory");
    const auto node = found->second;
    files_.erase(found);
    files_[to] = node;
    return {};
  }
  if (!directories_.contains(from)) return fail(Code::kNotFound, from + ": No such file or directory");
  const auto occupied = [&](const std::string& path) { return is_below(path, to); };
  if (files_.contains(to) || std::any_of(directories_.begin(), directories_.end(), occupied) ||
      std::any_of(files_.begin(), files_.end(), [&](const auto& file) { return occupied(file.first); })) {
    return fail(Code::kConflict, from + ": Directory not empty");
  }
  const auto moved = [&](const std::string& path) { return to + path.substr(from.size()); };
  std::map<std::string, std::shared_ptr<Node>> files;
  for (const auto& [path, node] : files_) files.emplace(is_below(path, from) ? moved(path) : path, node);
  std::set<std::string> directories;
  for (const std::string& path : directories_) {
    directories.insert(path == from || is_below(path, from) ? moved(path) : path);
  }
  files_ = std::move(files);
  directories_ = std::move(directories);
  return {};
}

Status FakeFileSystem::remove(const std::string& path) {
  const std::lock_guard guard(mutex_);
  SLUICE_CHECK(count_operation(path));
  if (directories_.contains(path)) return fail(Code::kIo, path + ": Is a directory");
  files_.erase(path);
  return {};
}

Status FakeFileSystem::remove_tree(const std::string& directory) {
  const std::lock_guard guard(mutex_);
  SLUICE_CHECK(count_operation(directory));
  const auto doomed = [&](const std::string& path) { return path == directory || is_below(path, directory); };
  std::erase_if(files_, [&](const auto& file) { return doomed(file.first); });
  std::erase_if(directories_, doomed);
  return {};
}

bool FakeFileSystem::exists(const std::string& path) {
  const std::lock_guard guard(mutex_);
  return files_.contains(path) || has_directory(path);
}

void FakeFileSystem::add_directory(const std::string& path) {
  const std::lock_guard guard(mutex_);
  add_directory_locked(path);
}

void FakeFileSystem::put(const std::string& path, Bytes content) {
  const std::lock_guard guard(mutex_);
  add_directory_locked(parent_of(path));
  auto& node = files_[path];
  if (!node) node = std::make_shared<Node>();
  node->content = content;
  node->synced = content;
}

std::optional<std::string> FakeFileSystem::content(const std::string& path) const {
  const std::lock_guard guard(mutex_);
  const auto found = files_.find(path);
  if (found == files_.end()) return std::nullopt;
  return found->second->content;
}

ByteCount FakeFileSystem::stored() const {
  const std::lock_guard guard(mutex_);
  return stored_locked();
}

void FakeFileSystem::fail_operation(std::size_t nth, Code code) {
  const std::lock_guard guard(mutex_);
  fail_at_ = operations_ + nth;
  fail_on_ = false;
  fail_code_ = code;
}

void FakeFileSystem::fail_from(std::size_t nth, Code code) {
  fail_operation(nth, code);
  fail_on_ = true;
}

void FakeFileSystem::hold_lock(const std::string& path) {
  const std::lock_guard guard(mutex_);
  add_directory_locked(parent_of(path));
  auto& node = files_[path];
  if (!node) node = std::make_shared<Node>();
  node->locked_by = this;
}

void FakeFileSystem::release_lock(const std::string& path) {
  const std::lock_guard guard(mutex_);
  const auto found = files_.find(path);
  if (found != files_.end()) found->second->locked_by = nullptr;
}

void FakeFileSystem::lose_unsynced() {
  const std::lock_guard guard(mutex_);
  for (auto& [path, node] : files_) node->content = node->synced;
}

void FakeFileSystem::stall(bool stalled) {
  const std::lock_guard guard(mutex_);
  stalled_ = stalled;
  stall_changed_.notify_all();
}

void FakeFileSystem::wait_for_stalled_append() {
  std::unique_lock guard(mutex_);
  stall_changed_.wait(guard, [&] { return stalled_ && held_up_ > 0; });
}

void FakeFileSystem::heal() {
  const std::lock_guard guard(mutex_);
  fail_at_ = 0;
  fail_on_ = false;
  fail_rename_ = false;
  tear_.reset();
  capacity_.reset();
}

std::size_t FakeFileSystem::operations() const {
  const std::lock_guard guard(mutex_);
  return operations_;
}

Status FakeFileSystem::count_operation(const std::string& path) {
  ++operations_;
  const bool fails = fail_at_ != 0 && (fail_on_ ? operations_ >= fail_at_ : operations_ == fail_at_);
  if (fails) return fail(fail_code_, path + ": Input/output error");
  return {};
}

ByteCount FakeFileSystem::stored_locked() const {
  ByteCount sum = 0;
  for (const auto& [path, node] : files_) sum += node->content.size();
  return sum;
}

void FakeFileSystem::add_directory_locked(const std::string& path) {
  for (std::string part = path; part != "/"; part = parent_of(part)) directories_.insert(part);
}

}  // namespace sluice
