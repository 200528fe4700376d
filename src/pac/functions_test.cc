// Each function as a script sees it: an expression, and what String() makes of its value.
#include "pac/functions.h"

#include <gtest/gtest.h>

#include "pac/script.h"
#include "pac/test_names.h"

namespace sluice::pac {
namespace {

class PacFunctions : public testing::Test {
 protected:
  std::string run(const std::string& expression) {
    const auto script =
        Script::load("function FindProxyForURL() { return String(" + expression + "); }", names_, clock_);
    if (!script) return "not loaded: " + script.error().message;
    const auto value = (*script)->evaluate("http://h/", "h");
    return value ? *value : value.error().message;
  }
  void expect(std::initializer_list<std::pair<const char*, const char*>> table) {
    for (const auto& [expression, value] : table) EXPECT_EQ(run(expression), value) << expression;
  }

  TestNames names_;
  TestClock clock_;
};

TEST_F(PacFunctions, PlainHostNamesHaveNeitherDotsNorColons) {
  expect({{"isPlainHostName('www')", "true"},
          {"isPlainHostName('www.example.com')", "false"},
          {"isPlainHostName('::1')", "false"},
          {"isPlainHostName('')", "true"},
          {"isPlainHostName()", "true"},
          {"isPlainHostName(12)", "true"},
          {"isPlainHostName(1.5)", "false"}});
}

TEST_F(PacFunctions, DomainsAreComparedFromTheEnd) {
  expect({{"dnsDomainIs('www.example.com', '.example.com')", "true"},
          {"dnsDomainIs('example.com', '.example.com')", "false"},
          {"dnsDomainIs('www.example.com', 'example.com')", "true"},
          {"dnsDomainIs('badexample.com', 'example.com')", "true"},
          {"dnsDomainIs('www', '.example.com')", "false"},
          {"dnsDomainIs('www.example.com.', '.example.com')", "false"},
          {"dnsDomainIs('www', '')", "true"},
          {"localHostOrDomainIs('www.example.com', 'www.example.com')", "true"},
          {"localHostOrDomainIs('www', 'www.example.com')", "true"},
          {"localHostOrDomainIs('ww', 'www.example.com')", "false"},
          {"localHostOrDomainIs('www.example', 'www.example.com')", "true"},
          {"localHostOrDomainIs('home.example.com', 'www.example.com')", "false"},
          {"dnsDomainLevels('www')", "0"},
          {"dnsDomainLevels('www.example.com')", "2"},
          {"dnsDomainLevels('')", "0"},
          {"dnsDomainLevels('...')", "3"}});
}

TEST_F(PacFunctions, NamesAreLookedUpForIPv4AndWithExForBoth) {
  expect({{"isResolvable('ten.test')", "true"},
          {"isResolvable('none.test')", "false"},
          {"isResolvable('six.test')", "false"},
          {"isResolvable('10.0.0.1')", "true"},
          {"isResolvableEx('six.test')", "true"},
          {"isResolvableEx('none.test')", "false"},
          {"dnsResolve('ten.test')", "10.1.2.3"},
          {"dnsResolve('six.test')", "null"},
          {"dnsResolve('none.test')", "null"},
          {"dnsResolve('10.0.0.1')", "10.0.0.1"},
          {"dnsResolve('::1')", "null"},
          {"dnsResolveEx('ten.test')", "2001:db8::10;10.1.2.3"},
          {"dnsResolveEx('[::1]')", "::1"},
          {"dnsResolveEx('none.test')", ""},
          {"myIpAddress()", "192.0.2.7"},
          {"myIpAddressEx()", "192.0.2.7;2001:db8::7"},
          {"getClientVersion()", "1.0"}});
}

TEST_F(PacFunctions, WhatIsNoNameIsAskedOfNobody) {
  for (const char* odd : {"''", "'a b'", "'a..b'", "'-\\0-'", "undefined + ';'", "'\\u00e9.test'", "'%00'", "'a/b'",
                          "new Array(400).join('a')", "{}", "'http://ten.test/'"}) {
    EXPECT_EQ(run("dnsResolve(" + std::string(odd) + ")"), "null") << odd;
    EXPECT_EQ(run("isResolvableEx(" + std::string(odd) + ")"), "false") << odd;
  }
  EXPECT_EQ(names_.asked, 0);
}

TEST_F(PacFunctions, WithoutIPv4OnesOwnAddressIsLoopback) {
  names_.own = {"2001:db8::7"};
  expect({{"myIpAddress()", "127.0.0.1"}, {"myIpAddressEx()", "2001:db8::7"}});
}

TEST_F(PacFunctions, NetworksAreComparedUnderTheirMask) {
  expect({{"isInNet('10.1.2.3', '10.0.0.0', '255.0.0.0')", "true"},
          {"isInNet('11.1.2.3', '10.0.0.0', '255.0.0.0')", "false"},
          {"isInNet('ten.test', '10.1.0.0', '255.255.0.0')", "true"},
          {"isInNet('out.test', '10.1.0.0', '255.255.0.0')", "false"},
          {"isInNet('none.test', '0.0.0.0', '0.0.0.0')", "false"},
          {"isInNet('six.test', '0.0.0.0', '0.0.0.0')", "false"},
          {"isInNet('10.1.2.3', '10.1.2.3', '255.255.255.255')", "true"},
          {"isInNet('10.1.2.4', '10.1.2.3', '255.255.255.254')", "false"},
          {"isInNet('200.1.2.3', '200.0.0.0', '255.0.0.0')", "true"},
          {"isInNet('10.1.2.3', '10.1', '255.255.0.0')", "true"},
          {"isInNet('10.1.2.3', 'junk', '255.0.0.0')", "false"},
          {"isInNet('10.1.2.3', '10.0.0.0')", "false"},
          {"isInNet('10.1.2.3')", "false"},
          {"isInNet()", "false"},
          {"isInNet('256.1.2.3', '0.0.0.0', '0.0.0.0')", "false"},
          {"convert_addr('1.2.3.4')", "16909060"},
          {"convert_addr('255.255.255.255')", "-1"},
          {"convert_addr('256.0.0.1')", "1"},
          {"convert_addr('1.2')", "16908288"},
          {"convert_addr('')", "0"},
          {"convert_addr('a.b.c.d')", "0"},
          {"convert_addr('-1.0.0.0')", "0"},
          {"convert_addr('99999999999999999999999.0.0.1')", "1"}});
}

TEST_F(PacFunctions, PrefixesOfBothFamilies) {
  expect({{"isInNetEx('2001:db8::10', '2001:db8::/32')", "true"},
          {"isInNetEx('2001:db9::10', '2001:db8::/32')", "false"},
          {"isInNetEx('2001:db9::10', '2001:db8::/31')", "true"},
          {"isInNetEx('ten.test', '10.1.0.0/16')", "true"},
          {"isInNetEx('ten.test', '2001:db8::/64')", "true"},
          {"isInNetEx('out.test', '10.1.0.0/16')", "false"},
          {"isInNetEx('10.1.2.3', '::/0')", "false"},
          {"isInNetEx('10.1.2.3', '0.0.0.0/0')", "true"},
          {"isInNetEx('10.1.2.3', '10.1.2.3/32')", "true"},
          {"isInNetEx('10.1.2.3', '10.1.2.3/33')", "false"},
          {"isInNetEx('10.1.2.3', '10.1.2.3/')", "false"},
          {"isInNetEx('10.1.2.3', '10.1.2.3/-1')", "false"},
          {"isInNetEx('10.1.2.3', '10.1.2.3')", "false"},
          {"isInNetEx('10.1.2.3')", "false"}});
}

TEST_F(PacFunctions, AddressListsAreSortedIPv6First) {
  expect({{"sortIpAddressList('10.2.3.9;2001:4898:28:3::2;::1;127.0.0.1;::9')",
           "::1;::9;2001:4898:28:3::2;10.2.3.9;127.0.0.1"},
          {"sortIpAddressList('9.0.0.1;10.0.0.1')", "9.0.0.1;10.0.0.1"},
          {"sortIpAddressList(' ::1 ; 10.0.0.1 ')", "::1;10.0.0.1"},
          {"sortIpAddressList('10.0.0.1')", "10.0.0.1"},
          {"sortIpAddressList('10.0.0.1;x')", ""},
          {"sortIpAddressList('')", ""},
          {"sortIpAddressList()", ""},
          {"sortIpAddressList(new Array(66).join('::1;') + '::1')", ""}});
}

TEST_F(PacFunctions, ShellPatternsAreWhatBrowsersMakeOfThem) {
  expect({{"shExpMatch('http://home.example.com/people/ari/index.html', '*/ari/*')", "true"},
          {"shExpMatch('http://home.example.com/people/montulli/', '*/ari/*')", "false"},
          {"shExpMatch('www.example.com', '*.example.com')", "true"},
          {"shExpMatch('wwwXexample.com', 'www.example.com')", "false"},
          {"shExpMatch('www.example.com', 'www.?xample.com')", "true"},
          {"shExpMatch('', '')", "true"},
          {"shExpMatch('', '*')", "true"},
          {"shExpMatch('', '?')", "false"},
          {"shExpMatch('abc', '**c')", "true"},
          {"shExpMatch('abc', 'a*b')", "false"},
          {"shExpMatch('aXbXc', 'a*b*c')", "true"},
          {"shExpMatch('a.foo.com', '(*.foo.com|*.bar.com)')", "true"},
          {"shExpMatch('a.baz.com', '(*.foo.com|*.bar.com)')", "false"},
          {"shExpMatch('h5', 'h[0-9]')", "true"},
          {"shExpMatch('hx', 'h[0-9]')", "false"},
          {"shExpMatch('aab', 'a+b')", "true"},
          {"shExpMatch('x(', 'x(')", "true"},
          {"shExpMatch('xy(z', 'x*(?')", "true"},
          {"shExpMatch('xy', 'x(')", "false"},
          {"shExpMatch('\\u00e9x', '?x')", "true"},
          {"shExpMatch('a\\nb', 'a*b')", "false"},
          {"shExpMatch(undefined, 'undefined')", "true"},
          {"shExpMatch(1, 1)", "true"}});
}

TEST(PacShellMatch, ManyStarsTakeNoTimeToSpeakOf) {
  const std::string text(20'000, 'a');
  std::string pattern;
  for (int i = 0; i < 50; ++i) pattern += "*a";
  EXPECT_EQ(match_shell(text, pattern + "b"), false);
  EXPECT_EQ(match_shell(text, pattern), true);
}

// 2026-03-04 is a Wednesday.
TEST_F(PacFunctions, WeekdaysIncludeBothEndsAndGoOverTheWeekend) {
  clock_.set(2026, 3, 4);
  expect({{"weekdayRange('WED', 'GMT')", "true"},
          {"weekdayRange('TUE', 'GMT')", "false"},
          {"weekdayRange('MON', 'WED', 'GMT')", "true"},
          {"weekdayRange('WED', 'FRI', 'GMT')", "true"},
          {"weekdayRange('THU', 'SAT', 'GMT')", "false"},
          {"weekdayRange('SAT', 'MON', 'GMT')", "false"},
          {"weekdayRange('SAT', 'WED', 'GMT')", "true"},
          {"weekdayRange('wed', 'gmt')", "true"},
          {"weekdayRange('GMT')", "false"},
          {"weekdayRange()", "false"},
          {"weekdayRange('WEDNESDAY', 'GMT')", "false"},
          {"weekdayRange('MON', 'TUE', 'WED', 'GMT')", "false"},
          {"weekdayRange(3, 'GMT')", "false"}});
}

TEST_F(PacFunctions, DatesOfEveryProfile) {
  clock_.set(2026, 12, 24);
  expect({{"dateRange(24, 'GMT')", "true"},
          {"dateRange(23, 'GMT')", "false"},
          {"dateRange(20, 24, 'GMT')", "true"},
          {"dateRange(25, 31, 'GMT')", "false"},
          {"dateRange(25, 3, 'GMT')", "false"},
          {"dateRange(24, 3, 'GMT')", "true"},
          {"dateRange('DEC', 'GMT')", "true"},
          {"dateRange('JAN', 'MAR', 'GMT')", "false"},
          {"dateRange('NOV', 'FEB', 'GMT')", "true"},
          {"dateRange(2026, 'GMT')", "true"},
          {"dateRange(2024, 2025, 'GMT')", "false"},
          {"dateRange(2025, 2027, 'GMT')", "true"},
          {"dateRange(24, 'DEC', 'GMT')", "true"},
          {"dateRange(24, 'NOV', 'GMT')", "false"},
          {"dateRange(24, 'DEC', 2026, 'GMT')", "true"},
          {"dateRange(24, 'DEC', 2025, 'GMT')", "false"},
          {"dateRange(1, 'DEC', 24, 'DEC', 'GMT')", "true"},
          {"dateRange(31, 'NOV', 1, 'DEC', 'GMT')", "false"},
          {"dateRange(15, 'DEC', 15, 'JAN', 'GMT')", "true"},
          {"dateRange('OCT', 2026, 'MAR', 2027, 'GMT')", "true"},
          {"dateRange('JAN', 2027, 'MAR', 2027, 'GMT')", "false"},
          {"dateRange(1, 'JUN', 1995, 15, 'AUG', 1995, 'GMT')", "false"},
          {"dateRange(24, 'DEC', 2026, 24, 'DEC', 2026, 'GMT')", "true"},
          {"dateRange(25, 'DEC', 2026, 24, 'DEC', 2027, 'GMT')", "false"},
          {"dateRange('24', 'GMT')", "true"}});
}

TEST_F(PacFunctions, OddDatesAreNever) {
  clock_.set(2026, 12, 24);
  for (const char* odd : {"", "'GMT'", "0, 'GMT'", "-24, 'GMT'", "24.5, 'GMT'", "NaN, 'GMT'", "Infinity, 'GMT'", "'X'",
                          "1e300", "24, 'X', 'GMT'", "1, 'DEC', 2026, 31, 'GMT'", "null", "{}", "[]", "24, 25, 26",
                          "1, 2, 3, 4, 5, 6, 7", "1, 2, 3, 4, 5, 6, 7, 8, 9, 10"}) {
    EXPECT_EQ(run("dateRange(" + std::string(odd) + ")"), "false") << odd;
  }
}

TEST_F(PacFunctions, TimesIncludeTheLastHourMinuteAndSecond) {
  clock_.set(2026, 3, 4, 17, 30, 15);
  expect({{"timeRange(17, 'GMT')", "true"},
          {"timeRange(16, 'GMT')", "false"},
          {"timeRange(9, 17, 'GMT')", "true"},
          {"timeRange(18, 20, 'GMT')", "false"},
          {"timeRange(8, 30, 17, 30, 'GMT')", "true"},
          {"timeRange(8, 30, 17, 29, 'GMT')", "false"},
          {"timeRange(22, 0, 18, 0, 'GMT')", "true"},
          {"timeRange(18, 0, 17, 0, 'GMT')", "false"},
          {"timeRange(17, 30, 0, 17, 30, 15, 'GMT')", "true"},
          {"timeRange(17, 30, 0, 17, 30, 14, 'GMT')", "false"},
          {"timeRange('9', '17', 'GMT')", "true"},
          {"timeRange('GMT')", "false"},
          {"timeRange()", "false"},
          {"timeRange(9, 17, 18, 'GMT')", "false"},
          {"timeRange(-1, 'GMT')", "false"},
          {"timeRange('x', 'GMT')", "false"},
          {"timeRange(NaN)", "false"},
          {"timeRange(1, 2, 3, 4, 5, 6, 7, 8)", "false"}});
}

TEST_F(PacFunctions, WithoutGmtTimesAreLocal) {
  const Zone zone("EST5");
  clock_.set(2026, 3, 5, 2);  // Wednesday, 21:00 there
  expect({{"timeRange(21)", "true"},
          {"timeRange(2)", "false"},
          {"timeRange(2, 'GMT')", "true"},
          {"weekdayRange('WED')", "true"},
          {"weekdayRange('THU', 'GMT')", "true"},
          {"dateRange(4)", "true"},
          {"dateRange(5, 'GMT')", "true"}});
}

TEST_F(PacFunctions, AnArgumentWithoutMeasureIsRefused) {
  EXPECT_EQ(run("dnsDomainIs(new Array(100000).join('a'), 'a')").substr(0, 40),
            "threw RangeError: an argument is too lon");
}

TEST_F(PacFunctions, WhatAnArgumentThrowsReachesTheScript) {
  expect({{"(function() { try { isPlainHostName({toString: function() { throw 7; }}); } catch (e) { return e; } })()",
           "7"},
          {"(function() { try { shExpMatch('', {toString: function() { throw 8; }}); } catch (e) { return e; } })()",
           "8"}});
}

}  // namespace
}  // namespace sluice::pac
