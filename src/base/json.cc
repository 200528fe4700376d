#include "base/json.h"

#include <fmt/format.h>

#include <optional>
#include <unordered_set>
#include <vector>

namespace sluice {
namespace {

// Builds a Json by SAX events, so that depth, member counts and duplicate names are judged while reading.
class Builder : public nlohmann::json_sax<Json> {
 public:
  explicit Builder(const JsonLimits& limits) : limits_(limits) {}

  bool null() override { return put(nullptr); }
  bool boolean(bool value) override { return put(value); }
  bool number_integer(number_integer_t value) override { return put(value); }
  bool number_unsigned(number_unsigned_t value) override { return put(value); }
  bool number_float(number_float_t value, const string_t&) override { return put(value); }
  bool string(string_t& value) override { return put(std::move(value)); }
  bool binary(binary_t&) override { return false; }

  bool start_object(std::size_t) override { return push(Json::object()); }
  bool start_array(std::size_t) override { return push(Json::array()); }
  bool end_object() override { return pop(); }
  bool end_array() override { return pop(); }

  bool key(string_t& name) override {
    Frame& frame = stack_.back();
    if (frame.names.size() >= limits_.max_members) {
      return refuse(Code::kTooLarge, fmt::format("an object has more than {} members", limits_.max_members));
    }
    frame.repeated = !frame.names.insert(name).second;
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
    std::unordered_set<std::string> names;
  };

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
  std::vector<Frame> stack_;
  Json root_;
  std::optional<Error> error_;
};

}  // namespace

Result<Json> parse_json(std::string_view text, const JsonLimits& limits) {
  // The library takes a NUL for the end of the text and would not look at what follows; no JSON text holds one.
  if (const std::size_t nul = text.find('\0'); nul != std::string_view::npos) {
    return fail(Code::kInvalid, fmt::format("not valid JSON at byte {}", nul + 1));
  }
  Builder builder(limits);
  try {
    const bool whole = Json::sax_parse(text.begin(), text.end(), &builder);
    if (!whole && !builder.failed()) return fail(Code::kInvalid, "not valid JSON");
  } catch (const Json::exception&) {
    return fail(Code::kInvalid, "not valid JSON");
  }
  return builder.take();
}

std::string dump_json(const Json& value, JsonStyle style) {
  try {
    return value.dump(style == JsonStyle::kIndented ? 2 : -1, ' ', false, Json::error_handler_t::replace);
  } catch (const Json::exception&) {
    return "null";  // binary values and the like, which nothing here makes
  }
}

const Json* find_member(const Json& object, std::string_view key) {
  if (!object.is_object()) return nullptr;
  for (const auto& [name, value] : object.get_ref<const Json::object_t&>()) {
    if (name == key) return value.is_null() ? nullptr : &value;
  }
  return nullptr;
}

}  // namespace sluice
