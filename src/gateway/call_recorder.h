// Calls kept whole, values too, for `policy simulate` and `policy learn` (gate.md 8). Off unless it is asked for: what
// agents pass to tools may be secret, so every line is sealed (AES-256-GCM), and the folder is nobody else's.
//
// `<directory>/<time>-<pid>.calls`, 0600, locked while it is written. The first line, in clear, has the file's salt;
// each other one is the base64 of a sealed JSON object whose nonce is its number, so that none can be altered, moved or
// taken from between others. Reading: call_records.h. Thread-safety: one thread at a time (the control thread).
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>

#include "base/aead.h"
#include "base/clock.h"
#include "base/entropy.h"
#include "base/file.h"
#include "base/json.h"
#include "base/secret.h"
#include "policy/source.h"

namespace sluice::gateway {

class CallRecorder {
 public:
  struct Options {
    std::string directory;  // made if absent
    Secret key;             // kKeySize octets
    int pid = 0;
    ByteCount file_size = 8 * kMiB;     // at most; and after a day the next file begins
    ByteCount total_size = 256 * kMiB;  // of all files: the oldest are removed
    std::chrono::hours max_age{30 * 24};
  };
  // kRefused: others can look into the folder.
  static Result<std::unique_ptr<CallRecorder>> create(FileSystem& files, const Clock& clock, Entropy& entropy,
                                                      Options options);

  struct Call {
    std::string_view grant, server, method, tool, decision, rule, approver;
    std::string_view risk;            // of our own tools; empty: the policy says
    const Json* arguments = nullptr;  // effective; null: they were never read
    const policy::Spellings* spellings = nullptr;
    const Json* schema = nullptr;  // a foreign tool's; kept once in each file
  };
  // Never keeps a call from running: what cannot be written counts as lost, which is written with the next that can.
  void append(const Call& call);
  std::uint64_t lost() const { return lost_; }

 private:
  CallRecorder(FileSystem& files, const Clock& clock, Entropy& entropy, Options options)
      : files_(files), clock_(clock), entropy_(entropy), options_(std::move(options)) {}
  Status open_file();
  void remove_old();
  Status write(const std::string& text);
  Status keep(const Call& call);

  FileSystem& files_;
  const Clock& clock_;
  Entropy& entropy_;
  Options options_;
  std::unique_ptr<File> file_;
  std::string name_;
  std::optional<Aead> aead_;
  std::uint64_t number_ = 0;  // of the next line
  ByteCount size_ = 0;
  WallTime begun_;
  bool torn_ = false;
  std::set<std::string> schemas_;  // in this file
  std::uint64_t lost_ = 0, lost_told_ = 0;
};

// Of a file name: when it was begun, in Unix milliseconds; nullopt: it is none of ours.
std::optional<std::int64_t> call_file_time(std::string_view name);
inline constexpr std::string_view kCallFileInfo = "sluice recorded calls";  // what the key of a file is derived for

}  // namespace sluice::gateway
