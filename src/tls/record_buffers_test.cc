#include "tls/record_buffers.h"

#include <gtest/gtest.h>
#include <openssl/crypto.h>

#include <set>
#include <thread>
#include <vector>

#include "tls/session.h"

namespace sluice::tls {
namespace {

constexpr std::size_t kRecord = 17'000, kReadBuffer = 66'560;

class RecordBuffers : public ::testing::Test {
 protected:
  static void SetUpTestSuite() { use_openssl_without_config(); }
};

TEST_F(RecordBuffers, TheBufferFreedLastServesNext) {
  void* const first = OPENSSL_malloc(kRecord);
  void* const second = OPENSSL_malloc(kReadBuffer);
  OPENSSL_free(first);
  OPENSSL_free(second);
  EXPECT_EQ(OPENSSL_malloc(kReadBuffer), second);
  EXPECT_EQ(OPENSSL_malloc(kRecord), first) << "a read buffer is too good for a record";
  OPENSSL_free(first);
  OPENSSL_free(second);
}

TEST_F(RecordBuffers, ManyOfOneSizeDoNotKeepTheOtherOut) {
  std::vector<void*> records;
  for (int i = 0; i < 100; ++i) records.push_back(OPENSSL_malloc(kRecord));
  EXPECT_EQ(std::set<void*>(records.begin(), records.end()).size(), records.size());
  for (void* record : records) OPENSSL_free(record);
  void* const buffer = OPENSSL_malloc(kReadBuffer);
  OPENSSL_free(buffer);
  EXPECT_EQ(OPENSSL_malloc(kReadBuffer), buffer);
  OPENSSL_free(buffer);
}

TEST_F(RecordBuffers, AThreadThatEndsKeepsNothingAndTakesWhatAnotherMade) {
  void* const made_here = OPENSSL_malloc(kRecord);
  std::thread([&] {
    OPENSSL_free(made_here);
    EXPECT_EQ(OPENSSL_malloc(kRecord), made_here);
    OPENSSL_free(made_here);
  }).join();  // LeakSanitizer would tell
}

TEST_F(RecordBuffers, OtherSizesAreMallocs) {
  EXPECT_EQ(OPENSSL_malloc(0), nullptr);
  OPENSSL_free(nullptr);
  for (const std::size_t size : {1u, 100u, 16'383u, 200'000u}) {
    auto* octets = static_cast<unsigned char*>(OPENSSL_zalloc(size));
    ASSERT_NE(octets, nullptr);
    EXPECT_EQ(octets[size - 1], 0);
    octets = static_cast<unsigned char*>(OPENSSL_realloc(octets, size * 2));
    ASSERT_NE(octets, nullptr);
    octets[size * 2 - 1] = 1;
    OPENSSL_free(octets);
  }
}

}  // namespace
}  // namespace sluice::tls
