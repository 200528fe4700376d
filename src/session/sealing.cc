// The store's work that has time: what makes searches quick is made after what was recorded, at the lowest priority.
#include <algorithm>

#include "session/session.h"
#include "session/text_index.h"

namespace sluice::session {
namespace {

constexpr std::chrono::seconds kPause{1};
// What is smaller is looked through in no time.
constexpr ByteCount kLeast = 16 * kMiB;

}  // namespace

void Store::want_sealed(const std::string& id) {
  const std::lock_guard guard(mutex_);
  if (std::find(to_seal_.begin(), to_seal_.end(), id) == to_seal_.end()) to_seal_.push_back(id);
  wake_.notify_all();
}

bool Store::must_leave() const {
  const std::lock_guard guard(mutex_);
  return ending_ || removing_ > 0;
}

Result<ByteCount> Store::seal(const std::string& id) {
  SLUICE_TRY(const Found found, find(id));
  const Manifest manifest = describe(found.root, id);
  if (manifest.bytes_written < kLeast) return ByteCount{0};
  const std::lock_guard sealing(seal_mutex_);
  SLUICE_TRY(const SessionKeyPtr key, key_of(found, id));
  Index index(index_path(found.directory), key);
  SLUICE_CHECK(index.open_to_read());
  bool left = false;
  auto text = extend_text_index(found.root.files, found.directory, index, key, [&] { return left = must_leave(); });
  if (left) want_sealed(id);  // it goes on later, if it is still there
  return text;
}

void Store::seal_until_stopped() {
  std::uint64_t segments = 0;  // of the one that is recorded, when it was last looked at
  for (;;) {
    std::string id;
    {
      std::unique_lock lock(mutex_);
      wake_.wait_for(lock, kPause, [this] { return ending_ || !to_seal_.empty(); });
      if (ending_) return;
      if (!to_seal_.empty()) {
        id = std::move(to_seal_.front());
        to_seal_.pop_front();
      }
    }
    keep_cap();
    if (id.empty()) {
      const auto now = active();
      if (!now || now->segments == segments) continue;
      segments = now->segments;
      id = now->id;
    }
    (void)seal(id);  // where it fails searches read the bodies
  }
}

}  // namespace sluice::session
