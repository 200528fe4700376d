#include "session/columns.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <functional>

#include "base/text.h"
#include "capture/needle.h"
#include "capture/octets.h"

namespace sluice::session {
namespace {

using capture::Needle;

template <class Number>
void append_number(std::string& out, Number number) {
  out.append(reinterpret_cast<const char*>(&number), sizeof(number));
}

template <class Number>
void append_column(std::string& out, const std::vector<Number>& numbers) {
  out.append(reinterpret_cast<const char*>(numbers.data()), numbers.size() * sizeof(Number));
}

using capture::OctetReader;

template <class Number>
std::vector<Number> read_column(OctetReader& in, std::size_t count) {
  const Bytes octets = in.octets(count * sizeof(Number));
  std::vector<Number> numbers(octets.size() / sizeof(Number));
  if (!octets.empty()) std::memcpy(numbers.data(), octets.data(), octets.size());
  return numbers;
}

std::vector<Bytes> read_names(OctetReader& in) {
  std::vector<Bytes> all;
  for (auto left = in.number<std::uint16_t>(); left > 0 && in.ok(); --left) all.push_back(in.counted());
  return all;
}

// Texts one behind the other, a NUL behind each, so that all of them are looked through at once.
struct TextColumn {
  std::vector<std::uint32_t> ends;
  Bytes octets;

  static TextColumn read(OctetReader& in, std::size_t count) {
    TextColumn column;
    column.ends = read_column<std::uint32_t>(in, count);
    column.octets = in.counted();
    return column;
  }
  bool good() const {
    return std::is_sorted(ends.begin(), ends.end()) && (ends.empty() || ends.back() <= octets.size());
  }
  Bytes text(std::size_t row) const {
    const std::size_t begin = row == 0 ? 0 : ends[row - 1];
    return octets.substr(begin, ends[row] - begin - std::min<std::size_t>(1, ends[row] - begin));
  }
  // Sets what of `passed` holds the text.
  void find(const Needle& needle, std::vector<bool>& passed) const {
    if (needle.lower().find('\0') != std::string::npos) return;
    for (std::size_t at = 0; at < octets.size();) {
      const std::size_t hit = needle.find_in(octets.substr(at));
      if (hit == Bytes::npos) return;
      const auto row = std::upper_bound(ends.begin(), ends.end(), at + hit);
      if (row == ends.end()) return;
      passed[static_cast<std::size_t>(row - ends.begin())] = true;
      at = *row;
    }
  }
};

// A block taken apart: views into it.
struct Columns {
  std::size_t count = 0;
  std::vector<std::uint64_t> seqs;
  std::vector<std::int64_t> times;
  std::vector<std::uint32_t> segments, rules;
  std::vector<std::uint16_t> statuses, methods, hosts, types;
  std::vector<std::uint8_t> tls;
  std::vector<Bytes> method_names, host_names, type_names;
  TextColumn urls, targets, ids;

  static Result<Columns> read(Bytes block) {
    OctetReader in(block);
    Columns columns;
    const std::size_t count = columns.count = in.number<std::uint32_t>();
    if (count > kRowsInBlock) return fail(Code::kIo, "the index is damaged");
    columns.seqs = read_column<std::uint64_t>(in, count);
    columns.times = read_column<std::int64_t>(in, count);
    columns.segments = read_column<std::uint32_t>(in, count);
    columns.rules = read_column<std::uint32_t>(in, count);
    for (auto* column : {&columns.statuses, &columns.methods, &columns.hosts, &columns.types}) {
      *column = read_column<std::uint16_t>(in, count);
    }
    columns.tls = read_column<std::uint8_t>(in, count);
    for (auto* names : {&columns.method_names, &columns.host_names, &columns.type_names}) *names = read_names(in);
    for (auto* texts : {&columns.urls, &columns.targets, &columns.ids}) {
      *texts = TextColumn::read(in, count);
      if (!in.ok() || !texts->good()) return fail(Code::kIo, "the index is damaged");
    }
    return columns;
  }
};

std::vector<bool> which(const std::vector<Bytes>& names, const std::function<bool(Bytes)>& passes) {
  std::vector<bool> passed(names.size());
  for (std::size_t i = 0; i < names.size(); ++i) passed[i] = passes(names[i]);
  return passed;
}

}  // namespace

// ---- building ----

std::uint16_t BlockBuilder::Names::number_of(const std::string& name) {
  const auto found = std::find(names_.begin(), names_.end(), name);
  if (found != names_.end()) return static_cast<std::uint16_t>(found - names_.begin());
  names_.push_back(name);
  return static_cast<std::uint16_t>(names_.size() - 1);
}

void BlockBuilder::Names::append_to(std::string& out) const {
  append_number(out, static_cast<std::uint16_t>(names_.size()));
  for (const std::string& name : names_) {
    append_number(out, static_cast<std::uint32_t>(name.size()));
    out += name;
  }
}

void BlockBuilder::Texts::add(Bytes text) {
  octets.append(text);
  octets += '\0';
  ends.push_back(static_cast<std::uint32_t>(octets.size()));
}

void BlockBuilder::Texts::append_to(std::string& out) const {
  append_column(out, ends);
  append_number(out, static_cast<std::uint32_t>(octets.size()));
  out += octets;
}

void BlockBuilder::add(const Row& row) {
  seqs_.push_back(row.seq);
  times_.push_back(row.timestamp_ms);
  segments_.push_back(row.opened.segment);
  rules_.push_back(row.matched_rule);
  statuses_.push_back(static_cast<std::uint16_t>(row.status));
  methods_.push_back(method_names_.number_of(row.method));
  hosts_.push_back(host_names_.number_of(row.host));
  types_.push_back(type_names_.number_of(row.content_type));
  tls_.push_back(row.has_tls ? 1 : 0);
  urls_.add(row.url);
  targets_.add(row.url.ends_with(row.target) ? Bytes() : Bytes(row.target));
  ids_.add(row.id);
  last_segment_ = std::max(last_segment_, row.opened.segment);
}

std::string BlockBuilder::octets() const {
  std::string out;
  append_number(out, static_cast<std::uint32_t>(size()));
  append_column(out, seqs_);
  append_column(out, times_);
  append_column(out, segments_);
  append_column(out, rules_);
  append_column(out, statuses_);
  append_column(out, methods_);
  append_column(out, hosts_);
  append_column(out, types_);
  append_column(out, tls_);
  method_names_.append_to(out);
  host_names_.append_to(out);
  type_names_.append_to(out);
  urls_.append_to(out);
  targets_.append_to(out);
  ids_.append_to(out);
  return out;
}

// ---- matching ----

Result<std::vector<std::uint64_t>> block_seqs(Bytes block) {
  OctetReader in(block);
  const std::size_t count = in.number<std::uint32_t>();
  auto seqs = read_column<std::uint64_t>(in, std::min(count, kRowsInBlock));
  if (!in.ok()) return fail(Code::kIo, "the index is damaged");
  return seqs;
}

Result<std::optional<std::uint64_t>> seq_in_block(Bytes block, Bytes id) {
  SLUICE_TRY(const Columns in, Columns::read(block));
  for (std::size_t row = in.count; row-- > 0;) {
    if (in.ids.text(row) == id) return in.seqs[row];
  }
  return std::nullopt;
}

Result<std::size_t> match_block(Bytes block, const Query& query, std::uint32_t oldest, const Sieve* sieve,
                                Matches& matches) {
  SLUICE_TRY(const Columns in, Columns::read(block));
  const Needle host(query.host_contains), type(query.type_contains), text(query.text);
  const auto method_fits =
      which(in.method_names, [&](Bytes name) { return query.method.empty() || name == query.method; });
  const auto host_fits = which(in.host_names, [&](Bytes name) { return host.is_in(name); });
  const auto host_has_text = which(in.host_names, [&](Bytes name) { return text.is_in(name); });
  // Those without a type pass (contract).
  const auto type_fits = which(in.type_names, [&](Bytes name) { return name.empty() || type.is_in(name); });
  std::vector<bool> url_fits(in.count), has_text(in.count);
  if (!query.url_contains.empty()) in.urls.find(Needle(query.url_contains), url_fits);
  if (!query.text.empty()) {
    for (const TextColumn* column : {&in.urls, &in.targets, &in.ids}) column->find(text, has_text);
  }
  for (std::size_t i = 0; i < in.count; ++i) {
    const bool whole =
        in.methods[i] < method_fits.size() && in.hosts[i] < host_fits.size() && in.types[i] < type_fits.size();
    if (!whole) return fail(Code::kIo, "the index is damaged");
    if (in.segments[i] < oldest || !method_fits[in.methods[i]] || !host_fits[in.hosts[i]] || !type_fits[in.types[i]])
      continue;
    if (query.status && *query.status != in.statuses[i]) continue;
    if ((query.from_ms && in.times[i] < *query.from_ms) || (query.to_ms && in.times[i] > *query.to_ms)) continue;
    if (!query.url_contains.empty() && !url_fits[i]) continue;
    if (!query.text.empty() && !has_text[i] && !host_has_text[in.hosts[i]] &&
        (in.rules[i] == 0 || !text.is_in(fmt::format("rule_{}", in.rules[i])))) {
      continue;
    }
    if (sieve && !sieve->passes({in.urls.text(i), in.host_names[in.hosts[i]], in.ids.text(i), in.rules[i]})) continue;
    matches.rows.push_back({in.times[i], in.seqs[i]});
    matches.with_tls += in.tls[i];
  }
  return in.count;
}

}  // namespace sluice::session
