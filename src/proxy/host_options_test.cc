#include "proxy/host_options.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>

#include "base/clock.h"
#include "base/entropy.h"
#include "base/file.h"
#include "proxy/file_roots.h"
#include "proxy/host_options_json.h"
#include "proxy/host_options_start.h"
#include "proxy/remedy.h"
#include "proxy/route.h"

namespace sluice::proxy {
namespace {

HostOptions options_of(const char* json) { return *host_options_from_json(*parse_json(json, JsonLimits{})); }

// A root with two pairs of certificate and key (CAs, which nobody minds here), and a store that reads beneath it.
class HostOptionsTest : public ::testing::Test {
 protected:
  void SetUp() override {
    for (const char* name : {"one", "two"}) {
      ASSERT_TRUE(tls::CertificateAuthority::load_or_create(files_, root_ + "/" + name, clock_, entropy_));
    }
  }
  void TearDown() override { (void)files_.remove_tree(root_); }
  std::string certificate(const std::string& name) const { return root_ + "/" + name + "/ca-cert.pem"; }
  std::string key(const std::string& name) const { return root_ + "/" + name + "/ca-key.pem"; }
  std::string pair(const std::string& name) const { return certificate(name) + ":" + key(name); }
  Result<HostEntry> set(const std::string& host, const HostOptions& options, std::vector<std::string> reset = {}) {
    return store_.set(host, options, reset, FileAccess::kRoots);
  }
  HostTerms terms(const std::string& host) const { return store_.book()->find(host); }

  SystemFileSystem files_;
  SystemClock clock_;
  SystemEntropy entropy_;
  const std::string root_ = ::testing::TempDir() + "sluice-options-" + std::to_string(::getpid());
  const FileRoots roots_{{root_}, 256 * kKiB};
  HostOptionsStore store_{*tls::ClientContext::create({false, {}}, ""), roots_};
};

TEST_F(HostOptionsTest, TheMostSpecificEntryThatNamesAnOptionDecidesIt) {
  ASSERT_TRUE(set("*", options_of(R"({"verify_upstream": false, "min_tls": "1.0", "alt_svc": "keep"})")));
  ASSERT_TRUE(set("*.example.com", options_of(R"({"min_tls": "1.1", "record": false})")));
  ASSERT_TRUE(set("api.example.com", options_of(R"({"record": true, "legacy_server": true})")));
  const HostTerms api = terms("API.example.com.");
  EXPECT_EQ(api.verify, tls::Verify::kRecordOnly);
  EXPECT_EQ(api.min_tls, tls::Version::k1_1);
  EXPECT_TRUE(api.record);
  EXPECT_TRUE(api.legacy_server);
  EXPECT_EQ(api.alt_svc, AltSvc::kKeep);
  const HostTerms www = terms("www.example.com");
  EXPECT_FALSE(www.record || www.legacy_server);
  EXPECT_EQ(www.min_tls, tls::Version::k1_1);
  EXPECT_EQ(terms("example.com").min_tls, tls::Version::k1_0) << "a suffix is not itself";
  EXPECT_EQ(terms("10.0.0.1").min_tls, tls::Version::k1_0);
}

TEST_F(HostOptionsTest, AnEntryGrowsAndOptionsAreTakenBack) {
  const std::uint64_t before = store_.generation();
  ASSERT_TRUE(set("a.test", options_of(R"({"record": false})")));
  EXPECT_NE(store_.generation(), before);
  const auto grown = set("A.TEST", options_of(R"({"min_tls": "1.3"})"));
  EXPECT_EQ(to_json(grown->options), (Json{{"record", false}, {"min_tls", "1.3"}}));
  EXPECT_EQ(to_json(set("a.test", {}, {"record"})->options), (Json{{"min_tls", "1.3"}}));
  EXPECT_TRUE(set("a.test", {}, {"min_tls"})->options.empty());
  EXPECT_TRUE(store_.list().empty()) << "what names nothing is no entry";
  EXPECT_TRUE(store_.book()->empty());
  EXPECT_FALSE(store_.remove("a.test"));
}

TEST_F(HostOptionsTest, ABookThatIsHeldDoesNotChange) {
  ASSERT_TRUE(set("a.test", options_of(R"({"record": false})")));
  const HostBookPtr held = store_.book();
  ASSERT_TRUE(store_.remove("a.test"));
  EXPECT_FALSE(held->find("a.test").record);
  EXPECT_TRUE(terms("a.test").record);
}

TEST_F(HostOptionsTest, FilesAreReadOnceAndWrongOnesChangeNothing) {
  HostOptions given;
  given.client_cert_file = certificate("one");
  given.client_key_file = key("one");
  given.ca_file = certificate("two");
  ASSERT_TRUE(set("a.test", given));
  const HostTerms had = terms("a.test");
  ASSERT_TRUE(had.identity && had.trust);
  (void)files_.remove(key("one"));
  ASSERT_TRUE(set("a.test", options_of(R"({"record": false})"))) << "nothing is read again";
  EXPECT_EQ(terms("a.test").identity, had.identity);

  const auto refused = [&](const char* option, const std::string& path) {
    const std::uint64_t generation = store_.generation();
    const auto result = set("a.test", *host_options_from_json(Json{{option, path}}));
    EXPECT_FALSE(result) << path;
    EXPECT_EQ(store_.generation(), generation);
    EXPECT_EQ(terms("a.test").identity, had.identity);
    return result ? "" : result.error().message;
  };
  std::ofstream(root_ + "/text.pem") << "no certificate\n";
  std::ofstream(root_ + "/locked.pem")
      << "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n";
  EXPECT_NE(refused("ca_file", root_ + "/none.pem").find("there is no file"), std::string::npos);
  EXPECT_NE(refused("ca_file", root_ + "/text.pem").find("no PEM certificates"), std::string::npos);
  EXPECT_NE(refused("client_key_file", root_ + "/locked.pem").find("passphrase"), std::string::npos);
  EXPECT_NE(refused("client_key_file", key("two")).find("does not belong to the certificate"), std::string::npos);
  EXPECT_NE(refused("client_cert_file", certificate("one")).find("no PEM key"), std::string::npos);
  EXPECT_EQ(set("b.test", *host_options_from_json(Json{{"client_key_file", key("two")}})).error().message,
            "client_key_file needs client_cert_file beside it");
}

TEST_F(HostOptionsTest, ACertificateReplacesTheKeyToo) {
  std::ifstream first(certificate("one")), second(key("one"));
  std::ofstream(root_ + "/both.pem") << first.rdbuf() << second.rdbuf();
  HostOptions given;
  given.client_cert_file = certificate("two");
  given.client_key_file = key("two");
  ASSERT_TRUE(set("a.test", given));
  const auto changed = set("a.test", *host_options_from_json(Json{{"client_cert_file", root_ + "/both.pem"}}));
  ASSERT_TRUE(changed) << changed.error().message;
  EXPECT_FALSE(changed->options.client_key_file);
  ASSERT_TRUE(set("a.test", {}, {"client_cert_file"}));
  EXPECT_EQ(terms("a.test").identity, nullptr);
}

TEST_F(HostOptionsTest, ConnectionsWithOtherOptionsHaveOtherKeys) {
  HostOptions given;
  given.client_cert_file = certificate("one");
  given.client_key_file = key("one");
  ASSERT_TRUE(set("one.test", given));
  given.client_cert_file = certificate("two");
  given.client_key_file = key("two");
  ASSERT_TRUE(set("two.test", given));
  HostOptions trusting;
  trusting.ca_file = certificate("one");
  ASSERT_TRUE(set("three.test", trusting));
  Route plain;
  plain.tls = true;
  plain.dial_host = "10.0.0.1";
  plain.profile.server_name = "same.example";
  std::vector<Route> routes(6, plain);
  routes[1].profile.identity = terms("one.test").identity;
  routes[2].profile.identity = terms("two.test").identity;
  routes[3].profile.trust = terms("three.test").trust;
  routes[4].profile.minimum = tls::Version::k1_0;
  routes[5].profile.legacy = true;
  for (std::size_t i = 0; i < routes.size(); ++i) {
    for (std::size_t j = 0; j < i; ++j) {
      EXPECT_NE(routes[i].key(), routes[j].key()) << i << ' ' << j;
      EXPECT_FALSE(routes[i] == routes[j]);
    }
  }
}

TEST_F(HostOptionsTest, OfTwoNamesTheMoreSpecificEntryDecidesWhetherTlsPasses) {
  ASSERT_TRUE(set("*", options_of(R"({"tls": "passthrough"})")));
  ASSERT_TRUE(set("*.api.test", options_of(R"({"tls": "intercept"})")));
  ASSERT_TRUE(set("bank.test", options_of(R"({"tls": "passthrough"})")));
  ASSERT_TRUE(set("shop.test", options_of(R"({"tls": "intercept"})")));
  const auto passes = [&](const char* sni, const char* destination) {
    return store_.book()->treatment(sni, destination).tls == TlsTreatment::kPassthrough;
  };
  EXPECT_TRUE(passes("other.test", "192.0.2.1"));
  EXPECT_FALSE(passes("a.api.test", "192.0.2.1"));
  EXPECT_TRUE(passes("a.api.test", "bank.test"));
  EXPECT_TRUE(passes("", "bank.test"));
  EXPECT_TRUE(passes("shop.test", "bank.test")) << "either name means the host";
  EXPECT_FALSE(passes("", "shop.test"));
  EXPECT_TRUE(store_.book()->treatment("", "x").chosen);
  ASSERT_TRUE(store_.remove("*"));
  EXPECT_FALSE(store_.book()->treatment("", "x").chosen) << "what was learned may decide";
}

TEST_F(HostOptionsTest, NobodyHidesBehindANameThatIsNotMeant) {
  ASSERT_TRUE(set("secret.test", options_of(R"({"record": false})")));
  const HostBookPtr book = store_.book();
  EXPECT_FALSE(book->records("secret.test", "secret.test"));
  EXPECT_FALSE(book->records("secret.test", ""));
  EXPECT_FALSE(book->records("secret.test", "192.0.2.1")) << "an address names nothing";
  EXPECT_TRUE(book->records("secret.test", "evil.test"));
  EXPECT_TRUE(book->records("evil.test", "secret.test"));
}

TEST_F(HostOptionsTest, AScopeMayNamePorts) {
  ASSERT_TRUE(set("api.example.com", options_of(R"({"tls": "passthrough"})")));
  ASSERT_TRUE(store_.set_scope({{"example.com", 8443, {.record = true}},
                                {"www.example.com", 0, {.record = true}},
                                {"*", 0, {.record = false}}}));
  const HostBookPtr book = store_.book();
  EXPECT_FALSE(book->at(443).records("example.com", "example.com"));
  EXPECT_TRUE(book->at(8443).records("example.com", "example.com"));
  EXPECT_TRUE(book->at(443).records("www.example.com", "www.example.com"));
  EXPECT_TRUE(book->at(8443).records("www.example.com", "www.example.com"));
  EXPECT_FALSE(book->at(8443).records("other.test", "other.test"));
  EXPECT_EQ(book->at(8443).find("api.example.com").tls, TlsTreatment::kPassthrough) << "an entry holds on every port";
  std::vector<std::pair<std::string, int>> listed;
  for (const HostEntry& entry : store_.list()) listed.emplace_back(entry.host, entry.port);
  EXPECT_EQ(listed, (std::vector<std::pair<std::string, int>>{
                        {"api.example.com", 0}, {"*", 0}, {"www.example.com", 0}, {"example.com", 8443}}));
  ASSERT_TRUE(store_.set_scope({}));
  EXPECT_TRUE(store_.book()->at(8443).records("other.test", "other.test"));
  std::vector<ScopeLine> many;
  for (std::uint16_t port = 1; port <= 17; ++port) many.push_back({"a.test", port, {.record = true}});
  EXPECT_EQ(store_.set_scope(many).error().message, "a scope names at most 16 ports");
}

TEST_F(HostOptionsTest, WhatIsNoOptionIsRefusedByName) {
  const auto message = [](const char* json) {
    return host_options_from_json(*parse_json(json, JsonLimits{})).error().message;
  };
  EXPECT_EQ(message(R"({"ca_fil": "x"})"), "unknown option 'ca_fil', did you mean 'ca_file'?");
  EXPECT_EQ(message(R"({"tls": "off"})"), R"(tls must be one of "intercept", "passthrough")");
  EXPECT_EQ(message(R"({"min_tls": "1"})"), R"(min_tls must be one of "1.0", "1.1", "1.2", "1.3")");
  EXPECT_EQ(message(R"({"record": "no"})"), "record must be true or false");
  EXPECT_EQ(message(R"({"ca_file": ""})"), "ca_file must be the path of a file");
  EXPECT_EQ(set("a b", options_of(R"({"record": false})")).error().message, "'a b' is no host name and no *.suffix");
  const Json all = *parse_json(R"({"tls": "passthrough", "record": false, "verify_upstream": true, "ca_file": "a",
      "client_cert_file": "b", "client_key_file": "c", "min_tls": "1.1", "legacy_server": true, "alt_svc": "keep"})",
                               JsonLimits{});
  EXPECT_EQ(to_json(*host_options_from_json(all)), all);
  EXPECT_EQ(all.size(), option_names().size());
}

// --- flags ---

TEST_F(HostOptionsTest, FlagsBecomeEntries) {
  EngineOptions options;
  options.passthrough = {"bank.test", "*.bank.test", "bank.test"};
  options.upstream_client_certs = {"api.test=" + pair("one"), "*.test=" + pair("two")};
  options.upstream_insecure = true;
  options.strip_alt_svc = false;
  options.host_options = {{"bank.test", options_of(R"({"record": false})")}};
  const Status started = start_host_options(store_, options);
  ASSERT_TRUE(started) << started.error().message;
  EXPECT_EQ(terms("bank.test").tls, TlsTreatment::kPassthrough);
  EXPECT_FALSE(terms("bank.test").record);
  EXPECT_EQ(terms("x").verify, tls::Verify::kRecordOnly);
  EXPECT_EQ(terms("x").alt_svc, AltSvc::kKeep);
  EXPECT_FALSE(terms("x").identity);
  ASSERT_TRUE(terms("api.test").identity && terms("www.test").identity);
  EXPECT_NE(tls::fingerprint_of(*terms("api.test").identity), tls::fingerprint_of(*terms("www.test").identity));
  for (const HostEntry& entry : store_.list()) EXPECT_EQ(entry.origin, HostOrigin::kStart);
}

TEST_F(HostOptionsTest, FlagsThatCannotBeAreNamed) {
  const auto message = [&](EngineOptions options) {
    HostOptionsStore store(*tls::ClientContext::create({false, {}}, ""), roots_);
    return start_host_options(store, options).error().message;
  };
  const std::string usage = "--upstream-client-cert takes HOST=CERT:KEY, two PEM files without ':' in their names";
  for (const char* text : {"", "a.example", "a.example=", "a.example=:key", "a.example=cert:", "a.example=a:b:c"}) {
    EXPECT_EQ(message({.upstream_client_certs = {text}}), usage) << text;
  }
  EXPECT_EQ(message({.upstream_client_certs = {"a b=" + pair("one")}}),
            "--upstream-client-cert: 'a b' is no host name and no *.suffix");
  EXPECT_EQ(message({.upstream_client_certs = {"*=" + pair("one"), "*=" + pair("two")}}),
            "--upstream-client-cert: '*' is given twice");
  EXPECT_TRUE(
      message({.upstream_client_certs = {"a=/nonexistent:/nonexistent"}}).starts_with("--upstream-client-cert: "));
  EXPECT_EQ(message({.passthrough = {"*"}}), "--passthrough takes names and *.suffix, not all hosts");
  EXPECT_EQ(message({.passthrough = {"a.*"}}), "--passthrough: 'a.*' is no host name and no *.suffix");
  EXPECT_EQ(message({.passthrough = {"a.test"}, .host_options = {{"a.test", options_of(R"({"tls": "intercept"})")}}}),
            "--host-options: 'a.test' is given twice");
}

// --- what helps ---

TEST(Remedy, NamesTheToolTheHostAndTheOption) {
  using R = tls::HandshakeFailure::Remedy;
  const auto said = [](FailureKind kind, R which, const char* verdict) {
    return remedy(kind, which, "a.test", verdict);
  };
  EXPECT_EQ(
      said(FailureKind::kCertificate, R::kNone, "self-signed certificate"),
      R"(; call proxy_set_host_options {"host": "a.test", "ca_file": FILE} to trust its CA, or "verify_upstream": false to accept any certificate)");
  EXPECT_EQ(said(FailureKind::kCertificate, R::kNone, "certificate has expired"),
            R"(; call proxy_set_host_options {"host": "a.test", "verify_upstream": false} to accept it all the same)");
  EXPECT_NE(said(FailureKind::kCertificate, R::kLegacy, "EE certificate key too weak").find(R"("legacy_server": true)"),
            std::string::npos);
  EXPECT_NE(said(FailureKind::kUpstreamTls, R::kOlderVersions, "").find(R"("min_tls": "1.0")"), std::string::npos);
  EXPECT_NE(said(FailureKind::kClientCertificate, R::kNone, "").find("client_cert_file"), std::string::npos);
  EXPECT_EQ(said(FailureKind::kUpstreamTls, R::kNone, ""), "");
  EXPECT_EQ(remedy(FailureKind::kCertificate, R::kNone, "a\"b", ""), "") << "no host that the tool would take";
}

}  // namespace
}  // namespace sluice::proxy
