// A recording, or what of it passes filters, as other programs read it: written piece by piece, so that memory does not
// depend on how much it is. Behind proxy_export_har and `sluice sessions export`.
#pragma once

#include <functional>
#include <optional>
#include <stop_token>

#include "analysis/export.h"
#include "session/session.h"

namespace sluice::tools {

struct SessionExport {
  analysis::ExportFormat format = analysis::ExportFormat::kHar;
  session::Query query;
  const analysis::FilterExpression* expression = nullptr;  // null: all that passes `query`
  std::string exchange;                                    // this one alone, whatever passes; empty: all that does
  const Redactor* redactor = nullptr;                      // null: everything is written as it was
  bool with_bodies = true;
  std::stop_token stop;
  std::function<bool()> enough;                                           // time ran out; may be empty
  std::function<void(std::uint64_t done, std::uint64_t total)> progress;  // of exchanges; may be empty
};

struct Exported {
  std::uint64_t entries = 0;
  std::uint64_t skipped = 0;  // exchanges that are damaged, or left with an old segment
};

// kNotFound: there is no such exchange; kCancelled; kTimeout; kIo, or what `write` failed with. What was written by
// then is no whole file.
Result<Exported> export_session(const session::Reader& reader, const SessionExport& what,
                                const analysis::ExportSink::HandOn& write);

}  // namespace sluice::tools
