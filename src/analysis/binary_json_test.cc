#include "analysis/binary_json.h"

#include <gtest/gtest.h>

#include "base/text.h"

namespace sluice::analysis {
namespace {

using Parse = Result<Json> (*)(Bytes, const BinaryLimits&);

std::string read(Parse parse, std::string_view hex) {
  const auto octets = hex_decode(hex);
  EXPECT_TRUE(octets) << hex;
  const auto json = parse(*octets, {});
  return json ? dump_json(*json) : json.error().message;
}

TEST(Msgpack, ReadsEveryTypeOfTheSpecification) {
  const std::pair<std::string_view, std::string_view> kCases[] = {
      {"00", "0"},
      {"7f", "127"},
      {"ff", "-1"},
      {"e0", "-32"},
      {"c0", "null"},
      {"c2", "false"},
      {"c3", "true"},
      {"ccff", "255"},
      {"cd0100", "256"},
      {"ce00010000", "65536"},
      {"cfffffffffffffffff", "18446744073709551615"},
      {"d080", "-128"},
      {"d17fff", "32767"},
      {"d2ffffffff", "-1"},
      {"d38000000000000000", "-9223372036854775808"},
      {"ca3fc00000", "1.5"},
      {"cb3ff8000000000000", "1.5"},
      {"cb7ff8000000000000", "\"NaN\""},
      {"cb7ff0000000000000", "\"Infinity\""},
      {"a161", "\"a\""},
      {"d90161", "\"a\""},
      {"da000161", "\"a\""},
      {"db0000000161", "\"a\""},
      {"c4020102", "\"base64:AQI=\""},
      {"c500020102", "\"base64:AQI=\""},
      {"c6000000020102", "\"base64:AQI=\""},
      {"93010203", "[1,2,3]"},
      {"dc000101", "[1]"},
      {"dd0000000101", "[1]"},
      {"82a16101a16292c0c3", R"({"a":1,"b":[null,true]})"},
      {"de0001a16101", R"({"a":1})"},
      {"df00000001a16101", R"({"a":1})"},
      {"8101a162", R"({"1":"b"})"},
      {"82a16101a16102", R"({"a":1,"a":2})"},
      {"d4ff01", "\"ext(-1):AQ==\""},
      {"d6050a0b0c0d", "\"ext(5):CgsMDQ==\""},
      {"c7010501", "\"ext(5):AQ==\""},
      {"c80001050a", "\"ext(5):Cg==\""},
      {"0102a161", R"([1,2,"a"])"},  // several behind each other
      {"a1ff", "\"\xef\xbf\xbd\""},
  };
  for (const auto& [hex, json] : kCases) EXPECT_EQ(read(parse_msgpack, hex), json) << hex;
}

// The examples of RFC 8949 appendix A.
TEST(Cbor, ReadsTheExamplesOfTheRfc) {
  const std::pair<std::string_view, std::string_view> kCases[] = {
      {"00", "0"},
      {"17", "23"},
      {"1818", "24"},
      {"1903e8", "1000"},
      {"1a000f4240", "1000000"},
      {"1bffffffffffffffff", "18446744073709551615"},
      {"20", "-1"},
      {"3903e7", "-1000"},
      {"3b7fffffffffffffff", "-9223372036854775808"},
      {"3bffffffffffffffff", "-1.8446744073709552e+19"},
      {"f90000", "0.0"},
      {"f93c00", "1.0"},
      {"fb3ff199999999999a", "1.1"},
      {"f97bff", "65504.0"},
      {"fa47c35000", "100000.0"},
      {"f90001", "5.960464477539063e-08"},
      {"f9c400", "-4.0"},
      {"f97c00", "\"Infinity\""},
      {"f97e00", "\"NaN\""},
      {"f9fc00", "\"-Infinity\""},
      {"f4", "false"},
      {"f5", "true"},
      {"f6", "null"},
      {"f7", "null"},
      {"f0", "\"simple(16)\""},
      {"f8ff", "\"simple(255)\""},
      {"c11a514b67b0", "1363896240"},
      {"c249010000000000000000", "\"base64:AQAAAAAAAAAA\""},
      {"4401020304", "\"base64:AQIDBA==\""},
      {"6449455446", "\"IETF\""},
      {"8301820203820405", "[1,[2,3],[4,5]]"},
      {"a201020304", R"({"1":2,"3":4})"},
      {"a26161016162820203", R"({"a":1,"b":[2,3]})"},
      {"5f42010243030405ff", "\"base64:AQIDBAU=\""},
      {"7f657374726561646d696e67ff", "\"streaming\""},
      {"9f018202039f0405ffff", "[1,[2,3],[4,5]]"},
      {"bf61610161629f0203ffff", R"({"a":1,"b":[2,3]})"},
      {"d9d9f701", "1"},
      {"0102", "[1,2]"},
  };
  for (const auto& [hex, json] : kCases) EXPECT_EQ(read(parse_cbor, hex), json) << hex;
}

TEST(BinaryJson, GarbageIsExplainedAndNotACrash) {
  const std::tuple<Parse, std::string_view, std::string_view> kCases[] = {
      {parse_msgpack, "", "not MessagePack: the data ends early at octet 1"},
      {parse_msgpack, "c1", "not MessagePack: a type that there is none of at octet 2"},
      {parse_msgpack, "93", "the data ends early at octet 2"},
      {parse_msgpack, "dbffffffff61", "the data ends early"},
      {parse_msgpack, "ddffffffff", "the data ends early"},
      {parse_cbor, "", "not CBOR: the data ends early at octet 1"},
      {parse_cbor, "1c", "a length that there is none of"},
      {parse_cbor, "ff", "an end of nothing"},
      {parse_cbor, "3f", "a length that there is none of"},
      {parse_cbor, "5f6161ff", "a piece of another kind"},
      {parse_cbor, "9f", "the data ends early"},
      {parse_cbor, "f81f", "a simple value that there is none of"},
      {parse_cbor, "9bffffffffffffffff", "the data ends early"},
  };
  for (const auto& [parse, hex, part] : kCases)
    EXPECT_NE(read(parse, hex).find(part), std::string::npos) << hex << ": " << read(parse, hex);
}

TEST(BinaryJson, IsBounded) {
  for (const auto& [parse, nest] : {std::pair<Parse, char>{parse_msgpack, '\x91'},
                                    {parse_cbor, '\x81'},
                                    {parse_cbor, '\xc1'},
                                    {parse_cbor, '\x9f'}}) {
    EXPECT_TRUE(parse(
        std::string(59, nest) + (nest == '\x9f' ? '\x01' + std::string(59, '\xff') : std::string(1, '\x01')), {}));
    const auto deep = parse(std::string(1'000'000, nest), {});
    ASSERT_FALSE(deep);
    EXPECT_EQ(deep.error().code, Code::kTooLarge);
    const auto many = parse(std::string(100'001, '\x01'), {});
    ASSERT_FALSE(many);
    EXPECT_EQ(many.error().code, Code::kTooLarge);
  }
}

}  // namespace
}  // namespace sluice::analysis
