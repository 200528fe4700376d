#include "analysis/export.h"

#include <fmt/format.h>

#include <array>
#include <charconv>

#include "analysis/clip.h"
#include "analysis/export_formats.h"
#include "analysis/filtered.h"
#include "analysis/pcapng.h"
#include "base/text.h"

namespace sluice::analysis {
namespace {

constexpr std::string_view kHarPrologue =
    R"({"log":{"version":"1.2","creator":{"name":"Sluice","version":")" SLUICE_VERSION R"("},"pages":[],"entries":[)"
    "\n";
constexpr const char* kGone =
    "The exchange that was being exported left the ring meanwhile: export less, or give `serve` a larger one.";

// Adds entries to a page until it is full.
class Pager {
 public:
  Pager(const capture::Ring& ring, const ExportQuery& query, ExportCursor cursor)
      : ring_(ring), query_(query), cursor_(cursor) {}

  Result<ExportPage> run() {
    SLUICE_CHECK(query_.id ? add_one() : add_all());
    if (!full_) {
      if (cursor_.written == 0) page_.text += export_prologue(query_.format);
      page_.text += export_epilogue(query_.format);
    } else {
      page_.next = cursor_;
    }
    return std::move(page_);
  }

 private:
  Status add_one() {
    const auto exchange = ring_.find(*query_.id);
    if (!exchange) {
      return fail(Code::kNotFound, fmt::format("Exchange '{}' not found", repair_utf8(query_.id->substr(0, 64))));
    }
    if (!is_exportable(query_.format, *exchange)) {
      return fail(Code::kInvalid, "This exchange is a tunnel that is not HTTP: only raw and jsonl hold it.");
    }
    if (cursor_.partial_rev != 0 && cursor_.partial_rev != exchange->rev) {
      return fail(Code::kConflict, "The exchange changed while it was being exported: begin again.");
    }
    return cursor_.written > 0 ? Status() : add(*exchange);
  }

  Status add_all() {
    capture::Filter filter;
    filter.after_rev = cursor_.after_rev;
    filter.states = {flow::State::kDone, flow::State::kFailed, flow::State::kAborted, flow::State::kDropped};
    Status status;
    bool resumed = cursor_.partial_rev == 0;
    ring_.for_each(filter, [&](const flow::Exchange& exchange) {
      if (query_.stop.stop_requested()) status = fail(Code::kCancelled, "The export was cancelled.");
      if (!status || exchange.rev > cursor_.until_rev) return false;
      if (query_.enough && query_.enough()) {
        full_ = true;
        return false;
      }
      if (!resumed && exchange.rev != cursor_.partial_rev) {
        status = fail(Code::kNotFound, kGone);
        return false;
      }
      const bool in_part = !resumed;
      resumed = true;
      auto wanted = in_part ? Result<bool>(true) : wants(exchange);
      if (!wanted) {
        status = fail(wanted.error());
      } else if (*wanted) {
        status = add(exchange);
      } else {
        cursor_.after_rev = exchange.rev;
      }
      return status.has_value() && !full_;
    });
    if (status && !resumed && !full_) return fail(Code::kNotFound, kGone);
    return status;
  }

  Result<bool> wants(const flow::Exchange& exchange) const {
    if (!is_exportable(query_.format, exchange)) return false;
    if (!query_.expression) return true;
    return passes(*query_.expression, ring_, exchange, {.redactor = query_.redactor, .stop = query_.stop});
  }

  Status add(const flow::Exchange& exchange) {
    ExportSink sink(cursor_.place, query_.room - std::min(query_.room, page_.text.size()));
    sink.put(cursor_.written == 0 ? export_prologue(query_.format) : std::string(export_separator(query_.format)));
    SLUICE_CHECK(write_export(query_.format, {ring_, exchange, query_.redactor, query_.stop}, sink));
    if (sink.stopped()) {
      cursor_.partial_rev = exchange.rev;
      cursor_.place = sink.place();
      full_ = true;
    } else {
      cursor_.after_rev = exchange.rev;
      cursor_.partial_rev = 0;
      cursor_.place = {};
      ++cursor_.written;
      ++page_.entries;
    }
    page_.text += sink.text();
    return {};
  }

  const capture::Ring& ring_;
  const ExportQuery& query_;
  ExportCursor cursor_;
  ExportPage page_;
  bool full_ = false;
};

}  // namespace

std::optional<ExportFormat> find_export_format(std::string_view name) {
  static constexpr auto kNames =
      std::to_array<std::string_view>({"har", "curl", "raw", "jsonl", "mitmproxy", "pcapng"});
  for (std::size_t i = 0; i < kNames.size(); ++i) {
    if (kNames[i] == name) return static_cast<ExportFormat>(i);
  }
  return std::nullopt;
}

void ExportSink::put(Bytes octets) {
  const ByteCount start = written_;
  written_ += octets.size();
  if (stopped_ || part_ < from_.part) return;
  if (part_ == from_.part && start < from_.offset) {
    octets.remove_prefix(static_cast<std::size_t>(std::min<ByteCount>(from_.offset - start, octets.size())));
  }
  std::string fits(octets.substr(0, room_ - std::min(room_, text_.size())));
  if (fits.size() < octets.size()) {
    trim_unfinished(fits);
    place_.part = part_;
    place_.offset = written_ - octets.size() + fits.size();
    stopped_ = true;
  }
  text_ += fits;
  hand_on_some();
}

Status ExportSink::finish() {
  if (hand_on_ && handed_on_ && !text_.empty()) {
    handed_on_ = hand_on_(text_);
    if (!handed_on_) stopped_ = true;
  }
  text_.clear();
  return handed_on_;
}

std::optional<ByteCount> ExportSink::begin() {
  ++part_;
  written_ = 0;
  if (stopped_ || part_ < from_.part) return std::nullopt;
  return part_ == from_.part ? from_.offset : 0;
}

void ExportSink::stop(ByteCount offset) {
  if (stopped_) return;
  place_.part = part_;
  place_.offset = offset;
  stopped_ = true;
}

std::string export_prologue(ExportFormat format) {
  if (format == ExportFormat::kPcapng) return pcapng_prologue();
  return format == ExportFormat::kHar ? std::string(kHarPrologue) : "";
}
std::string_view export_separator(ExportFormat format) {
  if (format == ExportFormat::kHar) return ",\n";
  return format == ExportFormat::kCurl || format == ExportFormat::kRaw ? "\n" : "";
}
std::string_view export_epilogue(ExportFormat format) { return format == ExportFormat::kHar ? "\n]}}\n" : ""; }

bool is_exportable(ExportFormat format, const flow::Exchange& exchange) {
  const bool raw = exchange.protocol == flow::Protocol::kTcp || exchange.protocol == flow::Protocol::kTls;
  return !raw || format == ExportFormat::kRaw || format == ExportFormat::kJsonl;
}

Status write_export(ExportFormat format, const ExportSource& source, ExportSink& sink) {
  switch (format) {
    case ExportFormat::kHar:
      return write_har_entry(source, sink);
    case ExportFormat::kCurl:
      return write_curl(source, sink);
    case ExportFormat::kRaw:
      return write_raw(source, sink);
    case ExportFormat::kJsonl:
      SLUICE_CHECK(write_har_entry(source, sink));
      sink.put("\n");
      return {};
    case ExportFormat::kMitmproxy:
      return write_flow(source, sink);
    case ExportFormat::kPcapng:
      return write_packets(source, sink);
  }
  return {};
}

std::string ExportCursor::text() const {
  return fmt::format("{}.{}.{}.{}.{}.{}.{}", after_rev, until_rev, written, partial_rev, place.part, place.offset,
                     place.odd);
}

std::optional<ExportCursor> ExportCursor::parse(std::string_view text) {
  constexpr std::size_t kNumbers = 7;
  const std::vector<std::string_view> parts = split(text, '.');
  if (parts.size() != kNumbers) return std::nullopt;
  std::array<std::uint64_t, kNumbers> numbers{};
  for (std::size_t i = 0; i < numbers.size(); ++i) {
    const auto read = std::from_chars(parts[i].data(), parts[i].data() + parts[i].size(), numbers[i]);
    if (read.ec != std::errc() || read.ptr != parts[i].data() + parts[i].size()) return std::nullopt;
  }
  if (numbers[4] > UINT32_MAX || numbers[6] > UINT32_MAX) return std::nullopt;
  const ExportPlace place{static_cast<std::uint32_t>(numbers[4]), numbers[5], static_cast<std::uint32_t>(numbers[6])};
  return ExportCursor{numbers[0], numbers[1], numbers[2], numbers[3], place};
}

Result<ExportPage> read_export(const capture::Ring& ring, const ExportQuery& query) {
  ExportCursor cursor;
  cursor.until_rev = ring.last_rev();
  return Pager(ring, query, query.cursor.value_or(cursor)).run();
}

}  // namespace sluice::analysis
