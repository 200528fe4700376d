// The state of the gate in Redis (gate_rows.h), for gateways on several machines. Beside the rows stands a version that
// every change raises: a change reads, notes the version, and is written by one script that does nothing unless the
// version is still that one; else it begins again. Each read is one script, which a replica that only reads refuses.
// What Redis must be, and when it cannot be used: redis_link.h. What was there once is remembered in the home
// (state_memory.h): a Redis that was emptied or put back since is not used until a person says so (docs/state.md).
//
//   sluice:mark             redis_link.h
//   sluice:gate             hash: version; revisions of parts; admin; pins:ID for each server that has pins
//   sluice:gate:grants      hash: a name, its row (gate_row_json.h)
//   sluice:gate:approvals   hash: an id, its row without arguments; the live ones
//   sluice:gate:live        hash: an id, when its approval ends, its status and its grant: what is counted
//   sluice:gate:standing    hash: a grant and a digest, the id of its live approval
//   sluice:gate:arguments   hash: an id, its approval's arguments
//   sluice:gate:ended:ID    the row of an approval that has ended, until Redis forgets it
//   sluice:gate:pins:ID     hash: a tool, its pin's row; ID is a hash of server and target
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "gateway/gate_rows.h"
#include "gateway/redis_link.h"
#include "gateway/state_memory.h"

namespace sluice::gateway {

class RedisState final : public GateRows {
 public:
  // `memory_path`: state.db of the home.
  RedisState(std::shared_ptr<RedisLink> link, std::string memory_path);

  // All revisions and the admin credential's hash, by one question.
  struct Overview {
    std::int64_t grants = 0, approvals = 0, pins = 0;
    std::string admin_hash;
  };
  Result<Overview> overview();
  Result<std::int64_t> revision(Part part) override;
  Result<std::vector<Grant>> grants() override;
  Result<std::string> admin_hash() override;
  Result<std::optional<Approval>> standing_approval(const std::string& grant, const std::string& digest,
                                                    std::int64_t after_ms) override;
  Result<Waiting> count_waiting(const std::string& grant, std::int64_t after_ms) override;
  Result<std::vector<Approval>> live_approvals(std::int64_t after_ms, Arguments arguments) override;
  Result<std::optional<Approval>> approval(const std::string& id) override;
  Result<std::vector<Pin>> pins(const std::string& server, const std::string& target) override;

  Status put(const Grant& grant) override;
  Status put(const Approval& approval) override;
  Status put(const Pin& pin) override;
  Status erase(const Pin& pin) override;
  Status put_admin_hash(const std::string& hash) override;
  Status retire_approvals(std::int64_t now_ms, std::int64_t kept_ms) override;

 private:
  using Words = std::vector<std::string>;  // a command, its key, and what follows
  // What a command answered: one text, or several; of nothing there an absent one.
  using Texts = std::vector<std::optional<std::string>>;

  Result<std::vector<Texts>> read(const std::vector<Words>& commands);
  Result<std::vector<std::string>> read_fields(const char* key);
  Status see(std::int64_t version);
  Status transact(std::optional<Part> tells, const std::function<Status()>& work) override;
  // False: somebody was faster.
  Result<bool> commit(std::optional<Part> tells);
  Status change(Words command);
  Status end(Approval approval, std::int64_t kept_ms);
  // What is counted of an approval.
  struct Brief {
    std::string id, status, grant;
    std::int64_t expires_ms = 0;
  };
  Result<std::vector<Brief>> briefs();

  const std::shared_ptr<RedisLink> link_;
  StateMemory memory_;
  std::optional<StateMemory::Known> known_;
  // Of the change under way.
  struct Change {
    std::optional<std::int64_t> version;  // of what it has read
    bool overtaken = false;
    std::vector<Words> commands;
  };
  std::optional<Change> change_;
};

}  // namespace sluice::gateway
