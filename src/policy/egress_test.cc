#include "policy/egress.h"

#include "policy/explain.h"
#include "policy/test_policy.h"

namespace sluice::policy {
namespace {

EgressSet set_of(std::string_view egress) {
  const Parsed parsed = parse_policy(R"({"version":"1","default":"allow","egress":)" + std::string(egress) + "}");
  EXPECT_TRUE(parsed.document) << egress;
  return *EgressSet::compile(*parsed.document->egress);
}

Address address(std::string_view text) { return *read_host(text)->address; }

TEST(Egress, EveryMemberThatIsGivenMustAdmit) {
  const std::string host = R"("host_in":["*.example.com"])", cidr = R"("cidr":["10.0.0.0/8"])",
                    ports = R"("ports":[443])";
  struct Row {
    std::string egress;
    bool name, name_elsewhere, other_name, literal, port;  // api.example.com at 10.1.1.1, at 192.0.2.1; …
  };
  for (const Row& row :
       {Row{"{}", true, true, true, true, true}, Row{"{" + host + "}", true, true, false, false, true},
        Row{"{" + cidr + "}", true, false, true, true, true}, Row{"{" + ports + "}", true, true, true, true, false},
        Row{"{" + host + "," + cidr + "}", true, false, false, false, true},
        Row{"{" + host + "," + cidr + "," + ports + "}", true, false, false, false, false}}) {
    SCOPED_TRACE(row.egress);
    const EgressSet set = set_of(row.egress);
    EXPECT_EQ(set.admits("api.example.com", 443, address("10.1.1.1")), row.name);
    EXPECT_EQ(set.admits("api.example.com", 443, address("192.0.2.1")), row.name_elsewhere);
    EXPECT_EQ(set.admits("other.test", 443, address("10.1.1.1")), row.other_name);
    EXPECT_EQ(set.admits("10.1.1.1", 443, address("10.1.1.1")), row.literal);
    EXPECT_EQ(set.admits("api.example.com", 80, address("10.1.1.1")), row.port);
  }
}

TEST(Egress, ANameIsRefusedBeforeItIsLookedUpWhereNoAddressCouldHelp) {
  using Answer = EgressSet::Answer;
  EXPECT_EQ(set_of(R"({"host_in":["a.test"]})").judge("b.test", 80), Answer::kNo);
  EXPECT_EQ(set_of(R"({"host_in":["a.test"]})").judge("a.test", 80), Answer::kYes);
  EXPECT_EQ(set_of(R"({"cidr":["10.0.0.0/8"]})").judge("a.test", 80), Answer::kByAddress);
  EXPECT_EQ(set_of(R"({"cidr":["10.0.0.0/8"]})").judge("10.0.0.1", 80), Answer::kYes);
  EXPECT_EQ(set_of(R"({"cidr":["10.0.0.0/8"]})").judge("11.0.0.1", 80), Answer::kNo);
  EXPECT_EQ(set_of(R"({"cidr":["10.0.0.0/8"],"ports":[443]})").judge("a.test", 80), Answer::kNo);
}

TEST(Egress, AddressesInDisguiseAreWhatTheyAre) {
  const EgressSet only_ten = set_of(R"({"cidr":["10.0.0.0/8"]})");
  for (const char* loopback : {"127.0.0.1", "0x7f.1", "2130706433", "0177.0.0.1", "127.1", "::ffff:127.0.0.1", "[::1]",
                               "0x7f000001", "127.0.0.1."}) {
    EXPECT_EQ(only_ten.judge(loopback, 80), EgressSet::Answer::kNo) << loopback;
    EXPECT_FALSE(only_ten.admits(loopback, 80, address("127.0.0.1"))) << loopback;
    // However it is read where it is looked up: what was written is what is dialled, or nothing.
    EXPECT_FALSE(only_ten.admits(loopback, 80, address("10.0.0.1"))) << loopback;
  }
  EXPECT_TRUE(only_ten.admits("::ffff:10.0.0.1", 80, address("10.0.0.1")));
  EXPECT_TRUE(only_ten.admits("0x0a.1", 80, address("::ffff:10.0.0.1")));
  const EgressSet loopback = set_of(R"({"host_in":["127.0.0.1"]})");
  EXPECT_TRUE(loopback.admits("0x7f.1", 80, address("127.0.0.1")));
  EXPECT_FALSE(loopback.admits("0x7f.1", 80, address("127.0.0.2")));
}

TEST(Egress, NamesInDisguiseAreJudgedAsTheNameThatIsDialled) {
  const EgressSet set = set_of(R"({"host_in":["api.example.com"]})");
  const Address somewhere = address("192.0.2.1");
  EXPECT_TRUE(set.admits("api.example.com.", 80, somewhere));
  EXPECT_TRUE(set.admits("API.Example.Com", 80, somewhere));
  for (const char* other : {"api.example.com@evil.test", "evil.test\\@api.example.com", "api.example.com.evil.test",
                            "api.example.com..", "xapi.example.com", "", "api.example.com/",
                            "api\xe3\x80\x82"
                            "example.com",
                            "fe80::1%eth0"}) {
    EXPECT_FALSE(set.admits(other, 80, somewhere)) << other;
  }
}

TEST(Egress, AnEmptyListAdmitsNothingAndIsWarnedOf) {
  EXPECT_EQ(set_of(R"({"host_in":[]})").judge("a.test", 80), EgressSet::Answer::kNo);
  EXPECT_EQ(set_of(R"({"ports":[]})").judge("a.test", 80), EgressSet::Answer::kNo);
  EXPECT_FALSE(set_of(R"({"cidr":[]})").admits("a.test", 80, address("192.0.2.1")));
  for (const auto& [egress, words] :
       {std::pair{R"({"host_in":[]})", "admits nothing"}, std::pair{"{}", "restricts nothing"}}) {
    const Parsed parsed = parse_policy(R"({"version":"1","default":"allow","egress":)" + std::string(egress) + "}");
    std::string said;
    for (const Problem& problem : lint(*parsed.document, {})) said += problem.path + ": " + problem.message + "\n";
    EXPECT_NE(said.find(words), std::string::npos) << said;
    EXPECT_TRUE(unenforced(*parsed.document).empty());
    EXPECT_EQ(unenforced(*parsed.document, Tools::kOthers).size(), 1u);
  }
}

TEST(Egress, IsExplainedInASentence) {
  const Parsed parsed = parse_policy(
      R"({"version":"1","default":"deny","egress":{"host_in":["a.test","*.b.test"],"ports":[443],"cidr":[]}})");
  const auto lines = explain(*parsed.document);
  EXPECT_NE(std::find(lines.begin(), lines.end(),
                      "Traffic that a grant causes goes only to hosts in a.test, *.b.test and to addresses in nothing "
                      "and to ports 443; judged where it is dialled."),
            lines.end());
}

}  // namespace
}  // namespace sluice::policy
