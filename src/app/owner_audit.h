// What a sub-command does itself, instead of through a running `serve`, leaves the lines in the audit log that the same
// tool would have left there, called by `owner` (gate.md 2). One thread.
#pragma once

#include <memory>
#include <string>

#include "app/home.h"
#include "base/clock.h"
#include "base/entropy.h"
#include "base/json.h"
#include "gateway/audit.h"

namespace sluice::app {

class OwnerAudit {
 public:
  // Writes the decision. Must succeed before anything is done: no log, no call. The first three outlive it.
  static Result<OwnerAudit> begin(FileSystem& files, const Clock& clock, Entropy& entropy, const Home& home,
                                  std::string_view tool, const Json& arguments);
  // The outcome.
  void end(bool good);

 private:
  OwnerAudit(std::unique_ptr<gateway::AuditLog> log, std::string id, const Clock& clock)
      : log_(std::move(log)), id_(std::move(id)), clock_(clock), began_(clock.mono()) {}

  std::unique_ptr<gateway::AuditLog> log_;
  std::string id_;
  const Clock& clock_;
  MonoTime began_;
};

}  // namespace sluice::app
