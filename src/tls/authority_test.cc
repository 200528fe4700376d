#include "tls/authority.h"

#include <gtest/gtest.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <sys/stat.h>

#include <atomic>
#include <thread>

#include "base/fake_file.h"
#include "base/text.h"
#include "tls/authority_impl.h"
#include "tls/certificate_summary.h"
#include "tls/test_world.h"

namespace sluice::tls {
namespace {

using std::chrono::hours;

X509Ptr parse(const std::string& pem) {
  const BioPtr in(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  return X509Ptr(PEM_read_bio_X509(in.get(), nullptr, nullptr, nullptr));
}

// What `openssl verify -x509_strict -purpose sslserver -verify_hostname` does.
std::string verify_strictly(const CertificateAuthority& authority, const Leaf& leaf, const std::string& host,
                            bool address, WallTime at) {
  const std::unique_ptr<X509_STORE, Freer<X509_STORE_free>> store(X509_STORE_new());
  X509_STORE_add_cert(store.get(), parse(authority.certificate_pem()).get());
  const std::unique_ptr<X509_STORE_CTX, Freer<X509_STORE_CTX_free>> context(X509_STORE_CTX_new());
  X509_STORE_CTX_init(context.get(), store.get(), leaf.certificate(), nullptr);
  X509_VERIFY_PARAM* wanted = X509_STORE_CTX_get0_param(context.get());
  X509_VERIFY_PARAM_set_flags(wanted, X509_V_FLAG_X509_STRICT | X509_V_FLAG_CHECK_SS_SIGNATURE);
  X509_VERIFY_PARAM_set_purpose(wanted, X509_PURPOSE_SSL_SERVER);
  X509_VERIFY_PARAM_set_auth_level(wanted, 2);
  X509_VERIFY_PARAM_set_time(wanted, unix_ms(at) / 1000);
  if (address) {
    X509_VERIFY_PARAM_set1_ip_asc(wanted, host.c_str());
  } else {
    X509_VERIFY_PARAM_set1_host(wanted, host.data(), host.size());
  }
  if (X509_verify_cert(context.get()) == 1) return "ok";
  return X509_verify_cert_error_string(X509_STORE_CTX_get_error(context.get()));
}

class Authority : public testing::Test {
 protected:
  static Result<AuthorityPtr> load(FileSystem& files, const std::string& directory, const Clock& clock) {
    SystemEntropy entropy;
    return CertificateAuthority::load_or_create(files, directory, clock, entropy);
  }

  FakeClock clock_;
  SystemEntropy entropy_;
  FakeFileSystem files_;
  AuthorityPtr authority_ = *CertificateAuthority::create(clock_, entropy_);
};

TEST_F(Authority, DescribesItself) {
  const X509Ptr certificate = parse(authority_->certificate_pem());
  const CertificateSummary summary = summarise(certificate.get());
  EXPECT_EQ(summary.subject, authority_->subject());
  EXPECT_EQ(summary.subject, summary.issuer);
  EXPECT_TRUE(summary.subject.starts_with("CN=Sluice CA ")) << summary.subject;
  EXPECT_EQ(summary.subject.size(), std::string("CN=Sluice CA ").size() + 8);
  EXPECT_EQ(summary.not_after_ms - summary.not_before_ms, 3651LL * 24 * 3600 * 1000);
  EXPECT_EQ(unix_ms(authority_->not_after()), summary.not_after_ms);
  EXPECT_EQ(authority_->sha256_fingerprint().size(), 95u);
  EXPECT_EQ(base64_decode(authority_->spki_sha256_base64())->size(), 32u);
  EXPECT_EQ(X509_get_extension_flags(certificate.get()) & (EXFLAG_CA | EXFLAG_SS), unsigned{EXFLAG_CA | EXFLAG_SS});
  EXPECT_EQ(X509_get_pathlen(certificate.get()), 0);
  EXPECT_EQ(X509_get_key_usage(certificate.get()), unsigned{KU_KEY_CERT_SIGN | KU_CRL_SIGN});
}

TEST_F(Authority, MintsLeavesThatStrictVerifiersAccept) {
  const std::string label(60, 'a');
  const std::string long_name = label + "." + label + ".example";
  for (const KeyKind kind : {KeyKind::kEcdsaP256, KeyKind::kRsa2048}) {
    for (const std::string& host : {std::string("example.com"), std::string("under_score.example"),
                                    std::string("xn--bcher-kva.example"), long_name, std::string("localhost")}) {
      const auto leaf = authority_->mint(host, kind, clock_.wall());
      ASSERT_TRUE(leaf) << host;
      EXPECT_EQ(verify_strictly(*authority_, **leaf, host, false, clock_.wall()), "ok") << host;
      EXPECT_EQ(verify_strictly(*authority_, **leaf, "other.example", false, clock_.wall()), "hostname mismatch");
      EXPECT_EQ(summarise((*leaf)->certificate()).sans, std::vector<std::string>{"DNS:" + host});
      EXPECT_EQ(summarise((*leaf)->certificate()).subject, host.size() <= 64 ? "CN=" + host : "");
      const unsigned usage = X509_get_key_usage((*leaf)->certificate());
      EXPECT_EQ(usage, kind == KeyKind::kRsa2048 ? unsigned{KU_DIGITAL_SIGNATURE | KU_KEY_ENCIPHERMENT}
                                                 : unsigned{KU_DIGITAL_SIGNATURE});
    }
    for (const std::string address : {"192.0.2.7", "2001:db8::7", "::1"}) {
      const auto leaf = authority_->mint(address, kind, clock_.wall());
      ASSERT_TRUE(leaf);
      EXPECT_EQ(verify_strictly(*authority_, **leaf, address, true, clock_.wall()), "ok") << address;
      EXPECT_EQ(summarise((*leaf)->certificate()).sans, std::vector<std::string>{"IP:" + address});
    }
  }
}

TEST_F(Authority, BoundsTheLifeOfLeaves) {
  const auto leaf = *authority_->mint("example.com", KeyKind::kEcdsaP256, clock_.wall());
  EXPECT_EQ(leaf->not_after(), clock_.wall() + hours(24 * 196));
  EXPECT_EQ(verify_strictly(*authority_, *leaf, "example.com", false, clock_.wall() - hours(23)), "ok");
  const WallTime late = authority_->not_after() - hours(48);
  EXPECT_EQ((*authority_->mint("example.com", KeyKind::kEcdsaP256, late))->not_after(), authority_->not_after());
}

TEST_F(Authority, WritesNamesAsDnsHasThem) {
  const auto leaf = *authority_->mint("WWW.Example.COM.", KeyKind::kEcdsaP256, clock_.wall());
  EXPECT_EQ(summarise(leaf->certificate()).sans, std::vector<std::string>{"DNS:www.example.com"});
  for (const std::string host : {"", ".", "a b", "*.example.com",
                                 "b\xc3\xbc"
                                 "cher.example",
                                 "a,DNS:evil.example"}) {
    const auto refused = authority_->mint(host, KeyKind::kEcdsaP256, clock_.wall());
    ASSERT_FALSE(refused) << host;
    EXPECT_EQ(refused.error().code, Code::kInvalid);
  }
  EXPECT_FALSE(authority_->mint(std::string("a\0b", 3), KeyKind::kEcdsaP256, clock_.wall()));
}

TEST_F(Authority, GivesEachLeafItsOwnSerial) {
  const auto one = *authority_->mint("example.com", KeyKind::kEcdsaP256, clock_.wall());
  const auto two = *authority_->mint("example.com", KeyKind::kEcdsaP256, clock_.wall());
  EXPECT_NE(summarise(one->certificate()).serial_hex, summarise(two->certificate()).serial_hex);
}

// --- on disk ---

TEST_F(Authority, IsCreatedOnceAndThenLoaded) {
  const auto made = load(files_, "/home/ca", clock_);
  ASSERT_TRUE(made) << made.error().message;
  const auto loaded = load(files_, "/home/ca", clock_);
  ASSERT_TRUE(loaded) << loaded.error().message;
  EXPECT_EQ((*made)->certificate_pem(), (*loaded)->certificate_pem());
  EXPECT_EQ(*files_.content("/home/ca/ca-cert.pem"), (*made)->certificate_pem());
  const auto leaf = *(*loaded)->mint("example.com", KeyKind::kEcdsaP256, clock_.wall());
  EXPECT_EQ(verify_strictly(**made, *leaf, "example.com", false, clock_.wall()), "ok");
}

TEST_F(Authority, IsOneForAllWhoStartAtOnce) {
  TemporaryDirectory directory;
  SystemFileSystem files;
  std::vector<std::string> seen(10);
  std::vector<std::thread> threads;
  for (std::string& pem : seen) {
    threads.emplace_back([&] {
      const auto authority = load(files, directory.path() + "/ca", clock_);
      pem = authority ? (*authority)->certificate_pem() : authority.error().message;
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(seen, std::vector<std::string>(10, seen[0]));
  EXPECT_TRUE(seen[0].starts_with("-----BEGIN CERTIFICATE-----"));
  EXPECT_EQ(*files.list(directory.path() + "/ca"), (std::vector<std::string>{"ca-cert.pem", "ca-key.pem", "lock"}));
}

TEST_F(Authority, RefusesAKeyThatOthersCanRead) {
  TemporaryDirectory directory;
  SystemFileSystem files;
  ASSERT_TRUE(load(files, directory.path(), clock_));
  const std::string key = directory.path() + "/ca-key.pem";
  struct stat info {};
  ASSERT_EQ(::stat(key.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600u);
  ASSERT_EQ(::chmod(key.c_str(), 0640), 0);
  const auto refused = load(files, directory.path(), clock_);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::kRefused);
  EXPECT_NE(refused.error().message.find("chmod 600 " + key), std::string::npos) << refused.error().message;
}

TEST_F(Authority, IsNeverReplacedWhenItCannotBeUsed) {
  ASSERT_TRUE(load(files_, "/a", clock_));
  ASSERT_TRUE(load(files_, "/b", clock_));
  const std::string key = *files_.content("/a/ca-key.pem"), certificate = *files_.content("/a/ca-cert.pem");
  FakeClock after, before;
  after.advance(hours(24 * 3651));
  before.advance(-hours(48));
  const auto leaf = *authority_->mint("example.com", KeyKind::kEcdsaP256, clock_.wall());
  const BioPtr out(BIO_new(BIO_s_mem()));
  PEM_write_bio_X509(out.get(), leaf->certificate());
  char* text = nullptr;
  const long size = BIO_get_mem_data(out.get(), &text);
  struct Case {
    std::string key, certificate;
    const Clock& clock;
    std::string named, words;
  };
  const Case cases[] = {
      {"", certificate, clock_, "/a/ca-key.pem", "not an unencrypted"},
      {key.substr(0, 100), certificate, clock_, "/a/ca-key.pem", "not an unencrypted"},
      {certificate, certificate, clock_, "/a/ca-key.pem", "not an unencrypted"},
      {key, "", clock_, "/a/ca-cert.pem", "not a PEM certificate"},
      {key, certificate.substr(0, 200), clock_, "/a/ca-cert.pem", "not a PEM certificate"},
      {key, std::string(text, static_cast<std::size_t>(size)), clock_, "/a/ca-cert.pem", "not the certificate of a CA"},
      {*files_.content("/b/ca-key.pem"), certificate, clock_, "/a/ca-cert.pem", "does not belong to"},
      {key, certificate, after, "/a/ca-cert.pem", "expired on"},
      {key, certificate, before, "/a/ca-cert.pem", "not valid before"},
  };
  for (const Case& broken : cases) {
    files_.put("/a/ca-key.pem", broken.key);
    files_.put("/a/ca-cert.pem", broken.certificate);
    const auto refused = load(files_, "/a", broken.clock);
    ASSERT_FALSE(refused) << broken.words;
    EXPECT_EQ(refused.error().code, Code::kInvalid);
    EXPECT_NE(refused.error().message.find(broken.named), std::string::npos) << refused.error().message;
    EXPECT_NE(refused.error().message.find(broken.words), std::string::npos) << refused.error().message;
    EXPECT_NE(refused.error().message.find("move "), std::string::npos) << refused.error().message;
    EXPECT_EQ(refused.error().message.find("PRIVATE"), std::string::npos);
    EXPECT_EQ(*files_.content("/a/ca-key.pem"), broken.key);
    EXPECT_EQ(*files_.content("/a/ca-cert.pem"), broken.certificate);
  }
  files_.put("/a/ca-cert.pem", certificate);
  ASSERT_TRUE(files_.remove("/a/ca-key.pem"));
  EXPECT_FALSE(load(files_, "/a", clock_));
  EXPECT_FALSE(files_.exists("/a/ca-key.pem"));
}

TEST_F(Authority, SurvivesAFailureAtEveryStepOfItsCreation) {
  FakeFileSystem whole;
  ASSERT_TRUE(load(whole, "/ca", clock_));
  const std::size_t steps = whole.operations();
  for (std::size_t step = 1; step <= steps; ++step) {
    FakeFileSystem files;
    files.fail_from(step);
    const auto failed = load(files, "/ca", clock_);
    files.heal();
    const auto healed = load(files, "/ca", clock_);
    ASSERT_TRUE(healed) << step << ": " << healed.error().message;
    if (failed) EXPECT_EQ((*failed)->spki_sha256_base64(), (*healed)->spki_sha256_base64());
    const auto again = load(files, "/ca", clock_);
    EXPECT_EQ((*again)->certificate_pem(), (*healed)->certificate_pem());
  }
}

// --- cache ---

TEST_F(Authority, SignsOncePerNameUntilADayBeforeTheEnd) {
  LeafCache cache(*authority_, clock_, 2);
  const LeafPtr first = *cache.find_or_mint("example.com", KeyKind::kEcdsaP256);
  EXPECT_EQ(*cache.find_or_mint("EXAMPLE.com", KeyKind::kEcdsaP256), first);
  clock_.advance(hours(24 * 195) - std::chrono::seconds(1));
  EXPECT_EQ(*cache.find_or_mint("example.com", KeyKind::kEcdsaP256), first);
  clock_.advance(std::chrono::seconds(1));
  EXPECT_NE(*cache.find_or_mint("example.com", KeyKind::kEcdsaP256), first);
}

TEST_F(Authority, KeepsWhatWasNotUsedForLongInOnePiece) {
  LeafCache cache(*authority_, clock_);
  const LeafPtr first = *cache.find_or_mint("first.example", KeyKind::kEcdsaP256);
  const LeafPtr rsa = *cache.find_or_mint("first.example", KeyKind::kRsa2048);
  for (int i = 0; i < 100; ++i) {
    ASSERT_TRUE(cache.find_or_mint(std::to_string(i) + ".example", KeyKind::kEcdsaP256));
  }
  const LeafPtr again = *cache.find_or_mint("FIRST.example", KeyKind::kEcdsaP256);
  EXPECT_NE(again, first);                                             // parsed anew,
  EXPECT_EQ(X509_cmp(again->certificate(), first->certificate()), 0);  // and the same
  EXPECT_EQ(again->key(), first->key());
  EXPECT_EQ(again->issuer(), first->issuer());
  EXPECT_EQ(again->not_after(), first->not_after());
  EXPECT_EQ(*cache.find_or_mint("first.example", KeyKind::kEcdsaP256), again);
  const LeafPtr rsa_again = *cache.find_or_mint("first.example", KeyKind::kRsa2048);
  EXPECT_EQ(X509_cmp(rsa_again->certificate(), rsa->certificate()), 0);
  EXPECT_EQ(rsa_again->key(), rsa->key());
  for (int i = 0; i < 100; ++i) {  // nothing was lost on the way
    const LeafPtr leaf = *cache.find_or_mint(std::to_string(i) + ".example", KeyKind::kEcdsaP256);
    EXPECT_EQ(X509_check_host(leaf->certificate(), (std::to_string(i) + ".example").c_str(), 0, 0, nullptr), 1) << i;
  }
}

TEST_F(Authority, ForgetsTheLeafThatWasUnusedForLongest) {
  LeafCache cache(*authority_, clock_, 2);
  const LeafPtr a = *cache.find_or_mint("a.example", KeyKind::kEcdsaP256);
  const LeafPtr b = *cache.find_or_mint("b.example", KeyKind::kEcdsaP256);
  EXPECT_EQ(*cache.find_or_mint("a.example", KeyKind::kEcdsaP256), a);
  ASSERT_TRUE(cache.find_or_mint("c.example", KeyKind::kEcdsaP256));  // b goes
  EXPECT_EQ(*cache.find_or_mint("a.example", KeyKind::kEcdsaP256), a);
  EXPECT_NE(*cache.find_or_mint("b.example", KeyKind::kEcdsaP256), b);
  EXPECT_FALSE(cache.find_or_mint("not a name", KeyKind::kEcdsaP256));
}

}  // namespace
}  // namespace sluice::tls
