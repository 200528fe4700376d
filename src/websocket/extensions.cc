// Sec-WebSocket-Extensions as RFC 6455 §9.1 spells it: extension; name=value; name="value", extension …
#include "base/text.h"
#include "websocket/deflate.h"

namespace sluice::websocket {
namespace {

bool is_token_octet(char c) {  // RFC 9110 §5.6.2
  constexpr std::string_view kMarks = "!#$%&'*+-.^_`|~";
  const char lower = ascii_lower(c);
  return (lower >= 'a' && lower <= 'z') || (c >= '0' && c <= '9') || (c != '\0' && kMarks.find(c) != kMarks.npos);
}

class Scanner {
 public:
  explicit Scanner(std::string_view text) : rest_(text) {}
  bool at_end() {
    skip_blanks();
    return rest_.empty();
  }
  bool take(char c) {
    skip_blanks();
    if (!rest_.starts_with(c)) return false;
    rest_.remove_prefix(1);
    return true;
  }
  // Empty: there is none.
  std::string take_token() {
    skip_blanks();
    std::size_t length = 0;
    while (length < rest_.size() && is_token_octet(rest_[length])) ++length;
    std::string token(rest_.substr(0, length));
    rest_.remove_prefix(length);
    return token;
  }
  // §9.1: what is quoted must be a token once the quotes and backslashes are gone.
  std::string take_value() {
    if (!take('"')) return take_token();
    std::string value;
    while (!rest_.empty() && rest_.front() != '"') {
      if (rest_.front() == '\\') rest_.remove_prefix(1);
      if (rest_.empty() || !is_token_octet(rest_.front())) return "";
      value.push_back(rest_.front());
      rest_.remove_prefix(1);
    }
    return take('"') ? value : "";
  }

 private:
  void skip_blanks() {
    while (rest_.starts_with(' ') || rest_.starts_with('\t')) rest_.remove_prefix(1);
  }
  std::string_view rest_;
};

struct Parameter {
  std::string name;
  std::optional<std::string> value;
};

tl::unexpected<Error> malformed() {
  return fail(Code::kInvalid, "RFC 6455 §9.1: Sec-WebSocket-Extensions cannot be read");
}

// §7.1.2: 8 to 15, without leading zeros.
std::optional<int> parse_window_bits(const std::optional<std::string>& value) {
  if (!value) return std::nullopt;
  for (int bits = 8; bits <= 15; ++bits) {
    if (*value == std::to_string(bits)) return bits;
  }
  return std::nullopt;
}

class DeflateAnswer {
 public:
  Status add(const Parameter& parameter) {
    if (iequals(parameter.name, "server_no_context_takeover")) return set_flag(kServerFresh, parameter);
    if (iequals(parameter.name, "client_no_context_takeover")) return set_flag(kClientFresh, parameter);
    if (iequals(parameter.name, "server_max_window_bits")) return set_bits(kServerBits, parameter);
    if (iequals(parameter.name, "client_max_window_bits")) return set_bits(kClientBits, parameter);
    return fail(Code::kInvalid, "RFC 7692 §7.1: permessage-deflate has no such parameter");
  }
  const DeflateParameters& parameters() const { return parameters_; }

 private:
  enum Which : unsigned { kServerFresh = 1, kClientFresh = 2, kServerBits = 4, kClientBits = 8 };
  Status once(Which which) {
    if ((seen_ & which) != 0) return fail(Code::kInvalid, "RFC 7692 §7.1: a parameter is given twice");
    seen_ |= which;
    return {};
  }
  Status set_flag(Which which, const Parameter& parameter) {
    SLUICE_CHECK(once(which));
    if (parameter.value) return fail(Code::kInvalid, "RFC 7692 §7.1.1: the parameter has no value");
    (which == kServerFresh ? parameters_.server_no_context_takeover : parameters_.client_no_context_takeover) = true;
    return {};
  }
  Status set_bits(Which which, const Parameter& parameter) {
    SLUICE_CHECK(once(which));
    const auto bits = parse_window_bits(parameter.value);
    if (!bits) return fail(Code::kInvalid, "RFC 7692 §7.1.2: a window has 8 to 15 bits");
    (which == kServerBits ? parameters_.server_max_window_bits : parameters_.client_max_window_bits) = *bits;
    return {};
  }
  DeflateParameters parameters_;
  unsigned seen_ = 0;
};

}  // namespace

Result<Extensions> parse_extensions(std::string_view answer) {
  Extensions extensions;
  Scanner scanner(answer);
  while (!scanner.at_end()) {
    if (scanner.take(',')) continue;  // RFC 9110 §5.6.1.2: empty elements are skipped
    const std::string name = scanner.take_token();
    if (name.empty()) return malformed();
    const bool is_deflate = iequals(name, "permessage-deflate");
    if (is_deflate && extensions.deflate) {
      return fail(Code::kInvalid, "RFC 7692 §5.1: permessage-deflate is agreed to twice");
    }
    DeflateAnswer deflate;
    while (scanner.take(';')) {
      Parameter parameter{scanner.take_token(), std::nullopt};
      if (parameter.name.empty()) return malformed();
      if (scanner.take('=')) {
        parameter.value = scanner.take_value();
        if (parameter.value->empty()) return malformed();
      }
      if (is_deflate) SLUICE_CHECK(deflate.add(parameter));
    }
    if (is_deflate)
      extensions.deflate = deflate.parameters();
    else
      extensions.others = true;
    if (!scanner.at_end() && !scanner.take(',')) return malformed();
  }
  return extensions;
}

}  // namespace sluice::websocket
