// Logins on the disk.
#include "gateway/login_store.h"

#include <gtest/gtest.h>

#include "base/aead.h"
#include "base/fake_file.h"

namespace sluice::gateway {
namespace {

struct Logins : testing::Test {
  LoginStore store(char key = 'k') {
    return {files, "/home/logins", [key]() -> Result<Secret> { return Secret(std::string(kKeySize, key)); }};
  }
  static Login login(const std::string& server = "files", const std::string& url = "https://a.example/mcp") {
    Login made;
    made.server = server;
    made.url = url;
    made.resource = "https://a.example";
    made.issuer = "https://as.example";
    made.token_endpoint = "https://as.example/token";
    made.client = {"id", "hush-secret", ClientAuth::kPost};
    made.scope = "a b";
    made.access_token = "hush-access";
    made.refresh_token = "hush-refresh";
    made.issued_ms = 5;
    made.expires_ms = 7;
    return made;
  }
  std::string only_file() const {
    const auto names = files->list("/home/logins");
    for (const std::string& name : *names) {
      if (!name.ends_with(".lock")) return "/home/logins/" + name;
    }
    return "";
  }

  std::shared_ptr<FakeFileSystem> files = std::make_shared<FakeFileSystem>();
};

TEST_F(Logins, ComeBackWholeAndLieSealed) {
  LoginStore logins = store();
  ASSERT_TRUE(logins.save(login()));
  const auto read = store().load("files", "https://a.example/mcp");
  ASSERT_TRUE(read && *read);
  EXPECT_EQ((*read)->access_token, "hush-access");
  EXPECT_EQ((*read)->refresh_token, "hush-refresh");
  EXPECT_EQ((*read)->client.secret, "hush-secret");
  EXPECT_EQ((*read)->client.auth, ClientAuth::kPost);
  EXPECT_EQ((*read)->token_endpoint, "https://as.example/token");
  EXPECT_EQ((*read)->resource, "https://a.example");
  EXPECT_EQ((*read)->expires_ms, 7);
  const auto stored = files->load_file(only_file());
  ASSERT_TRUE(stored);
  for (const char* secret : {"hush", "id", "as.example", "files"}) EXPECT_EQ(stored->find(secret), stored->npos);
}

TEST_F(Logins, BelongToANameAndAUrl) {
  LoginStore logins = store();
  ASSERT_TRUE(logins.save(login()));
  EXPECT_FALSE(*logins.load("files", "https://a.example/mcp2"));
  EXPECT_FALSE(*logins.load("file", "https://a.example/mcp"));
  EXPECT_FALSE(*logins.load("other", "https://a.example/mcp"));
}

TEST_F(Logins, PutInAnothersPlaceAreNoLogins) {
  LoginStore logins = store();
  ASSERT_TRUE(logins.save(login("files", "https://b.example/")));
  const std::string from = only_file();
  ASSERT_TRUE(logins.save(login()));
  std::string to;
  const auto names = *files->list("/home/logins");
  for (const std::string& name : names) {
    if ("/home/logins/" + name != from) to = "/home/logins/" + name;
  }
  ASSERT_TRUE(files->rename(from, to));
  EXPECT_EQ(logins.load("files", "https://a.example/mcp").error().code, Code::kIo);
}

TEST_F(Logins, AreNotOpenedByAnotherKey) {
  LoginStore logins = store();
  ASSERT_TRUE(logins.save(login()));
  EXPECT_EQ(store('x').load("files", "https://a.example/mcp").error().code, Code::kIo);
}

TEST_F(Logins, ThatWereAlteredAreNotOpened) {
  LoginStore logins = store();
  ASSERT_TRUE(logins.save(login()));
  std::string stored = *files->load_file(only_file());
  stored.back() = static_cast<char>(stored.back() ^ 1);
  ASSERT_TRUE(files->save_file(only_file(), stored));
  EXPECT_EQ(logins.load("files", "https://a.example/mcp").error().code, Code::kIo);
}

TEST_F(Logins, OfANameGoTogetherAndOthersStay) {
  LoginStore logins = store();
  ASSERT_TRUE(logins.save(login()));
  ASSERT_TRUE(logins.save(login("files", "https://b.example/")));
  ASSERT_TRUE(logins.save(login("files-2")));
  EXPECT_EQ(logins.remove("files", ""), 2u);
  EXPECT_FALSE(*logins.load("files", "https://a.example/mcp"));
  EXPECT_TRUE(*logins.load("files-2", "https://a.example/mcp"));
  EXPECT_EQ(logins.remove("files-2", "https://b.example/"), 0u);
  EXPECT_EQ(logins.remove("files-2", "https://a.example/mcp"), 1u);
  EXPECT_EQ(logins.remove("nobody", ""), 0u);
}

TEST_F(Logins, ThatAnotherProcessChangesAreNotTouched) {
  LoginStore logins = store(), other = store();
  ASSERT_TRUE(logins.save(login()));
  auto held = logins.lock("files", "https://a.example/mcp");
  ASSERT_TRUE(held);
  EXPECT_EQ(other.lock("files", "https://a.example/mcp").error().code, Code::kConflict);
  EXPECT_EQ(other.remove("files", "").error().code, Code::kConflict);
  held->reset();
  EXPECT_TRUE(other.lock("files", "https://a.example/mcp"));
}

}  // namespace
}  // namespace sluice::gateway
