#include <algorithm>

#include "capture/capture.h"

namespace sluice::capture {
namespace {

// "<pid>-<id>": anything else in the spool's root is not ours to remove.
bool is_spool_name(std::string_view name) {
  const auto dash = name.find('-');
  if (dash == 0 || dash == name.npos || dash + 1 == name.size()) return false;
  const auto digit = [](char c) { return c >= '0' && c <= '9'; };
  const auto letter = [&](char c) { return digit(c) || c == '-' || c == '_' || ((c | 32) >= 'a' && (c | 32) <= 'z'); };
  return std::all_of(name.begin(), name.begin() + dash, digit) &&
         std::all_of(name.begin() + dash + 1, name.end(), letter);
}

}  // namespace

std::size_t remove_stale_spools(FileSystem& files, const std::string& spool_root) {
  const auto names = files.list(spool_root);
  if (!names) return 0;
  std::size_t removed = 0;
  for (const std::string& name : *names) {
    if (!is_spool_name(name)) continue;
    const std::string directory = spool_root + "/" + name;
    const auto file = files.open(directory + "/lock", OpenMode::kRead);
    if (!file && file.error().code != Code::kNotFound) continue;
    if (file && !(*file)->lock()) continue;  // its owner lives
    if (files.remove_tree(directory)) ++removed;
  }
  return removed;
}

}  // namespace sluice::capture
