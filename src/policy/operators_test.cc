// The typed operators against the ways round them (A18).
#include "policy/operators.h"

#include "policy/condition.h"
#include "policy/test_policy.h"

namespace sluice::policy {
namespace {

std::string verdict(Truth truth) { return truth == Truth::kTrue ? "yes" : truth == Truth::kFalse ? "no" : "mismatch"; }

TEST(HostIn, A18ReadsHostsAsABrowserDoesAndRefusesWhatItWouldRepair) {
  const std::vector<std::string> hosts{"*.example.com", "one.test", "127.0.0.1", "::1"};
  const auto set = *HostSet::compile(hosts);
  const std::pair<std::string_view, std::string_view> rows[] = {{"https://a.example.com/x", "yes"},
                                                                {"A.EXAMPLE.com.", "yes"},
                                                                {"a.example.com:8443", "yes"},
                                                                {"one.test", "yes"},
                                                                {"https://example.com", "no"},
                                                                {"https://badexample.com", "no"},
                                                                {"https://a.example.com.evil.test", "no"},
                                                                {"https://x.one.test", "no"},
                                                                {"https://127.0.0.1/", "yes"},
                                                                {"http://2130706433/", "yes"},
                                                                {"http://0x7f.1", "yes"},
                                                                {"http://0177.0.0.1", "yes"},
                                                                {"[::ffff:127.0.0.1]:80", "yes"},
                                                                {"http://[::1]/", "yes"},
                                                                {"::1", "yes"},
                                                                {"http://128.0.0.1", "no"},
                                                                {"https://a.example.com@evil.test/", "mismatch"},
                                                                {"https://evil.test#@a.example.com", "no"},
                                                                {"https://evil.test\\@a.example.com", "mismatch"},
                                                                {"https:\\\\a.example.com", "mismatch"},
                                                                {"https:a.example.com", "mismatch"},
                                                                {"//a.example.com", "mismatch"},
                                                                {" https://a.example.com", "mismatch"},
                                                                {"https://a.exam\tple.com", "mismatch"},
                                                                {"https://a%2eexample.com", "mismatch"},
                                                                {"https://ä.example.com", "mismatch"},
                                                                {"", "mismatch"},
                                                                {"http://256.1.1.1", "mismatch"},
                                                                {"http://1.2.3.4.5", "mismatch"},
                                                                {"http://0xfffffffff", "mismatch"},
                                                                {"a.example.com:99999", "mismatch"},
                                                                {"a.example.com:80:80", "mismatch"},
                                                                {"http://[::1", "mismatch"}};
  for (const auto& [text, wanted] : rows) EXPECT_EQ(verdict(set.judge(text)), wanted) << text;
}

TEST(HostIn, RefusesOperandsThatCannotBeHosts) {
  for (const std::string bad : {"https://a.test", "a.test:80", "*.10.0.0.1", "*", "a b", "ä.test", ""}) {
    const std::vector<std::string> one{bad};
    EXPECT_FALSE(HostSet::compile(one)) << bad;
  }
}

TEST(Cidr, A18KnowsMappedAndNumericAddresses) {
  const std::vector<std::string> blocks{"10.0.0.0/8", "192.168.1.77/32", "fd00::/8", "172.16.0.0/12"};
  const auto set = *AddressSet::compile(blocks);
  const std::pair<std::string_view, std::string_view> rows[] = {{"10.1.2.3", "yes"},
                                                                {"11.0.0.0", "no"},
                                                                {"http://10.255.255.255:80/x", "yes"},
                                                                {"167772161", "yes"},
                                                                {"::ffff:10.0.0.1", "yes"},
                                                                {"[fd12::1]", "yes"},
                                                                {"fe80::1", "no"},
                                                                {"192.168.1.77", "yes"},
                                                                {"192.168.1.76", "no"},
                                                                {"172.31.0.1", "yes"},
                                                                {"172.32.0.1", "no"},
                                                                {"localhost", "mismatch"},
                                                                {"10.0.0.0/8", "mismatch"},
                                                                {"", "mismatch"}};
  for (const auto& [text, wanted] : rows) EXPECT_EQ(verdict(set.judge(text)), wanted) << text;
  for (const std::string bad : {"10.0.0.0/33", "10.0.0/8", "x/8", "10.0.0.0/", "::/129", "10.0.0.0/-1"}) {
    const std::vector<std::string> one{bad};
    EXPECT_FALSE(AddressSet::compile(one)) << bad;
  }
}

TEST(PathWithin, A18IsLexicalAndRefusesEveryWayOut) {
  const std::vector<std::string> roots{"/srv/data", "docs/"};
  const auto set = *PathSet::compile(roots);
  const std::pair<std::string_view, std::string_view> rows[] = {{"/srv/data", "yes"},
                                                                {"/srv/data/x/y", "yes"},
                                                                {"/srv//data/./x", "yes"},
                                                                {"/srv/database", "no"},
                                                                {"/srv", "no"},
                                                                {"docs/a", "yes"},
                                                                {"./docs/a", "yes"},
                                                                {"/docs/a", "no"},
                                                                {"srv/data", "no"},
                                                                {"/srv/data/../x", "mismatch"},
                                                                {"/srv/data/%2e%2e/x", "mismatch"},
                                                                {"~/x", "mismatch"},
                                                                {"docs\\..\\x", "mismatch"},
                                                                {"", "mismatch"},
                                                                {std::string_view("docs/\0x", 7), "mismatch"}};
  for (const auto& [text, wanted] : rows) EXPECT_EQ(verdict(set.judge(text)), wanted) << text;
  const std::vector<std::string> here{"."};
  EXPECT_EQ(verdict(PathSet::compile(here)->judge("a/b")), "yes");
  EXPECT_EQ(verdict(PathSet::compile(here)->judge("/a/b")), "no");
}

TEST(SchemaOperator, JudgesItsSubsetAndRefusesTheRest) {
  const auto judge = [](std::string_view schema, std::string_view value) {
    const Spelled spelled(value);
    return verdict(Schema::compile(*parse_source(schema))->judge(spelled.json, &spelled.spellings));
  };
  const char* schema = R"({"type":"object","required":["n"],"additionalProperties":false,"properties":{
      "n":{"type":"integer","minimum":-2,"maximum":10},"s":{"type":["string","null"],"minLength":1,"maxLength":2,"pattern":"^a"},
      "l":{"items":{"enum":["x",1]},"minItems":1,"maxItems":2}}})";
  for (const char* good : {R"({"n":1})", R"({"n":1.0})", R"({"n":-2,"s":"aä"})", R"({"n":10,"s":null,"l":["x",1]})"}) {
    EXPECT_EQ(judge(schema, good), "yes") << good;
  }
  for (const char* bad : {R"({})", R"({"n":1.5})", R"({"n":-1.5})", R"({"n":0.9999999999})", R"({"n":11})",
                          R"({"n":"1"})", R"({"n":1,"x":1})", R"({"n":1,"s":""})", R"({"n":1,"s":"abc"})",
                          R"({"n":1,"s":"b"})", R"({"n":1,"l":[]})", R"({"n":1,"l":["y"]})", R"({"n":1,"l":[1,1,1]})",
                          R"([])", R"({"n":1e400})", R"({"n":10.0000000000000000001})"}) {
    EXPECT_EQ(judge(schema, bad), "no") << bad;
  }
  for (const char* unknown : {R"({"oneOf":[]})", R"({"$ref":"#"})", R"({"format":"uri"})", R"({"typ":"string"})",
                              R"([])", R"({"additionalProperties":{}})", R"({"enum":[[1]]})", R"({"type":"text"})"}) {
    EXPECT_FALSE(Schema::compile(*parse_source(unknown))) << unknown;
  }
}

}  // namespace
}  // namespace sluice::policy
