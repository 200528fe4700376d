#include "base/json.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <unordered_set>
#include <vector>

#include "base/json_spelling.h"
#include "base/json_writer.h"

namespace sluice {
namespace {

// Builds a Json by SAX events, so that depth, member counts and duplicate names are judged while reading.
class Builder final : public nlohmann::json_sax<Json> {
 public:
  enum class Numbers { kPlain, kSpelled };
  explicit Builder(const JsonLimits& limits, Numbers numbers = Numbers::kPlain) : limits_(limits), numbers_(numbers) {}

  bool null() override { return put(nullptr); }
  bool boolean(bool value) override { return put(value); }
  bool number_integer(number_integer_t value) override {
    // What is not negative comes as unsigned: this zero was "-0".
    if (value == 0 && numbers_ == Numbers::kSpelled) return put(spelled("-0"));
    return put(value);
  }
  bool number_unsigned(number_unsigned_t value) override { return put(value); }
  bool number_float(number_float_t value, const string_t& text) override {
    if (numbers_ == Numbers::kSpelled && Json(value).dump() != text) return put(spelled(text));
    return put(value);
  }
  bool string(string_t& value) override { return put(std::move(value)); }
  bool binary(binary_t&) override { return false; }

  bool start_object(std::size_t) override { return push(Json::object()); }
  bool start_array(std::size_t) override { return push(Json::array()); }
  bool end_object() override { return pop(); }
  bool end_array() override { return pop(); }

  bool key(string_t& name) override {
    Frame& frame = stack_.back();
    if (frame.value.size() >= limits_.max_members) {
      return refuse(Code::kTooLarge, fmt::format("an object has more than {} members", limits_.max_members));
    }
    frame.repeated = frame.holds(name);
    if (frame.repeated && limits_.refuse_duplicate_keys) {
      return refuse(Code::kInvalid, "an object has two members of the same name");
    }
    frame.key = std::move(name);
    return true;
  }

  bool parse_error(std::size_t position, const std::string&, const nlohmann::detail::exception&) override {
    return refuse(Code::kInvalid, fmt::format("not valid JSON at byte {}", position));
  }

  Result<Json> take() {
    if (error_) return fail(*std::move(error_));
    return std::move(root_);
  }
  bool failed() const { return error_.has_value(); }

 private:
  struct Frame {
    Json value;
    std::string key;
    bool repeated = false;
    std::unordered_set<std::string> names;  // once they are many

    bool holds(const std::string& name) {
      constexpr std::size_t kFew = 24;
      const auto& members = value.get_ref<const Json::object_t&>();
      if (members.size() < kFew) {
        return std::any_of(members.begin(), members.end(), [&](const auto& member) { return member.first == name; });
      }
      if (names.empty()) {
        for (const auto& member : members) names.insert(member.first);
      }
      return !names.insert(name).second;
    }
  };

  static Json spelled(std::string_view text) { return Json::binary({text.begin(), text.end()}); }

  bool refuse(Code code, std::string message) {
    if (!error_) error_ = Error{code, std::move(message)};
    return false;
  }

  bool push(Json value) {
    if (stack_.size() >= limits_.max_depth) {
      return refuse(Code::kTooLarge, fmt::format("nested deeper than {} levels", limits_.max_depth));
    }
    stack_.push_back(Frame{std::move(value), {}, false, {}});
    return true;
  }

  bool pop() {
    Json value = std::move(stack_.back().value);
    stack_.pop_back();
    return put(std::move(value));
  }

  template <class T>
  bool put(T&& value) {
    if (stack_.empty()) {
      root_ = std::forward<T>(value);
      return true;
    }
    Frame& frame = stack_.back();
    if (frame.value.is_array()) {
      frame.value.get_ref<Json::array_t&>().emplace_back(std::forward<T>(value));
      return true;
    }
    auto& members = frame.value.get_ref<Json::object_t&>();
    if (frame.repeated) {
      members[frame.key] = std::forward<T>(value);
    } else {
      // The name is known to be new: append to the vector beneath, without the map's linear search.
      static_cast<Json::object_t::Container&>(members).emplace_back(std::move(frame.key), std::forward<T>(value));
    }
    return true;
  }

  const JsonLimits& limits_;
  const Numbers numbers_;
  std::vector<Frame> stack_;
  Json root_;
  std::optional<Error> error_;
};

Result<Json> parse(std::string_view text, const JsonLimits& limits, Builder::Numbers numbers) {
  // The library takes a NUL for the end of the text and would not look at what follows; no JSON text holds one.
  if (const std::size_t nul = text.find('\0'); nul != std::string_view::npos) {
    return fail(Code::kInvalid, fmt::format("not valid JSON at byte {}", nul + 1));
  }
  Builder builder(limits, numbers);
  try {
    const bool whole = Json::sax_parse(text.begin(), text.end(), &builder);
    if (!whole && !builder.failed()) return fail(Code::kInvalid, "not valid JSON");
  } catch (const Json::exception&) {
    return fail(Code::kInvalid, "not valid JSON");
  }
  return builder.take();
}

bool has_spelling(const Json& value) {
  if (value.is_binary()) return true;
  if (!value.is_structured()) return false;
  for (const Json& one : value) {
    if (has_spelling(one)) return true;
  }
  return false;
}

void find_spellings(const Json& value, const Json& plain, NumberSpellings& found) {
  if (value.is_binary()) {
    found.emplace(&plain, spelling_of(value));
  } else if (value.is_structured()) {
    for (auto from = value.begin(), to = plain.begin(); from != value.end(); ++from, ++to) {
      find_spellings(*from, *to, found);
    }
  }
}

void make_plain(Json& value) {
  if (value.is_binary()) {
    value = parse_json(spelling_of(value)).value_or(Json());
  } else if (value.is_structured()) {
    for (Json& one : value) make_plain(one);
  }
}

}  // namespace

Result<Json> parse_json(std::string_view text, const JsonLimits& limits) {
  return parse(text, limits, Builder::Numbers::kPlain);
}

Result<Json> parse_spelled_json(std::string_view text, const JsonLimits& limits) {
  return parse(text, limits, Builder::Numbers::kSpelled);
}

bool is_spelling(const Json& value) { return value.is_binary(); }

std::string spelling_of(const Json& value) {
  const auto& octets = value.get_binary();
  return {octets.begin(), octets.end()};
}

std::string dump_spelled_json(const Json& value) {
  std::string out;
  write_json(value, Spelling::kAsRead, out);
  return out;
}

Json plain_json(const Json& value) {
  Json plain = value;
  if (has_spelling(plain)) make_plain(plain);
  return plain;
}

NumberSpellings spellings_of(const Json& value, const Json& plain) {
  NumberSpellings found;
  if (has_spelling(value)) find_spellings(value, plain, found);
  return found;
}

std::string dump_json(const Json& value, JsonStyle style) {
  if (style == JsonStyle::kIndented) return value.dump(2, ' ', false, Json::error_handler_t::replace);
  std::string out;
  write_json(value, Spelling::kOfTheLibrary, out);
  return out;
}

const Json* find_member(const Json& object, std::string_view key) {
  if (!object.is_object()) return nullptr;
  for (const auto& [name, value] : object.get_ref<const Json::object_t&>()) {
    if (name == key) return value.is_null() ? nullptr : &value;
  }
  return nullptr;
}

}  // namespace sluice
