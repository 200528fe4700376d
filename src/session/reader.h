// Reads a recording, also while it is written: rows from its index, exchanges, bodies and messages from its segments.
// Nothing is changed. Thread-safe.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "base/file.h"
#include "capture/capture.h"
#include "capture/needle.h"
#include "session/body_text.h"
#include "session/index.h"
#include "session/manifest.h"
#include "session/match_cache.h"
#include "session/segments.h"
#include "session/text_index.h"

namespace sluice::session {

class Reader final : public capture::BodySource {
 public:
  // kNotFound, kIo: there is no index, or it is damaged. `key`: null where the recording is not encrypted.
  // `cache`: null, or what readers share.
  static Result<std::unique_ptr<Reader>> open(std::shared_ptr<FileSystem> files, std::string directory,
                                              std::string index, Manifest manifest, SessionKeyPtr key,
                                              std::shared_ptr<MatchCache> cache = nullptr);

  const Manifest& manifest() const { return manifest_; }  // as it was when this was opened

  // What passes the query, and the sieve if there is one; kept, but for what was enough before its end. Callers with
  // sieves that differ do not share readers or caches.
  Result<std::shared_ptr<const Matches>> match(const Query& query, const Sieve* sieve = nullptr) const;
  Result<std::uint64_t> count(const Query& query) const;
  // What is dropped meanwhile is left out.
  Status visit(const Query& query, std::uint64_t offset, std::uint64_t limit,
               const std::function<bool(const Row&)>& visit) const;
  Status visit(const Matches& matches, bool ascending, std::uint64_t offset, std::uint64_t limit,
               const std::function<bool(const Row&)>& visit) const;
  // The same for those whose seq is wanted, with their places among the matches.
  Status visit_some(const Matches& matches, bool ascending, std::uint64_t offset,
                    const std::function<bool(std::uint64_t seq)>& wanted,
                    const std::function<bool(std::uint64_t place, const Row&)>& visit) const;
  // kNotFound.
  Result<Row> find(std::uint64_t seq) const;
  Result<Row> find(const std::string& id) const;

  // Which exchanges' bodies surely do not hold the text, where somebody has looked already (Store::seal).
  WithoutText without_text(std::string_view text) const;
  // Its bodies, as far as they are wanted: what stands in them before anything is masked.
  struct Look {
    bool may_hold = false;  // the text; true also where they cannot be read
    bool text = false, binary = false;
  };
  Look look(const Row& row, const capture::Needle& needle, bool request, bool response) const;

  // What its records say. kNotFound: its segment was dropped meanwhile; kIo: damaged.
  Result<flow::Exchange> exchange(const Row& row) const;
  Result<capture::BodySlice> read_body(std::string_view id, flow::Direction direction, ByteCount offset,
                                       ByteCount limit) const override;
  Result<capture::MessagePage> messages(std::string_view id, std::int64_t offset, std::size_t limit,
                                        ByteCount payload) const override;

 private:
  // A segment that is open, and what was read of it last.
  struct Open {
    std::uint32_t number = 0;
    SegmentFile file;
    SegmentFile::Window window;
  };
  Result<std::unique_ptr<Open>> take_segment(std::uint32_t number) const;
  void leave(std::unique_ptr<Open> segment) const;
  Status visit_records(const Row& row, const SegmentFile::Wanted& wanted, const SegmentFile::Visit& visit) const;
  std::optional<std::string> payload_at(const Place& place) const;

  Reader(std::shared_ptr<FileSystem> files, std::string directory, std::string index, Manifest manifest,
         SessionKeyPtr key, std::shared_ptr<MatchCache> cache);
  Result<std::optional<Row>> row_of(std::uint64_t seq) const;
  Result<Row> found(Result<std::optional<Row>> row) const;
  Result<Row> remembered(std::string_view id) const;
  Result<capture::BodySlice> read_content(const Row& row, flow::Direction direction, ByteCount offset,
                                          ByteCount limit) const;
  Status read_payloads(const Row& row, std::vector<capture::Message>& messages, ByteCount most) const;

  const std::shared_ptr<FileSystem> files_;
  const std::string directory_;
  const Manifest manifest_;
  const SessionKeyPtr key_;
  mutable std::mutex mutex_;  // the index
  mutable Index index_;
  mutable std::shared_ptr<const Matches> matches_;  // of the last query, as long as the index is as it was
  mutable std::string matched_query_;
  mutable std::int64_t matched_version_ = 0;
  const std::shared_ptr<MatchCache> cache_;
  mutable std::mutex texts_mutex_;
  mutable BodyTextReader texts_;
  mutable std::mutex open_mutex_;
  mutable std::vector<std::unique_ptr<Open>> open_;  // that nobody uses now; the one used last at the end
  mutable std::mutex last_mutex_;
  mutable std::optional<Row> last_;  // a body is read in many pieces
};

}  // namespace sluice::session
