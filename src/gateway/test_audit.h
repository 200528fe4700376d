// An audit log in memory for tests.
#pragma once

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

#include "base/fake_file.h"
#include "base/text.h"
#include "gateway/audit.h"
#include "gateway/audit_read.h"
#include "gateway/audit_verify.h"

namespace sluice::gateway {

struct AuditFixture {
  FakeClock clock;
  SeededEntropy entropy{1};
  FakeFileSystem disk;
  AuditLog::Options options;
  std::unique_ptr<AuditLog> log;

  explicit AuditFixture(AuditLog::Options given = {}) : options(std::move(given)) {
    disk.add_directory("/a");
    options.directory = "/a";
    options.key_file = "/audit.key";
    log = another(9);
  }
  std::unique_ptr<AuditLog> another(int pid) {
    AuditLog::Options its = options;
    its.pid = pid;
    auto made = AuditLog::create(disk, clock, entropy, its);
    EXPECT_TRUE(made) << (made ? "" : made.error().message);
    return made ? *std::move(made) : nullptr;
  }
  void restart() {
    log.reset();
    log = another(11);
  }
  std::vector<std::string> names() { return *audit_file_names(disk, "/a"); }
  std::string text() { return *disk.content(log->path()); }
  std::vector<Json> lines(const std::string& name = "") {
    std::vector<Json> out;
    const std::string content = name.empty() ? text() : *disk.content("/a/" + name);
    for (const std::string_view line : split(content, '\n')) {
      if (const auto parsed = parse_json(line); parsed) out.push_back(*parsed);
    }
    return out;
  }
  Status decide(const Json& arguments, std::string_view id = "1", std::string_view decision = "allow") {
    return log->append({.id = id,
                        .grant = "g",
                        .session = "s",
                        .server = "sluice",
                        .method = "tools/call",
                        .tool = "t",
                        .arguments = &arguments,
                        .decision = decision});
  }
  Status run_call(const std::string& id) {
    SLUICE_CHECK(decide({{"a", 1}}, id));
    log->append(AuditLog::OutcomeRecord{id, "ok", {}, 3});
    return {};
  }
  AuditReport verify(AuditVerification wanted = {}) {
    wanted.directory = "/a";
    const auto report = verify_audit(disk, *AuditKey::load(disk, "/audit.key"), wanted);
    EXPECT_TRUE(report);
    return report ? *report : AuditReport{};
  }
};

}  // namespace sluice::gateway
