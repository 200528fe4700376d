#include "gateway/audit_verify.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <optional>
#include <tuple>
#include <unordered_map>

#include "base/text.h"
#include "gateway/audit_chain.h"
#include "gateway/audit_read.h"

namespace sluice::gateway {
namespace {

constexpr std::size_t kMostListed = 1'000;  // missing numbers and the like

std::string text_member(const Json& object, std::string_view name) {
  const Json* member = find_member(object, name);
  return member && member->is_string() ? member->get<std::string>() : "";
}

std::optional<std::uint64_t> number_member(const Json& object, std::string_view name) {
  const Json* member = find_member(object, name);
  if (!member || !member->is_number_unsigned()) return std::nullopt;
  return member->get<std::uint64_t>();
}

// A line of some file that somebody else says he has seen.
struct Claim {
  std::string hash, by;
};

class Verifier {
 public:
  Verifier(FileSystem& files, const AuditKey& key, const AuditVerification& wanted)
      : files_(files), key_(key), wanted_(wanted) {}

  Result<AuditReport> run() {
    SLUICE_TRY(const std::vector<std::string> all, audit_file_names(files_, wanted_.directory));
    std::vector<std::string> names;
    for (const std::string& name : all) {
      if (read_chain_file_name(name)->number >= wanted_.from) names.push_back(name);
    }
    check_numbers(names);
    for (const std::string& name : names) read_claims_of(name);
    for (const Json& head : wanted_.heads) claim(head, "a head that was kept elsewhere");
    for (const std::string& name : names) check_file(name);
    for (const auto& [file, claims] : claims_) {
      if (!claims.empty()) {
        bad(file, 0,
            fmt::format("is missing: {} names line {} of it", claims.begin()->second.by, claims.begin()->first + 1));
      }
    }
    judge_open_calls();
    say_limits(names);
    return std::move(report_);
  }

 private:
  struct OpenCall {
    std::string file, run, tool;
    std::uint64_t line = 0;
  };
  // What is known while a file is read.
  struct Walk {
    std::string name, run;
    ChainHash last{};
    std::uint64_t line = 0, signed_line = 0;
    bool ended = false, stopped = false;
  };

  void bad(const std::string& file, std::uint64_t line, std::string what) {
    if (report_.bad.size() < kMostListed) report_.bad.push_back({file, line, std::move(what)});
  }

  void check_numbers(const std::vector<std::string>& names) {
    std::uint64_t next = wanted_.from;
    for (const std::string& name : names) {
      const std::uint64_t number = read_chain_file_name(name)->number;
      if (number > next) {
        bad(name, 0,
            number == next + 1 ? fmt::format("number {} before it is missing", next)
                               : fmt::format("numbers {} to {} before it are missing", next, number - 1));
      } else if (number < next) {
        bad(name, 0, "another file has the same number");
      }
      next = number + 1;
    }
  }

  void claim(const Json& seen, std::string by) {
    const std::string file = text_member(seen, "file");
    const auto seq = number_member(seen, "seq");
    const auto name = read_chain_file_name(file);
    if (!seq || !name || name->number < wanted_.from) return;
    claims_[file].emplace(*seq, Claim{text_member(seen, "hash"), std::move(by)});
  }

  // What a file's head says of others. Whether it is true is seen when that file is read.
  void read_claims_of(const std::string& name) {
    auto reader = AuditReader::open(files_, wanted_.directory + "/" + name);
    auto first = reader ? reader->next() : fail(Code::kIo, "");
    if (!first || !*first) return;
    const auto line = read_chain_line((*first)->text);
    const auto head = line ? parse_json(std::string(line->content) + "}") : fail(Code::kInvalid, "");
    if (!head) return;
    for (const std::string_view member : {"predecessor", "continues"}) {
      if (const Json* seen = find_member(*head, member)) claim(*seen, name);
    }
  }

  void check_file(const std::string& name) {
    ++report_.files;
    auto reader = AuditReader::open(files_, wanted_.directory + "/" + name);
    if (!reader) return bad(name, 0, "cannot be read: " + reader.error().message);
    Walk walk;
    walk.name = name;
    const bool written = reader->is_written();
    while (!walk.stopped) {
      const auto line = reader->next();
      if (!line) {
        bad(name, walk.line + 1, "cannot be read: " + line.error().message);
        return;
      }
      if (!*line) break;
      if ((*line)->whole) {
        check_line(walk, (*line)->text);
        continue;
      }
      if (!written) {
        report_.torn.push_back({name, walk.line + 1, "is not whole: the process ended while it wrote this line"});
      }
      break;
    }
    if (written) live_.push_back(walk.run);
    if (walk.line == 0 && !walk.stopped && !written) bad(name, 0, "is empty");
    check_claims(walk);
    if (!walk.stopped && walk.line > walk.signed_line) report_.unsigned_lines += walk.line - walk.signed_line;
    if (!walk.stopped && !walk.ended && !written) {
      unended_.push_back(
          fmt::format("{} has no end: its process was killed, or what followed line {} was cut off", name, walk.line));
    }
  }

  void check_claims(const Walk& walk) {
    const auto found = claims_.find(walk.name);
    if (found == claims_.end()) return;
    for (const auto& [seq, one] : found->second) {
      // A bad line is told once; what follows it was not looked at.
      if (walk.stopped) break;
      bad(walk.name, seq + 1, fmt::format("is not there: {} has seen it, so lines were cut off", one.by));
      break;
    }
    claims_.erase(found);
  }

  void stop(Walk& walk, std::string what) {
    walk.stopped = true;
    bad(walk.name, walk.line, std::move(what));
  }

  void check_line(Walk& walk, const std::string& text) {
    ++walk.line;
    const auto line = read_chain_line(text);
    if (!line) return stop(walk, "is no line of an audit log");
    const auto content = parse_json(std::string(line->content) + "}");
    if (!content || !content->is_object()) return stop(walk, "is no line of an audit log");
    const auto seq = number_member(*content, "seq");
    if (chain_hash(walk.last, line->content) != line->hash) {
      if (seq && *seq + 1 != walk.line) {
        return stop(walk, fmt::format("calls itself line {}: lines before it are missing, or it was moved", *seq + 1));
      }
      return stop(walk, walk.line == 1 ? "was changed" : "was changed, or the line before it with its hash");
    }
    if (!seq || *seq + 1 != walk.line) return stop(walk, "does not say which line it is");
    if (walk.ended) return stop(walk, "stands behind the end of the file");
    walk.last = line->hash;
    ++report_.lines;
    check_kind(walk, *line, *content);
    if (!walk.stopped) check_claim(walk);
  }

  void check_claim(Walk& walk) {
    const auto file = claims_.find(walk.name);
    if (file == claims_.end()) return;
    auto [claim, end] = file->second.equal_range(walk.line - 1);
    const std::string hash = hex_encode(Bytes(walk.last.data(), walk.last.size()));
    for (; claim != end; ++claim) {
      if (claim->second.hash != hash) {
        return stop(walk, fmt::format("is another one than {} has seen: the file was written anew", claim->second.by));
      }
    }
    file->second.erase(walk.line - 1);
  }

  void check_kind(Walk& walk, const ChainLine& line, const Json& content) {
    const std::string type = text_member(content, "type");
    if (walk.line == 1 && type != "head") return stop(walk, "is no head");
    if (walk.line > 1 && type == "head") return stop(walk, "is a second head");
    if (type == "head" || type == "checkpoint" || type == "end") {
      if (type == "head" && text_member(content, "key") != key_.id()) {
        return stop(walk, fmt::format("was signed with another key ({}, not {}): --key names its public key",
                                      text_member(content, "key"), key_.id()));
      }
      if (line.signature.empty() || !key_.verify(signed_message(line.hash), line.signature)) {
        return stop(walk, walk.line == 1
                              ? "has a signature that does not hold"
                              : fmt::format("has a signature that does not hold: lines {} to {} may have been changed",
                                            walk.signed_line + 1, walk.line));
      }
      walk.signed_line = walk.line;
    }
    if (type == "head") return check_head(walk, content);
    if (type == "end") walk.ended = true;
    count(walk, type, content);
  }

  void check_head(Walk& walk, const Json& head) {
    const auto name = *read_chain_file_name(walk.name);
    walk.run = text_member(head, "run");
    if (number_member(head, "number") != name.number) return stop(walk, "is the head of another file");
    const Json* before = find_member(head, "predecessor");
    const std::string file = before ? text_member(*before, "file") : "";
    const auto named = read_chain_file_name(file);
    if (name.number > 1 && (!named || named->number + 1 != name.number)) {
      stop(walk, fmt::format("does not name the file of number {} as its predecessor", name.number - 1));
    }
  }

  void count(const Walk& walk, std::string_view type, const Json& content) {
    if (type == "decision") {
      ++report_.decisions;
      const std::string decision = text_member(content, "decision");
      const bool runs = decision == "allow" || decision == "would_deny";
      if (!runs || text_member(content, "outcome") == "none") return;
      open_calls_[text_member(content, "id")] = {walk.name, walk.run, text_member(content, "tool"), walk.line};
    } else if (type == "outcome") {
      ++report_.outcomes;
      open_calls_.erase(text_member(content, "id"));
    } else if (type == "lost") {
      report_.lost += number_member(content, "lines").value_or(0);
    }
  }

  void judge_open_calls() {
    for (const auto& [id, call] : open_calls_) {
      if (std::find(live_.begin(), live_.end(), call.run) != live_.end()) {
        ++report_.running;
      } else {
        report_.unknown.push_back({call.file, call.line,
                                   fmt::format("unknown outcome of {} ({}): it began, and its end was not written",
                                               repair_utf8(call.tool), repair_utf8(id))});
      }
    }
    std::sort(report_.unknown.begin(), report_.unknown.end(), [](const AuditFinding& a, const AuditFinding& b) {
      return std::tie(a.file, a.line) < std::tie(b.file, b.line);
    });
  }

  void say_limits(const std::vector<std::string>& names) {
    for (std::string& one : unended_) report_.cannot_know.push_back(std::move(one));
    report_.cannot_know.push_back("who can read the signing key could have written everything anew and signed it");
    if (wanted_.have_heads) return;
    report_.cannot_know.push_back(fmt::format(
        "files newer than {} may have been removed, and {} lines that no signature covers yet changed or cut "
        "off: keep the heads elsewhere (--audit-head) and give them with --head",
        names.empty() ? "these" : names.back(), report_.unsigned_lines));
  }

  FileSystem& files_;
  const AuditKey& key_;
  const AuditVerification& wanted_;
  AuditReport report_;
  std::map<std::string, std::multimap<std::uint64_t, Claim>> claims_;  // by file and seq; those seen are taken out
  std::unordered_map<std::string, OpenCall> open_calls_;               // by id
  std::vector<std::string> live_, unended_;                            // runs; sentences
};

}  // namespace

std::string to_string(const AuditFinding& finding) {
  if (finding.line == 0) return finding.file + ": " + finding.what;
  return fmt::format("{}:{}: {}", finding.file, finding.line, finding.what);
}

Result<AuditReport> verify_audit(FileSystem& files, const AuditKey& key, const AuditVerification& wanted) {
  return Verifier(files, key, wanted).run();
}

Result<std::vector<Json>> read_kept_heads(std::string_view text) {
  std::vector<Json> heads;
  std::size_t number = 0;
  for (const std::string_view line : split(text, '\n')) {
    ++number;
    const std::size_t begin = line.find('{');
    if (begin == std::string_view::npos) continue;
    auto head = parse_json(line.substr(begin, line.rfind('}') + 1 - begin));
    if (!head || !number_member(*head, "seq") || !read_chain_file_name(text_member(*head, "file"))) {
      return fail(Code::kInvalid, fmt::format("line {} of the kept heads is none", number));
    }
    heads.push_back(*std::move(head));
  }
  return heads;
}

}  // namespace sluice::gateway
