// One writer for each format. Private to this folder.
#pragma once

#include "analysis/export.h"

namespace sluice::analysis {

Status write_har_entry(const ExportSource& source, ExportSink& sink);
Status write_curl(const ExportSource& source, ExportSink& sink);
Status write_flow(const ExportSource& source, ExportSink& sink);     // of mitmproxy
Status write_packets(const ExportSource& source, ExportSink& sink);  // pcapng
Status write_raw(const ExportSource& source, ExportSink& sink);

}  // namespace sluice::analysis
