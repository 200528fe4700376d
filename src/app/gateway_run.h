// What a gateway leaves of its last run for `sluice gateway status`: a file for each server,
// <home>/servers/<name>.json, replaced at once. Of several gateways of one name the last one that wrote counts. Says
// nothing secret: no command, no URL. Control thread.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "app/home.h"
#include "base/clock.h"
#include "base/file.h"

namespace sluice::app {

struct GatewayRun {
  std::string server, policy, grant;  // `policy` is a path; one of both, `grant` for --grant
  int pid = 0;
  std::string started, ended;     // times; `ended` empty: it has not said so
  std::vector<std::string> said;  // the newest notices, "TIME TEXT"
};

class GatewayRunFile {
 public:
  static constexpr std::size_t kMaxSaid = 10;

  GatewayRunFile(const Home& home, FileSystem& files, const Clock& clock, GatewayRun run);
  ~GatewayRunFile();  // says that it has ended

  void say(std::string_view text);  // written with the next write()
  // What is new, if anything is; a disk that does not take it changes nothing else.
  void write();

 private:
  std::string now() const;

  FileSystem& files_;
  const Clock& clock_;
  const std::string directory_;
  GatewayRun run_;
  bool fresh_ = true;
};

// Of all servers that ever ran, by name. What cannot be read is left out.
std::vector<GatewayRun> load_gateway_runs(const Home& home, FileSystem& files);

}  // namespace sluice::app
