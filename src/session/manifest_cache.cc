#include "session/manifest_cache.h"

#include <utility>

namespace sluice::session {

Result<Manifest> ManifestCache::load(FileSystem& files, const std::string& directory) {
  const auto stamp = files.stamp(manifest_path(directory));  // before it is read: it may be replaced meanwhile
  if (stamp) {
    const std::lock_guard guard(mutex_);
    const auto found = entries_.find(directory);
    if (found != entries_.end() && found->second.stamp == *stamp) {
      found->second.asked = round_;
      return found->second.manifest;
    }
  }
  auto manifest = load_manifest(files, directory);
  if (!stamp || !manifest) return manifest;
  const std::size_t text = manifest->id.size() + manifest->root.size() + manifest->name.value_or("").size() +
                           manifest->last_error.value_or("").size();
  if (text > kMostText) return manifest;
  const std::lock_guard guard(mutex_);
  if (entries_.size() >= kMostEntries && !entries_.contains(directory)) return manifest;
  entries_.insert_or_assign(directory, Entry{*stamp, *manifest, round_});
  return manifest;
}

void ManifestCache::forget_unasked() {
  const std::lock_guard guard(mutex_);
  std::erase_if(entries_, [&](const auto& one) { return one.second.asked != round_; });
  ++round_;
}

}  // namespace sluice::session
