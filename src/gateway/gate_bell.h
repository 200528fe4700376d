// Whether parts of the rows in state.db (gate_rows.h) may have changed, without asking SQLite: one word for each part
// in `state.db-bell`, a page that all processes of a home map. Who changes a part marks its word before the commit and
// settles it after; so as long as a word is settled and the same, nothing was committed in between. A change that was
// begun and never settled (its process died) leaves a mark that nobody trusts, until a later change, or a reader who
// finds that revision committed, settles it. Without the file (a disk that is full or not writable) every answer is
// "ask SQLite", and others hear of changes only when they ask by themselves.
// Made 0600 beside the database; like SQLite's own shared memory it must not be cut short while it is used. One thread
// at a time in each object; the words are atomic.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

namespace sluice::gateway {

class GateBell {
 public:
  explicit GateBell(std::string path);
  ~GateBell();
  GateBell(const GateBell&) = delete;
  GateBell& operator=(const GateBell&) = delete;

  static constexpr std::size_t kParts = 3;

  // To be compared with later ones. nullopt: a change is under way, or there is no bell.
  std::optional<std::uint64_t> word(std::size_t part);
  // Within a transaction, before its commit: `revision` is what the part will have.
  void begin(std::size_t part, std::int64_t revision);
  // It is committed. Does nothing if a later change has begun.
  void settle(std::size_t part, std::int64_t revision);

 private:
  bool open();
  void write(std::size_t part, std::uint64_t word) const;

  const std::string path_;
  int fd_ = -1;
  const std::uint64_t* words_ = nullptr;
};

}  // namespace sluice::gateway
