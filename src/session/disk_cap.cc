// One cap over all recordings of a root: where it is reached nothing new begins, or the oldest go.
#include <fmt/format.h>

#include <algorithm>

#include "session/session.h"

namespace sluice::session {
namespace {

constexpr ByteCount kLeastRoom = kMiB;  // to begin with

}  // namespace

Store::DiskUse Store::disk_use() const {
  const std::lock_guard guard(mutex_);
  DiskUse use = disk_use_;
  use.cap = deps_.disk_cap;
  return use;
}

// Segments of all recordings there but the one that this process makes.
ByteCount Store::measure(const Root& root) {
  ByteCount used = 0;
  const auto names = root.files->list(root.path);
  for (const std::string& name : names.value_or(std::vector<std::string>())) {
    if (is_session_id(name) && !is_active(name)) used += describe(root, name).bytes_written;
  }
  const std::lock_guard guard(mutex_);
  disk_use_.others = used;
  return used;
}

// Recordings that have ended go, the oldest first, until the others and `own` fit.
void Store::drop_for_room(const Root& root, ByteCount own) {
  const ByteCount cap = deps_.disk_cap.max_mb * kMiB;
  ByteCount used = measure(root);
  const auto names = root.files->list(root.path);  // sorted: ids begin with their time
  for (const std::string& name : names.value_or(std::vector<std::string>())) {
    if (used + own <= cap) return;
    if (!is_session_id(name) || is_active(name)) continue;
    const ByteCount size = describe(root, name).bytes_written;
    if (!remove(name)) continue;  // somebody writes it
    used -= std::min(used, size);
    const std::lock_guard guard(mutex_);
    ++disk_use_.dropped;
    disk_use_.others = used;
  }
}

Result<std::uint64_t> Store::room_in(const Root& root, std::uint64_t wanted) {
  const std::uint64_t cap = deps_.disk_cap.max_mb;
  if (cap == 0) return wanted;
  if (deps_.disk_cap.on_cap == OnCap::kDropOldest) {
    drop_for_room(root, kLeastRoom);
    return std::min(wanted, cap);
  }
  const ByteCount used = measure(root);
  if (used + kLeastRoom > cap * kMiB) {
    return fail(Code::kTooLarge,
                fmt::format("The recordings in {} take {} MiB, and all together may take {}: delete some "
                            "(proxy_delete_session), or start with a greater --sessions-max-disk-mb.",
                            root.path, used / kMiB, cap));
  }
  return std::min<std::uint64_t>(wanted, (cap * kMiB - used) / kMiB);
}

// While one is recorded.
void Store::keep_cap() {
  if (deps_.disk_cap.max_mb == 0 || deps_.disk_cap.on_cap != OnCap::kDropOldest) return;
  const auto active = current();
  if (!active) return;
  const ByteCount own = active->recording->manifest().bytes_written;
  if (disk_use().others + own <= deps_.disk_cap.max_mb * kMiB) return;
  drop_for_room(active->root, own);
}

}  // namespace sluice::session
