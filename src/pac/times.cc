// weekdayRange, dateRange and timeRange: ends included, and where the first lies behind the second the range goes over
// the year's (week's, day's) end. A last argument "GMT" means UTC; else it is the machine's local time.
#include <array>
#include <charconv>
#include <cmath>
#include <ctime>
#include <vector>

#include "base/text.h"
#include "pac/functions.h"

namespace sluice::pac {
namespace {

constexpr std::array<std::string_view, 7> kDays{"SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"};
constexpr std::array<std::string_view, 12> kMonths{"JAN", "FEB", "MAR", "APR", "MAY", "JUN",
                                                   "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"};

template <std::size_t N>
std::optional<int> index_of(const std::array<std::string_view, N>& names, std::string_view name) {
  for (std::size_t i = 0; i < N; ++i) {
    if (iequals(names[i], name)) return static_cast<int>(i);
  }
  return std::nullopt;
}

// Takes "GMT" off the end.
std::tm now(Surroundings& around, Arguments& given) {
  const std::time_t time = std::chrono::system_clock::to_time_t(
      std::chrono::time_point_cast<std::chrono::system_clock::duration>(around.clock.wall()));
  std::tm parts{};
  if (!given.empty() && iequals(given.back().text, "GMT")) {
    given = given.first(given.size() - 1);
    ::gmtime_r(&time, &parts);
  } else {
    ::localtime_r(&time, &parts);
  }
  return parts;
}

// A whole number, also one written as a string.
std::optional<int> whole(const Argument& argument) {
  if (argument.number) {
    if (!(std::abs(*argument.number) < 1e6) || *argument.number != std::floor(*argument.number)) return std::nullopt;
    return static_cast<int>(*argument.number);
  }
  int value = 0;
  const std::string_view text = trim(argument.text);
  const auto end = text.data() + text.size();
  if (text.empty() || text.size() > 6 || std::from_chars(text.data(), end, value).ptr != end) return std::nullopt;
  return value;
}

template <class T>
bool is_between(const T& first, const T& at, const T& last) {
  return first <= last ? first <= at && at <= last : at >= first || at <= last;
}

// Year, month, day as far as they were given; the others are 0 and equal everywhere.
struct Date {
  std::array<int, 3> parts{};
  std::array<bool, 3> given{};
};

std::optional<Date> parse_date(Arguments given) {
  Date date;
  for (const Argument& argument : given) {
    std::size_t part = 1;
    std::optional<int> value = index_of(kMonths, argument.text);
    if (!value) {
      value = whole(argument);
      if (!value || *value < 1) return std::nullopt;
      part = *value <= 31 ? 2 : 0;
    }
    if (date.given[part]) return std::nullopt;
    date.given[part] = true;
    date.parts[part] = *value;
  }
  return date;
}

}  // namespace

Value weekday_range(Surroundings& around, Arguments given) {
  const int today = now(around, given).tm_wday;
  if (given.empty() || given.size() > 2) return false;
  const auto first = index_of(kDays, given.front().text), last = index_of(kDays, given.back().text);
  return first && last && is_between(*first, today, *last);
}

Value date_range(Surroundings& around, Arguments given) {
  const std::tm today = now(around, given);
  if (given.empty() || given.size() > 6) return false;
  const auto whole_date = parse_date(given);  // 24, "DEC": one date
  const std::size_t half = given.size() / 2;
  const auto first = whole_date ? whole_date : parse_date(given.first(half));
  const auto last = whole_date ? whole_date : parse_date(given.subspan(half));
  if (!first || !last || first->given != last->given) return false;
  std::array<int, 3> at{today.tm_year + 1900, today.tm_mon, today.tm_mday};
  for (std::size_t i = 0; i < at.size(); ++i) {
    if (!first->given[i]) at[i] = 0;
  }
  return is_between(first->parts, at, last->parts);
}

Value time_range(Surroundings& around, Arguments given) {
  const std::tm today = now(around, given);
  std::vector<int> numbers;
  for (const Argument& argument : given) {
    const auto number = whole(argument);
    if (!number || *number < 0 || numbers.size() == 6) return false;
    numbers.push_back(*number);
  }
  using Time = std::array<int, 3>;
  const Time at{today.tm_hour, today.tm_min, today.tm_sec};
  switch (numbers.size()) {
    case 1:
      return at[0] == numbers[0];
    case 2:  // the last hour is in it to its end, and nothing goes over midnight: so it is in browsers
      return numbers[0] <= at[0] && at[0] <= numbers[1];
    case 4:  // ... and here the last minute
      return is_between(Time{numbers[0], numbers[1], 0}, at, Time{numbers[2], numbers[3], 59});
    case 6:
      return is_between(Time{numbers[0], numbers[1], numbers[2]}, at, Time{numbers[3], numbers[4], numbers[5]});
    default:
      return false;
  }
}

}  // namespace sluice::pac
