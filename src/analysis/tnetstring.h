// Typed netstrings, which mitmproxy's flow files are made of: `<octets>:<payload><type>`, the type one of `,` octets,
// `;` text, `#` integer, `^` number, `!` true or false, `~` nothing, `]` list and `}` dictionary, whose payloads are
// such strings themselves (tnetstrings.info; text is mitmproxy's). docs/formats/flows.md. Pure.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"

namespace sluice::analysis {

// A value, as views into what was parsed.
struct TnetValue {
  enum class Type : std::uint8_t { kNothing, kOctets, kText, kInteger, kNumber, kFlag, kList, kDictionary };
  Type type = Type::kNothing;
  std::string_view text;         // of octets and text
  std::int64_t integer = 0;      // of an integer; of a flag 0 or 1
  double number = 0;             // of a number, and of an integer
  std::vector<TnetValue> items;  // of a dictionary: key, value, key, …

  const TnetValue* find(std::string_view key) const;  // nullptr: no dictionary that has it
  bool is_text() const { return type == Type::kOctets || type == Type::kText; }
  bool is_number() const { return type == Type::kInteger || type == Type::kNumber; }
};

// One whole value. kInvalid: damaged; kTooLarge: nested beyond 32, or more than a million values.
Result<TnetValue> parse_tnet(std::string_view text);

// The values of a file one after another, as its octets come: memory is bounded by the longest.
class TnetValues {
 public:
  static constexpr ByteCount kMost = 512 * kMiB;  // of one value
  explicit TnetValues(ByteCount most = kMost) : most_(most) {}
  // kInvalid: no value begins there, or one without an end; the same answer ever after.
  Status feed(Bytes octets);
  std::optional<std::string> next();
  // kInvalid: cut off.
  Status finish() const;

 private:
  const ByteCount most_;
  std::optional<Error> failed_;
  ByteCount passed_ = 0;
  std::string waiting_;
  std::size_t needed_ = 0;  // octets of the value under way; 0: not known yet
  std::deque<std::string> ready_;
};

// Text in parts, so that what is long is not copied at each level.
class TnetText {
 public:
  static TnetText octets(std::string value) { return leaf(std::move(value), ','); }
  static TnetText text(std::string value) { return leaf(std::move(value), ';'); }
  static TnetText integer(std::int64_t value) { return leaf(std::to_string(value), '#'); }
  static TnetText number(double value);
  static TnetText flag(bool value) { return leaf(value ? "true" : "false", '!'); }
  static TnetText nothing() { return leaf("", '~'); }
  static TnetText list(std::vector<TnetText> items) { return container(std::move(items), ']'); }
  // key, value, key, …
  static TnetText dictionary(std::vector<std::pair<std::string, TnetText>> members);
  const std::deque<std::string>& parts() const { return parts_; }

 private:
  static TnetText leaf(std::string value, char type);
  static TnetText container(std::vector<TnetText> items, char type);

  std::deque<std::string> parts_;
  ByteCount size_ = 0;
};

}  // namespace sluice::analysis
