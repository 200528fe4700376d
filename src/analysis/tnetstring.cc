#include "analysis/tnetstring.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <iterator>

namespace sluice::analysis {
namespace {

constexpr std::size_t kMostDepth = 32, kMostValues = 1'000'000, kMostDigits = 12;

using Type = TnetValue::Type;

tl::unexpected<Error> damaged(const char* what) { return fail(Code::kInvalid, std::string("damaged: ") + what + "."); }

struct Frame {
  std::size_t begin = 0, length = 0;  // of the payload; the type stands behind it
};

// "12:…": nullopt: more octets are needed to know.
Result<std::optional<Frame>> frame_of(std::string_view text) {
  const std::size_t digits = std::min(text.find_first_not_of("0123456789"), text.size());
  if (digits > kMostDigits) return damaged("a length that is too long");
  if (digits == text.size()) return std::nullopt;
  if (digits == 0 || text[digits] != ':') return damaged("a value without its length");
  Frame frame;
  frame.begin = digits + 1;
  for (const char c : text.substr(0, digits)) frame.length = frame.length * 10 + static_cast<std::size_t>(c - '0');
  return frame;
}

class Parser {
 public:
  Result<TnetValue> parse(std::string_view& rest, std::size_t depth) {
    if (depth > kMostDepth) return fail(Code::kTooLarge, "nested too deep.");
    if (++values_ > kMostValues) return fail(Code::kTooLarge, "more than a million values.");
    SLUICE_TRY(const auto frame, frame_of(rest));
    if (!frame || rest.size() < frame->begin || rest.size() - frame->begin < frame->length + 1) {
      return damaged("a value that is cut off");
    }
    const std::string_view payload = rest.substr(frame->begin, frame->length);
    const char type = rest[frame->begin + frame->length];
    rest.remove_prefix(frame->begin + frame->length + 1);
    return value(type, payload, depth);
  }

 private:
  Result<TnetValue> value(char type, std::string_view payload, std::size_t depth) {
    TnetValue out;
    switch (type) {
      case ',':
      case ';':
        out.type = type == ',' ? Type::kOctets : Type::kText;
        out.text = payload;
        return out;
      case '#':
        out.type = Type::kInteger;
        if (!read(payload, out.integer)) return damaged("an integer that is none");
        out.number = static_cast<double>(out.integer);
        return out;
      case '^':
        out.type = Type::kNumber;
        if (!read(payload, out.number) || !std::isfinite(out.number)) return damaged("a number that is none");
        return out;
      case '!':
        out.type = Type::kFlag;
        out.integer = payload == "true" ? 1 : 0;
        if (payload != "true" && payload != "false") return damaged("a flag that is none");
        return out;
      case '~':
        if (!payload.empty()) return damaged("nothing that is something");
        return out;
      case ']':
      case '}':
        out.type = type == ']' ? Type::kList : Type::kDictionary;
        while (!payload.empty()) {
          SLUICE_TRY(TnetValue item, parse(payload, depth + 1));
          out.items.push_back(std::move(item));
        }
        if (type == '}' && !keys_are_text(out.items)) return damaged("a dictionary without keys");
        return out;
      default:
        return damaged("a type that is none");
    }
  }

  static bool keys_are_text(const std::vector<TnetValue>& items) {
    if (items.size() % 2 != 0) return false;
    for (std::size_t i = 0; i < items.size(); i += 2) {
      if (!items[i].is_text()) return false;
    }
    return true;
  }
  template <class Number>
  static bool read(std::string_view text, Number& number) {
    const auto done = std::from_chars(text.data(), text.data() + text.size(), number);
    return done.ec == std::errc() && done.ptr == text.data() + text.size();
  }

  std::size_t values_ = 0;
};

}  // namespace

const TnetValue* TnetValue::find(std::string_view key) const {
  if (type != Type::kDictionary) return nullptr;
  for (std::size_t i = 0; i + 1 < items.size(); i += 2) {
    if (items[i].text == key) return &items[i + 1];
  }
  return nullptr;
}

Result<TnetValue> parse_tnet(std::string_view text) {
  SLUICE_TRY(TnetValue value, Parser().parse(text, 0));
  if (!text.empty()) return damaged("something behind its end");
  return value;
}

Status TnetValues::feed(Bytes octets) {
  if (failed_) return fail(*failed_);
  waiting_ += octets;
  std::size_t taken = 0;
  for (;;) {
    const std::string_view rest = std::string_view(waiting_).substr(taken);
    if (needed_ == 0) {
      if (rest.empty()) break;
      const auto frame = frame_of(rest);
      const bool good = frame && (!*frame || (*frame)->length <= most_);
      if (!good) {
        failed_ =
            Error{Code::kInvalid, fmt::format("This is no flow file, or it is damaged, at octet {}.", passed_ + 1)};
        if (frame) failed_->message = fmt::format("The flow at octet {} is larger than can be read.", passed_ + 1);
        return fail(*failed_);
      }
      if (!*frame) break;
      needed_ = (*frame)->begin + (*frame)->length + 1;
    }
    if (rest.size() < needed_) break;
    ready_.emplace_back(rest.substr(0, needed_));
    taken += needed_;
    passed_ += needed_;
    needed_ = 0;
  }
  waiting_.erase(0, taken);
  return {};
}

std::optional<std::string> TnetValues::next() {
  if (ready_.empty()) return std::nullopt;
  std::string value = std::move(ready_.front());
  ready_.pop_front();
  return value;
}

Status TnetValues::finish() const {
  if (failed_) return fail(*failed_);
  if (waiting_.empty()) return {};
  return fail(Code::kInvalid, fmt::format("The flow file ends in the middle of the flow at octet {}.", passed_ + 1));
}

// ---- writing ----

TnetText TnetText::leaf(std::string value, char type) {
  TnetText out;
  out.parts_.push_back(fmt::format("{}:", value.size()));
  value += type;
  out.parts_.push_back(std::move(value));
  out.size_ = out.parts_[0].size() + out.parts_[1].size();
  return out;
}

TnetText TnetText::number(double value) {
  std::string text = fmt::format("{}", value);
  return leaf(std::move(text), '^');
}

TnetText TnetText::container(std::vector<TnetText> items, char type) {
  TnetText out;
  for (TnetText& item : items) {
    out.size_ += item.size_;
    std::move(item.parts_.begin(), item.parts_.end(), std::back_inserter(out.parts_));
  }
  out.parts_.push_front(fmt::format("{}:", out.size_));
  out.parts_.push_back(std::string(1, type));
  out.size_ += out.parts_.front().size() + 1;
  return out;
}

TnetText TnetText::dictionary(std::vector<std::pair<std::string, TnetText>> members) {
  std::vector<TnetText> items;
  for (auto& [key, value] : members) {
    items.push_back(text(key));
    items.push_back(std::move(value));
  }
  return container(std::move(items), '}');
}

}  // namespace sluice::analysis
