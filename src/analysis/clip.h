// A part of a text as it is shown: cut between characters, and masked with what stands around it in view. Private to
// this folder. Pure.
#pragma once

#include <string>
#include <string_view>

#include "base/bytes.h"
#include "base/redact.h"

namespace sluice::analysis {

struct Clip {
  std::string octets;   // masked
  ByteCount bytes = 0;  // of the raw text that these stand for
  bool more = false;    // there is something behind
};

// [from, from + limit) of `text`, of which more may follow that is not here. Give kMaskAhead more of it than is to be
// shown, if there is so much: where a text is cut, a secret may be too short to look like one.
Clip clip(std::string_view text, ByteCount from, ByteCount limit, bool more_follows, const Redactor* redactor,
          std::string_view content_type);

// Takes an unfinished UTF-8 character off the end.
void trim_unfinished(std::string& octets);

}  // namespace sluice::analysis
