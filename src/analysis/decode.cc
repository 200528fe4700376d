#include "analysis/decode.h"

#include <algorithm>
#include <array>

#include "analysis/body_kinds.h"
#include "analysis/clip.h"
#include "base/text.h"
#include "codings/codings.h"

namespace sluice::analysis {
namespace {

constexpr auto kNames = std::to_array<std::string_view>(
    {"", "base64", "cbor", "form", "graphql", "grpc", "json", "jwt", "msgpack", "multipart", "protobuf"});
// Base64 shorter than this is as well a word.
constexpr std::size_t kShortestBase64 = 16;

bool is_media(std::string_view type, std::initializer_list<std::string_view> names, std::string_view suffix) {
  return std::find(names.begin(), names.end(), type) != names.end() || (!suffix.empty() && type.ends_with(suffix));
}

// By the type alone; kDetect: it says nothing.
DecodeAs by_type(std::string_view content_type) {
  const std::string type = to_lower(trim(content_type.substr(0, content_type.find(';'))));
  if (type.starts_with("application/grpc")) return DecodeAs::kGrpc;
  if (type.starts_with("multipart/")) return DecodeAs::kMultipart;
  if (type == "application/x-www-form-urlencoded") return DecodeAs::kForm;
  if (is_media(type, {"application/jwt"}, "+jwt")) return DecodeAs::kJwt;
  if (type == "application/graphql") return DecodeAs::kGraphql;
  if (is_media(type, {"application/cbor", "application/cbor-seq"}, "+cbor")) return DecodeAs::kCbor;
  if (is_media(type, {"application/msgpack", "application/x-msgpack", "application/vnd.msgpack"}, "+msgpack")) {
    return DecodeAs::kMsgpack;
  }
  if (is_media(type, {"application/protobuf", "application/x-protobuf", "application/vnd.google.protobuf"}, "+proto")) {
    return DecodeAs::kProtobuf;
  }
  if (is_media(type, {"application/json", "text/json", "application/x-ndjson", "application/jsonl"}, "+json")) {
    return DecodeAs::kJson;
  }
  return DecodeAs::kDetect;
}

std::string_view trimmed(Bytes octets) {
  constexpr std::string_view kBlanks = " \t\r\n";
  const std::size_t start = octets.find_first_not_of(kBlanks);
  if (start == Bytes::npos) return {};
  return octets.substr(start, octets.find_last_not_of(kBlanks) - start + 1);
}

bool is_text(Bytes octets) {
  const auto control = [](char c) {
    return static_cast<unsigned char>(c) < 0x20 && c != '\n' && c != '\r' && c != '\t';
  };
  return is_utf8(octets) && std::none_of(octets.begin(), octets.end(), control);
}

class Unwrapper {
 public:
  explicit Unwrapper(const DecodeOptions& options) : options_(options) {}

  Decoding run(Bytes octets) {
    const DecodeAs said = options_.as != DecodeAs::kDetect ? options_.as : by_type(options_.content_type);
    if (said == DecodeAs::kBase64) {
      if (!open_base64(octets)) made_.problem = "not base64";
      return std::move(made_);
    }
    if (said == DecodeAs::kDetect) {
      look(octets);
    } else if (auto value = read(said, octets)) {
      take(said, *std::move(value));
    } else {
      made_.problem = value.error().message;
    }
    return std::move(made_);
  }

 private:
  Result<Json> read(DecodeAs as, Bytes octets) const { return read_body_kind(as, octets, options_); }

  void take(DecodeAs as, Json value) {
    made_.chain.emplace_back(to_string(as));
    if (as == DecodeAs::kJson) {
      if (auto graphql = graphql_of_json(value)) {
        made_.chain.emplace_back(to_string(DecodeAs::kGraphql));
        value = *std::move(graphql);
      }
    }
    made_.value = std::move(value);
  }

  // No type says what it is.
  void look(Bytes octets) {
    const std::string_view text = trimmed(octets);
    if (text.starts_with('{') || text.starts_with('[')) {
      if (auto json = read(DecodeAs::kJson, octets)) return take(DecodeAs::kJson, *std::move(json));
    }
    if (looks_like_jwt(text)) {
      if (auto jwt = read(DecodeAs::kJwt, octets)) return take(DecodeAs::kJwt, *std::move(jwt));
    }
    if (octets.starts_with("\x1f\x8b") && open_gzip(octets)) return;
    if (text.size() >= kShortestBase64 && open_base64(octets)) return;
    if (made_.chain.empty()) {
      made_.problem = "nothing says what this is: name it with `as`, or read it with proxy_get_exchange";
    } else {
      show_plain(octets);
    }
  }

  // What came out of a wrapping is worth showing, whatever it is.
  void show_plain(Bytes octets) {
    const std::string shown = options_.redactor ? options_.redactor->mask_body(octets, "").text : std::string(octets);
    made_.value = is_text(octets) ? shown : octets_text(shown);
  }

  bool enter(std::string_view name) {
    if (made_.chain.size() >= kMostWrappings) return false;
    made_.chain.emplace_back(name);
    return true;
  }

  bool open_gzip(Bytes octets) {
    const codings::Decoded decoded = codings::decode_all(octets, "gzip", kMostDecodeInput);
    if (decoded.text == octets || decoded.text.empty() || !enter("gzip")) return false;
    if (!decoded.complete) made_.problem = decoded.problem;
    look(decoded.text);
    return true;
  }

  bool open_base64(Bytes octets) {
    std::string text(trimmed(octets));
    std::erase_if(text, [](char c) { return c == '\r' || c == '\n'; });
    const auto decoded = base64_decode(text);
    if (!decoded || decoded->empty()) return false;
    // Long words are base64 by accident: then nothing sensible comes out.
    const bool sensible = is_text(*decoded) || decoded->starts_with("\x1f\x8b") || options_.as == DecodeAs::kBase64;
    if (!sensible || !enter("base64")) return false;
    look(*decoded);
    return true;
  }

  const DecodeOptions& options_;
  Decoding made_;
};

}  // namespace

std::string_view to_string(DecodeAs as) { return kNames[static_cast<std::size_t>(as)]; }

std::optional<DecodeAs> find_decoding(std::string_view name) {
  const auto found = std::find(kNames.begin() + 1, kNames.end(), name);
  if (found == kNames.end()) return std::nullopt;
  return static_cast<DecodeAs>(found - kNames.begin());
}

Decoding decode(Bytes octets, const DecodeOptions& options) { return Unwrapper(options).run(octets); }

DecodedWindow window_of(Json value, std::size_t offset, std::size_t limit) {
  DecodedWindow window;
  const auto bounds = [&](std::size_t total) {
    window.total = total;
    const std::size_t begin = std::min(offset, total), end = begin + std::min(limit, total - begin);
    if (end < total) window.next_offset = end;
    return std::pair(static_cast<std::ptrdiff_t>(begin), static_cast<std::ptrdiff_t>(end));
  };
  if (value.is_array()) {
    auto& items = value.get_ref<Json::array_t&>();
    const auto [begin, end] = bounds(items.size());
    window.value =
        Json::array_t(std::make_move_iterator(items.begin() + begin), std::make_move_iterator(items.begin() + end));
  } else if (value.is_object()) {
    auto& members = static_cast<Json::object_t::Container&>(value.get_ref<Json::object_t&>());
    const auto [begin, end] = bounds(members.size());
    window.value = Json::object();
    auto& kept = static_cast<Json::object_t::Container&>(window.value.get_ref<Json::object_t&>());
    for (auto i = begin; i < end; ++i) {
      auto& member = members[static_cast<std::size_t>(i)];
      kept.emplace_back(member.first, std::move(member.second));
    }
  } else if (value.is_string()) {
    const auto& text = value.get_ref<const std::string&>();
    const auto [begin, end] = bounds(text.size());
    std::string part = text.substr(static_cast<std::size_t>(begin), static_cast<std::size_t>(end - begin));
    if (window.next_offset) trim_unfinished(part);
    if (window.next_offset)
      window.next_offset = static_cast<std::size_t>(begin) + std::max<std::size_t>(part.size(), 1);
    window.value = std::move(part);
  } else {
    window.value = std::move(value);
  }
  return window;
}

}  // namespace sluice::analysis
