#include "proxy/origin_identities.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include "proxy/route.h"

namespace sluice::proxy {
namespace {

// Two pairs of certificate and key in PEM files: CAs, which nobody minds here.
class OriginIdentitiesTest : public ::testing::Test {
 protected:
  void SetUp() override {
    for (const char* name : {"/one", "/two"}) {
      ASSERT_TRUE(tls::CertificateAuthority::load_or_create(files_, directory_ + name, clock_, entropy_));
    }
  }
  void TearDown() override { (void)files_.remove_tree(directory_); }
  std::string pair(const std::string& name) const {
    return directory_ + "/" + name + "/ca-cert.pem:" + directory_ + "/" + name + "/ca-key.pem";
  }

  SystemFileSystem files_;
  SystemClock clock_;
  SystemEntropy entropy_;
  std::string directory_ = ::testing::TempDir() + "sluice-identities-" + std::to_string(::getpid());
};

TEST_F(OriginIdentitiesTest, GoToTheHostsTheyAreFor) {
  const auto loaded = OriginIdentities::load({"api.example=" + pair("one"), "*.example=" + pair("two")});
  ASSERT_TRUE(loaded) << loaded.error().message;
  ASSERT_TRUE(loaded->find("api.example"));
  ASSERT_TRUE(loaded->find("www.example"));
  EXPECT_NE(tls::fingerprint_of(*loaded->find("api.example")), tls::fingerprint_of(*loaded->find("www.example")));
  EXPECT_FALSE(loaded->find("example"));
  EXPECT_FALSE(OriginIdentities::load({})->find("api.example"));
}

TEST_F(OriginIdentitiesTest, NeverShareAConnection) {
  const auto loaded = *OriginIdentities::load({"a.example=" + pair("one"), "b.example=" + pair("two")});
  Route nobody;
  nobody.tls = true;
  nobody.dial_host = "10.0.0.1";
  nobody.profile.server_name = "same.example";
  Route one = nobody, other = nobody;
  one.profile.identity = loaded.find("a.example");
  other.profile.identity = loaded.find("b.example");
  EXPECT_NE(one.key(), nobody.key());
  EXPECT_NE(one.key(), other.key());
  EXPECT_FALSE(one == other);
}

TEST_F(OriginIdentitiesTest, SayWhatIsWrongAndNameTheFlag) {
  const std::string usage = "--upstream-client-cert takes HOST=CERT:KEY, two PEM files without ':' in their names";
  for (const char* text : {"", "a.example", "a.example=", "a.example=:key", "a.example=cert:", "a.example=a:b:c"}) {
    EXPECT_EQ(OriginIdentities::load({text}).error().message, usage) << text;
  }
  const auto message = [](const std::string& text) { return OriginIdentities::load({text}).error().message; };
  EXPECT_EQ(message("a b=" + pair("one")), "--upstream-client-cert: 'a b' is no host name and no *.suffix");
  EXPECT_TRUE(message("a.example=/nonexistent:/nonexistent").starts_with("--upstream-client-cert: "));
  EXPECT_EQ(OriginIdentities::load({"*=" + pair("one"), "*=" + pair("two")}).error().message,
            "--upstream-client-cert: '*' is given twice");
}

}  // namespace
}  // namespace sluice::proxy
