#include "gateway/masking.h"

#include <algorithm>
#include <array>
#include <string_view>

#include "base/json_pointer.h"
#include "base/text.h"
#include "session/manifest.h"

namespace sluice::gateway {
namespace {

// How the strings of a member are to be read.
enum class Meaning { kMember, kHeaders, kUrl, kHead, kBody };

Meaning meaning_of(std::string_view name, const Json& value) {
  if (value.is_object()) {
    const bool headers = name == "headers" || name == "updateHeaders" || name == "expected" || name == "actual";
    // A check called "headers" has objects in it: those are looked into as such.
    const bool flat = std::all_of(value.begin(), value.end(), [](const Json& v) { return !v.is_structured(); });
    return headers && flat ? Meaning::kHeaders : Meaning::kMember;
  }
  if (name == "url" || name == "path" || name == "location") return Meaning::kUrl;
  if (name == "startLine" || name == "start_line") return Meaning::kHead;
  if (name == "bodyPreview" || name == "body_preview" || name == "body" || name == "text" || name == "expected" ||
      name == "actual") {
    return Meaning::kBody;
  }
  return Meaning::kMember;
}

std::string content_type_of(const Json& holder) {
  if (const Json* type = find_member(holder, "contentType"); type && type->is_string()) return type->get<std::string>();
  const Json* headers = find_member(holder, "headers");
  const Json* type = headers ? find_member(*headers, "content-type") : nullptr;
  return type && type->is_string() ? type->get<std::string>() : "";
}

class Walker {
 public:
  Walker(const Redactor& redactor, std::vector<std::string>& pointers) : redactor_(redactor), pointers_(pointers) {}

  void walk(Json& value, std::string& pointer) {
    if (value.is_object()) return walk_object(value, pointer);
    if (!value.is_array()) return;
    const std::size_t length = pointer.size();
    for (std::size_t i = 0; i < value.size(); ++i) {
      pointer += "/" + std::to_string(i);
      if (value[i].is_string()) {
        put(value[i], redactor_.mask_text(text_of(value[i])), pointer);
      } else {
        walk(value[i], pointer);
      }
      pointer.resize(length);
    }
  }

 private:
  static const std::string& text_of(const Json& value) { return value.get_ref<const std::string&>(); }

  void put(Json& value, Redacted redacted, const std::string& pointer) {
    // Tools that cut windows out of bodies have masked them already.
    if (!redacted.masked && !holds_mask(redacted.text)) return;
    value = std::move(redacted.text);
    pointers_.push_back(pointer);
  }

  // What a member is called may be a secret, too, where a request that carries one gives the name. First, since
  // pointers name members.
  void mask_names(Json& object) const {
    auto& members = object.get_ref<Json::object_t&>();
    const auto is_secret = [&](const auto& member) { return redactor_.mask_known(member.first).masked; };
    if (std::none_of(members.begin(), members.end(), is_secret)) return;
    Json renamed = Json::object();
    for (auto& [name, member] : members) renamed[redactor_.mask_known(name).text] = std::move(member);
    object = std::move(renamed);
  }

  void walk_object(Json& object, std::string& pointer) {
    mask_names(object);
    const std::size_t length = pointer.size();
    const std::string type = content_type_of(object);
    const std::string header = pair_name(object);
    for (auto& [name, member] : object.get_ref<Json::object_t&>()) {
      pointer += "/" + pointer_segment(name);
      const Meaning meaning = meaning_of(name, member);
      if (member.is_string()) {
        put(member, masked(name, text_of(member), meaning, header, type), pointer);
      } else if (meaning == Meaning::kHeaders) {
        walk_headers(member, pointer);
      } else if (member.is_array() && (name == "headers" || name == "header_pairs")) {
        walk_pairs(member, pointer);
      } else {
        walk(member, pointer);
      }
      pointer.resize(length);
    }
  }

  // An entry of `extract` of proxy_replay_session says where a value is to be taken from, and holds none.
  static bool is_extract(const Json& object) {
    constexpr std::array<std::string_view, 5> kMembers{"name", "exchange_id", "header", "regex", "pointer"};
    const auto known = [&](const auto& member) {
      return std::find(kMembers.begin(), kMembers.end(), member.first) != kMembers.end();
    };
    const auto& members = object.get_ref<const Json::object_t&>();
    return object.contains("exchange_id") && std::all_of(members.begin(), members.end(), known);
  }

  // {"name": N, "value": V} and {"header": N, "expected": V, "actual": V}: N, or "".
  static std::string pair_name(const Json& object) {
    if (is_extract(object)) return "";
    const Json* name = find_member(object, "header");
    if (!name && object.size() == 2 && object.contains("value")) name = find_member(object, "name");
    return name && name->is_string() ? name->get<std::string>() : "";
  }

  Redacted masked(const std::string& name, const std::string& text, Meaning meaning, const std::string& header,
                  const std::string& type) const {
    if (!header.empty() && name != "name" && name != "header") return redactor_.mask_header_value(header, text);
    switch (meaning) {
      case Meaning::kUrl:
        return redactor_.mask_url(text);
      case Meaning::kHead:
        return redactor_.mask_head(text);
      case Meaning::kBody:
        return redactor_.mask_body(text, type);
      case Meaning::kMember:
      case Meaning::kHeaders:
        break;
    }
    // That of a recording is a name that we gave, and no secret as other session ids are.
    if ((name == "sessionId" || name == "session_id") && session::is_session_id(text)) return {text, false};
    return redactor_.mask_member(name, text);
  }

  void walk_headers(Json& headers, std::string& pointer) {
    mask_names(headers);
    const std::size_t length = pointer.size();
    for (auto& [name, value] : headers.get_ref<Json::object_t&>()) {
      if (!value.is_string()) continue;
      pointer += "/" + pointer_segment(name);
      put(value, redactor_.mask_header_value(name, text_of(value)), pointer);
      pointer.resize(length);
    }
  }

  // [[name, value], …]; what is no pair is looked into as anything else.
  void walk_pairs(Json& pairs, std::string& pointer) {
    const std::size_t length = pointer.size();
    for (std::size_t i = 0; i < pairs.size(); ++i) {
      Json& pair = pairs[i];
      pointer += "/" + std::to_string(i);
      if (pair.is_array() && pair.size() == 2 && pair[0].is_string() && pair[1].is_string()) {
        const std::size_t pair_length = pointer.size();
        pointer += "/1";
        put(pair[1], redactor_.mask_header_value(text_of(pair[0]), text_of(pair[1])), pointer);
        pointer.resize(pair_length);
        if (Redacted name = redactor_.mask_known(text_of(pair[0])); name.masked) put(pair[0], name, pointer + "/0");
      } else {
        walk(pair, pointer);
      }
      pointer.resize(length);
    }
  }

  const Redactor& redactor_;
  std::vector<std::string>& pointers_;
};

}  // namespace

void mask_answer(Json& answer, const Redactor& redactor, std::vector<std::string>& pointers) {
  std::string pointer;
  Walker(redactor, pointers).walk(answer, pointer);
}

}  // namespace sluice::gateway
