// A recording that is made of what was read from files: the same segments, manifest and index as of one that was made
// of traffic. It stands beside the sessions under a name that is none of theirs until finish(), and goes with this
// where that does not happen. Exchanges are named har_<session>_<n> (engine.md 10). Belongs to one thread.
//
//   auto import = store.begin_import({.name = "login"});
//   flow::emit(loaded, (*import)->sink());  (*import)->check();   // for each exchange
//   (*import)->finish();                                          // now it is there
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <unordered_map>

#include "flow/sink.h"
#include "session/recording.h"

namespace sluice::session {

class Import final : private flow::Sink {
 public:
  // `root`: an open root, whose files reach it. Leftovers of imports that were killed are removed from it. `key`: null,
  // or that of manifest.encryption.
  static Result<std::unique_ptr<Import>> begin(std::shared_ptr<FileSystem> files, Manifest manifest, SessionKeyPtr key,
                                               const Clock& clock, Entropy& entropy);
  ~Import() override;

  flow::Sink& sink() { return *this; }
  // After each exchange. kTooLarge: the budget; else what the disk said. Then it is lost.
  Status check();
  // kConflict: there is a session of that id.
  Result<Manifest> finish();
  // The whole recording is read before anybody else sees it, and goes with this: for what is only to be looked through.
  // No more can be added.
  Result<std::unique_ptr<class Reader>> read();

 private:
  Import(std::shared_ptr<FileSystem> files, Manifest manifest, SessionKeyPtr key, std::string directory)
      : files_(std::move(files)),
        manifest_(std::move(manifest)),
        key_(std::move(key)),
        directory_(std::move(directory)) {}
  Status close();
  void write();
  flow::ConnectionPtr own(const flow::ConnectionPtr& given);
  flow::UpstreamPtr own(const flow::UpstreamPtr& given) const;

  MutableBytes read_space(std::size_t want) override;
  flow::Held hold(Bytes octets) override { return flow::Held(octets); }
  ExchangeSeq opened(const flow::Opened& opened) override;
  void request_sent(ExchangeSeq seq, Bytes effective_head) override;
  void responded(ExchangeSeq seq, const flow::Responded& responded) override;
  void body(ExchangeSeq seq, flow::Direction direction, Bytes content) override;
  void trailers(ExchangeSeq seq, flow::Direction direction, Bytes raw) override;
  void message(ExchangeSeq seq, const flow::MessageSeen& message) override;
  void ended(ExchangeSeq seq, const flow::Ended& ended) override;
  void record(capture::RecordType type, ExchangeSeq seq, Bytes payload, const flow::UpstreamPtr& upstream = nullptr);

  const std::shared_ptr<FileSystem> files_;
  const Manifest manifest_;
  const SessionKeyPtr key_;
  const std::string directory_;  // while it is being made
  std::unique_ptr<Recording> recording_;
  std::uint64_t opened_ = 0, connections_ = 0;
  std::unordered_map<std::uint64_t, std::size_t> seen_;  // connections by their number: a hash of what they are
  std::string space_, payload_;
};

}  // namespace sluice::session
