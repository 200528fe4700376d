// What queries ask of rows, beside the rows: blocks of a few hundred rows, a column behind the other, so that a million
// are looked through in a tenth of a second. Part of index.db (docs/formats/session.md). Pure. Private to this folder.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "session/index.h"
#include "session/row.h"

namespace sluice::session {

inline constexpr std::size_t kRowsInBlock = 256;

// The block that is being filled.
class BlockBuilder {
 public:
  void add(const Row& row);
  std::size_t size() const { return seqs_.size(); }
  bool is_full() const { return size() >= kRowsInBlock; }
  std::uint32_t last_segment() const { return last_segment_; }  // the latest in which one of its rows begins
  std::string octets() const;
  void clear() { *this = {}; }

 private:
  class Names {
   public:
    std::uint16_t number_of(const std::string& name);
    void append_to(std::string& out) const;

   private:
    std::vector<std::string> names_;
  };
  struct Texts {
    std::vector<std::uint32_t> ends;
    std::string octets;
    void add(Bytes text);
    void append_to(std::string& out) const;
  };

  std::vector<std::uint64_t> seqs_;
  std::vector<std::int64_t> times_;
  std::vector<std::uint32_t> segments_, rules_;
  std::vector<std::uint16_t> statuses_, methods_, hosts_, types_;
  std::vector<std::uint8_t> tls_;
  Names method_names_, host_names_, type_names_;
  Texts urls_, targets_, ids_;
  std::uint32_t last_segment_ = 0;
};

// Adds those of a block's rows that pass, but for such as began in a segment before `oldest`. `sieve`: null, or what
// has the last word. How many rows it holds. kIo: it is damaged.
Result<std::size_t> match_block(Bytes block, const Query& query, std::uint32_t oldest, const Sieve* sieve,
                                Matches& matches);

// Of the last row that has this id; nullopt: none has. kIo.
Result<std::optional<std::uint64_t>> seq_in_block(Bytes block, Bytes id);

// Of its rows, in their order. kIo.
Result<std::vector<std::uint64_t>> block_seqs(Bytes block);

}  // namespace sluice::session
