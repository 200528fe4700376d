// `$SLUICE_HOME` (default ~/.sluice, 0700): where state lives. Any number of processes share it; what they share is
// made under a lock and renamed into place (engine.md 9).
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/entropy.h"
#include "base/file.h"
#include "base/json.h"
#include "base/result.h"

namespace sluice::app {

class Home {
 public:
  // `given` (--home) before $SLUICE_HOME before ~/.sluice. Makes the folder; an unwritable one is an error that names
  // it.
  static Result<Home> open(FileSystem& files, const std::optional<std::string>& given);

  const std::string& path() const { return path_; }
  std::string config() const { return path_ + "/config.yaml"; }
  std::string ca() const { return path_ + "/ca"; }
  std::string ca_pem() const { return path_ + "/ca/ca-cert.pem"; }
  std::string sessions() const { return path_ + "/sessions"; }
  std::string spool() const { return path_ + "/spool"; }
  std::string audit() const { return path_ + "/audit"; }
  std::string audit_key() const { return path_ + "/audit.key"; }
  std::string calls_key() const { return path_ + "/calls.key"; }  // seals recorded calls
  std::string logins() const { return path_ + "/logins"; }
  std::string logins_key() const { return path_ + "/logins.key"; }  // seals them
  std::string run() const { return path_ + "/run"; }
  std::string state_db() const { return path_ + "/state.db"; }
  std::string closed_file() const { return path_ + "/gate-closed"; }  // there: every call is denied
  // Whether it is there; also where that cannot be told.
  bool is_closed() const;
  std::string token_file() const { return path_ + "/token"; }

  // The agents' token; created by the first process that asks.
  Result<std::string> token(FileSystem& files, Entropy& entropy) const;
  // Puts a random text, hexadecimal, of `octets` octets into a file of its own unless it is there; one process makes
  // it.
  Status make_key(FileSystem& files, const std::string& path, std::size_t octets, Entropy& entropy) const;

 private:
  // Until it ends no other process of this home makes what is made once.
  Result<std::unique_ptr<File>> lock(FileSystem& files) const;
  explicit Home(std::string path) : path_(std::move(path)) {}
  std::string path_;
};

// A running `serve`, as it wrote itself into run/<pid>.json.
struct RunningServe {
  int pid = 0;
  std::int64_t started_ms = 0;
  std::string socket;  // run/<pid>.sock
  Json ready;          // what the ready file holds, without the token
};
// Live ones, newest first; files of dead processes are removed.
std::vector<RunningServe> find_running(FileSystem& files, const Home& home);

// Of a path given on the command line, from the working directory.
std::string absolute_path(const std::string& path);

}  // namespace sluice::app
