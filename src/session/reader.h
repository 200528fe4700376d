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
#include "session/index.h"
#include "session/manifest.h"

namespace sluice::session {

class Reader final : public capture::BodySource {
 public:
  // kNotFound, kIo: there is no index, or it is damaged.
  static Result<std::unique_ptr<Reader>> open(std::shared_ptr<FileSystem> files, std::string directory,
                                              std::string index, Manifest manifest);

  const Manifest& manifest() const { return manifest_; }  // as it was when this was opened

  Result<std::uint64_t> count(const Query& query) const;
  Result<std::uint64_t> count_with_tls(const Query& query) const;
  // `visit` must not call this reader but for exchange(), read_body() and messages().
  Status visit(const Query& query, std::uint64_t offset, std::uint64_t limit,
               const std::function<bool(const Row&)>& visit) const;
  // kNotFound.
  Result<Row> find(std::uint64_t seq) const;
  Result<Row> find(const std::string& id) const;

  // What its records say. kNotFound: its segment was dropped meanwhile; kIo: damaged.
  Result<flow::Exchange> exchange(const Row& row) const;
  Result<capture::BodySlice> read_body(std::string_view id, flow::Direction direction, ByteCount offset,
                                       ByteCount limit) const override;
  Result<capture::MessagePage> messages(std::string_view id, std::int64_t offset, std::size_t limit,
                                        ByteCount payload) const override;

 private:
  Reader(std::shared_ptr<FileSystem> files, std::string directory, std::string index, Manifest manifest);
  Result<Row> found(Result<std::optional<Row>> row) const;
  Result<Row> remembered(std::string_view id) const;
  Result<capture::BodySlice> read_content(const Row& row, flow::Direction direction, ByteCount offset,
                                          ByteCount limit) const;

  const std::shared_ptr<FileSystem> files_;
  const std::string directory_;
  const Manifest manifest_;
  mutable std::mutex mutex_;  // the index
  mutable Index index_;
  mutable std::mutex last_mutex_;
  mutable std::optional<Row> last_;  // a body is read in many pieces
};

}  // namespace sluice::session
