// What somebody who can write the files, and not read the key, could try (A41), and what a crash leaves.
#include "gateway/audit_verify.h"

#include "gateway/audit_export.h"
#include "gateway/test_audit.h"

namespace sluice::gateway {
namespace {

class AuditVerify : public ::testing::Test {
 protected:
  AuditVerify() {
    for (int i = 0; i < 5; ++i) EXPECT_TRUE(one.run_call(std::to_string(i)));
    one.log->checkpoint();
    for (int i = 5; i < 8; ++i) EXPECT_TRUE(one.run_call(std::to_string(i)));
    one.restart();
    EXPECT_TRUE(one.run_call("8"));
    one.log.reset();
  }
  std::string read(const std::string& name) { return *one.disk.content("/a/" + name); }
  std::vector<std::string> split_lines(const std::string& name) {
    std::vector<std::string> out;
    const std::string content = read(name);
    for (const std::string_view line : split(content, '\n')) {
      if (!line.empty()) out.emplace_back(line);
    }
    return out;
  }
  void write(const std::string& name, const std::vector<std::string>& lines) {
    std::string text;
    for (const std::string& line : lines) text += line + "\n";
    one.disk.put("/a/" + name, text);
  }
  // As a forger does who knows the format: every link from `from` on made anew; signatures stay as they were.
  static void relink(std::vector<std::string>& lines, std::size_t from) {
    ChainHash last = read_chain_line(lines[from - 1])->hash;
    for (std::size_t i = from; i < lines.size(); ++i) {
      const auto old = read_chain_line(lines[i]);
      LinkedLine made = link_line(last, *parse_json(std::string(old->content) + "}"));
      if (!old->signature.empty()) add_signature(made, old->signature);
      made.text.pop_back();
      lines[i] = made.text;
      last = made.hash;
    }
  }
  AuditFixture one;
  const std::string first = "00000001-9.jsonl", second = "00000002-11.jsonl";
};

TEST_F(AuditVerify, AnIntactLogIsIntactAndSaysWhatItCannotKnow) {
  const AuditReport report = one.verify();
  EXPECT_TRUE(report.bad.empty() && report.torn.empty() && report.unknown.empty());
  EXPECT_EQ(report.files, 2u);
  EXPECT_EQ(report.decisions, 9u);
  EXPECT_EQ(report.outcomes, 9u);
  ASSERT_EQ(report.cannot_know.size(), 2u);
  EXPECT_NE(report.cannot_know[1].find("--head"), std::string::npos);
}

TEST_F(AuditVerify, EveryChangedOctetIsFoundInItsLine) {
  const std::string content = read(first);
  std::size_t line = 1;
  for (std::size_t at = 0; at < content.size(); ++at) {
    if (content[at] == '\n') {
      ++line;
      continue;
    }
    if (at % 7 != 0) continue;  // enough of them
    std::string changed = content;
    changed[at] = changed[at] == 'x' ? 'y' : 'x';
    one.disk.put("/a/" + first, changed);
    const AuditReport report = one.verify();
    ASSERT_FALSE(report.bad.empty()) << at;
    EXPECT_EQ(report.bad.front().file, first);
    EXPECT_EQ(report.bad.front().line, line) << at << " " << report.bad.front().what;
  }
}

TEST_F(AuditVerify, EveryRemovedMovedOrDoubledLineIsFound) {
  const auto lines = split_lines(first);
  for (std::size_t i = 0; i < lines.size(); ++i) {
    auto without = lines;
    without.erase(without.begin() + static_cast<std::ptrdiff_t>(i));
    write(first, without);
    EXPECT_FALSE(one.verify().bad.empty()) << i;
    auto twice = lines;
    twice.insert(twice.begin() + static_cast<std::ptrdiff_t>(i), lines[i]);
    write(first, twice);
    EXPECT_FALSE(one.verify().bad.empty()) << i;
    if (i == 0) continue;
    auto swapped = lines;
    std::swap(swapped[i], swapped[i - 1]);
    write(first, swapped);
    EXPECT_FALSE(one.verify().bad.empty()) << i;
  }
}

TEST_F(AuditVerify, AForgerWithoutTheKeyIsFoundAtTheNextSignature) {
  auto lines = split_lines(first);
  const std::size_t forged = 3;
  lines[forged].replace(lines[forged].find("\"tool\":\"t\""), 10, "\"tool\":\"u\"");
  relink(lines, forged);
  write(first, lines);
  const AuditReport report = one.verify();
  ASSERT_FALSE(report.bad.empty());
  EXPECT_EQ(report.bad.front().line, 12u) << "the checkpoint";
  EXPECT_NE(report.bad.front().what.find("lines 2 to 12"), std::string::npos) << report.bad.front().what;
}

TEST_F(AuditVerify, ALogThatAnotherKeySignedIsNotTaken) {
  AuditFixture other;
  ASSERT_TRUE(other.disk.remove("/audit.key"));
  other.log.reset();
  for (const std::string& name : other.names()) ASSERT_TRUE(other.disk.remove("/a/" + name));
  other.log = other.another(9);
  ASSERT_TRUE(other.run_call("0"));
  const std::string forged = other.text();
  ASSERT_TRUE(one.disk.remove("/a/" + second));
  one.disk.put("/a/" + first, forged);
  const AuditReport report = one.verify();
  ASSERT_FALSE(report.bad.empty());
  EXPECT_NE(report.bad.front().what.find("another key"), std::string::npos);
}

TEST_F(AuditVerify, LinesCutOffBehindWhatTheNextHeadNamesAreMissed) {
  auto lines = split_lines(first);
  for (std::size_t keep = lines.size() - 1; keep > 0; --keep) {
    lines.resize(keep);
    write(first, lines);
    const AuditReport report = one.verify();
    ASSERT_FALSE(report.bad.empty()) << keep;
    EXPECT_NE(report.bad.front().what.find(second), std::string::npos) << report.bad.front().what;
  }
}

TEST_F(AuditVerify, AMissingFileIsMissed) {
  ASSERT_TRUE(one.disk.remove("/a/" + first));
  EXPECT_FALSE(one.verify().bad.empty());
  AuditVerification from;
  from.from = 2;
  EXPECT_TRUE(one.verify(from).bad.empty()) << "it was moved away";
}

TEST_F(AuditVerify, ARemovedLastFileIsMissedByTheHeadsThatWereKeptElsewhere) {
  std::string kept;
  for (const std::string& name : one.names()) {
    for (const std::string& line : split_lines(name)) {
      const auto content = *parse_json(line);
      const Json head{{"file", name}, {"seq", content["seq"]}, {"hash", content["hash"]}};
      if (content.contains("signature")) kept += "Nov 22 host sluice: " + dump_json(head) + "\n";
    }
  }
  AuditVerification wanted;
  wanted.heads = *read_kept_heads(kept);
  wanted.have_heads = true;
  EXPECT_TRUE(one.verify(wanted).bad.empty());
  const auto lines = split_lines(second);
  write(second, {lines[0], lines[1], lines[2]});
  EXPECT_TRUE(one.verify().bad.empty()) << "nobody else has seen the end";
  EXPECT_FALSE(one.verify(wanted).bad.empty());
  ASSERT_TRUE(one.disk.remove("/a/" + second));
  EXPECT_TRUE(one.verify().bad.empty());
  EXPECT_FALSE(one.verify(wanted).bad.empty());
  EXPECT_FALSE(read_kept_heads("{\"file\":\"x\"}"));
}

TEST_F(AuditVerify, ATornLastLineIsNoTampering) {
  const std::string content = read(second);
  const std::size_t begin = content.rfind('\n', content.size() - 2) + 1;
  for (std::size_t left = begin + 1; left < content.size(); ++left) {
    one.disk.put("/a/" + second, content.substr(0, left));
    const AuditReport report = one.verify();
    EXPECT_TRUE(report.bad.empty()) << left;
    ASSERT_EQ(report.torn.size(), 1u) << left;
    EXPECT_EQ(report.torn.front().line, 4u);
  }
}

TEST(AuditVerifyCrash, ADecisionWithoutOutcomeIsAnUnknownOutcomeUnlessItsProcessLives) {
  AuditFixture one;
  ASSERT_TRUE(one.decide({{"a", 1}}, "id-1"));
  EXPECT_EQ(one.verify().running, 1u);
  EXPECT_TRUE(one.verify().unknown.empty());
  ASSERT_TRUE(one.decide({{"a", 1}}, "id-2", "deny"));
  const std::string killed = one.text();
  const std::string path = one.log->path();
  one.log.reset();
  one.disk.put(path, killed);  // as kill -9 leaves it
  const AuditReport report = one.verify();
  EXPECT_TRUE(report.bad.empty());
  ASSERT_EQ(report.unknown.size(), 1u);
  EXPECT_EQ(report.unknown.front().line, 2u);
  EXPECT_NE(report.unknown.front().what.find("unknown outcome of t (id-1)"), std::string::npos);
  EXPECT_NE(report.cannot_know.front().find("has no end"), std::string::npos);
}

TEST(AuditExport, ADecisionAndItsOutcomeAreOneRowInEachFormat) {
  const Json decision = {{"type", "decision"},
                         {"seq", 1},
                         {"time", "2026-11-20T13:30:07.123Z"},
                         {"id", "i"},
                         {"grant", "=cmd()"},
                         {"server", "sluice"},
                         {"method", "tools/call"},
                         {"tool", "t\"\n,"},
                         {"arguments", Json::array({"a", "b"})},
                         {"decision", "allow"},
                         {"rule", ""},
                         {"policy_revision", 7}};
  const Json outcome = {{"type", "outcome"}, {"id", "i"}, {"status", "ok"}, {"latency_us", 2000}, {"bytes", 5}};
  std::string out;
  const auto run = [&](AuditFormat format) {
    out.clear();
    AuditExporter exporter(format, [&](std::string_view line) { out += line; });
    exporter.feed(decision, "f", 2);
    exporter.feed(outcome, "f", 3);
    exporter.end();
    return out;
  };
  const std::string csv = run(AuditFormat::kCsv);
  EXPECT_NE(csv.find(",'=cmd(),"), std::string::npos) << csv;
  EXPECT_NE(csv.find("\"t\"\"?,\""), std::string::npos) << csv;
  EXPECT_EQ(std::count(csv.begin(), csv.end(), '\n'), 2);
  const Json ecs = *parse_json(run(AuditFormat::kEcs));
  EXPECT_EQ(ecs["event"]["outcome"], "success");
  EXPECT_EQ(ecs["event"]["duration"], 2'000'000);
  EXPECT_EQ(ecs["user"]["name"], "=cmd()");
  const Json ocsf = *parse_json(run(AuditFormat::kOcsf));
  EXPECT_EQ(ocsf["time"], 1'795'181'407'123);
  EXPECT_EQ(ocsf["class_uid"], 6003);
  EXPECT_EQ(ocsf["status_id"], 1);
  EXPECT_EQ((*parse_json(run(AuditFormat::kJsonl)))["status"], "ok");
}

TEST(AuditExport, ALineForPeopleHoldsNoControlCharacters) {
  const Json line = {
      {"type", "decision"}, {"time", "t"}, {"tool", "\x1b[2Jx\ny"}, {"decision", "deny"}, {"grant", "g"}};
  const std::string text = audit_line_text(line);
  EXPECT_EQ(text.find_first_of("\x1b\n"), std::string::npos);
  EXPECT_NE(text.find("deny"), std::string::npos);
}

}  // namespace
}  // namespace sluice::gateway
