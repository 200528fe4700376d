#include "analysis/json_schema.h"

#include <algorithm>

#include "analysis/flow_view.h"
#include "analysis/segment.h"
#include "base/secret_names.h"
#include "base/text.h"

namespace sluice::analysis {
namespace {

constexpr std::size_t kFormatFrom = 3;     // strings
constexpr std::size_t kMostItems = 100;    // of one array that are looked at, evenly
constexpr std::size_t kMapFrom = 3;        // names that are values by their spelling
constexpr std::size_t kMostWord = 64;      // octets of a word of an enum
constexpr std::size_t kExampleItems = 2;   // of an array
constexpr std::size_t kExampleText = 120;  // octets

constexpr std::array<std::string_view, 6> kFormatNames = {"date", "date-time", "uuid", "email", "uri", "ipv4"};
// What stands for a private value of a format.
constexpr std::array<std::string_view, 6> kNeutral = {
    "2000-01-01",       "2000-01-01T00:00:00Z", "00000000-0000-4000-8000-000000000000",
    "user@example.com", "https://example.com/", "192.0.2.1"};

bool is_uri(std::string_view text) {
  if (!text.starts_with("https://") && !text.starts_with("http://")) return false;
  const auto belongs = [](char c) {
    return c > ' ' && c < 0x7f && std::string_view("\"<>\\^`{|}").find(c) == std::string_view::npos;
  };
  const std::size_t host = text.find("//") + 2;
  return text.size() > host && text.size() < 2'000 && text[host] != '/' &&
         std::all_of(text.begin(), text.end(), belongs);
}

bool is_ipv4(std::string_view text) {
  const auto parts = split(text, '.');
  return parts.size() == 4 && std::all_of(parts.begin(), parts.end(), [](std::string_view part) {
           return !part.empty() && part.size() <= 3 && part.find_first_not_of("0123456789") == std::string_view::npos &&
                  (part.size() == 1 || part[0] != '0') && std::stoi(std::string(part)) < 256;
         });
}

bool is_word(std::string_view text) {
  const auto belongs = [](char c) {
    return (c >= '0' && c <= '9') || (ascii_lower(c) >= 'a' && ascii_lower(c) <= 'z') || c == '_' || c == '-' ||
           c == '.' || c == '/' || c == ':';
  };
  return !text.empty() && text.size() <= kMostWord && std::all_of(text.begin(), text.end(), belongs) &&
         text.find_first_not_of("0123456789.-") != std::string_view::npos;
}

// A number as JSON spells one (RFC 8259 §6), without surprises: "007" is no number.
bool is_number_text(std::string_view text, bool& integer) {
  if (text.starts_with('-')) text.remove_prefix(1);
  const std::size_t whole = std::min(text.find_first_not_of("0123456789"), text.size());
  if (whole == 0 || whole > 19 || (whole > 1 && text[0] == '0')) return false;
  integer = whole == text.size();
  if (integer) return true;
  const std::string_view rest = text.substr(whole);
  return rest.size() > 1 && rest.size() < 20 && rest[0] == '.' &&
         rest.find_first_not_of("0123456789", 1) == std::string_view::npos;
}

}  // namespace

bool is_personal_name(std::string_view name) {
  static constexpr auto kWords = std::to_array<std::string_view>(
      {"address",  "birth", "birthdate", "birthday", "city",   "dob",       "email", "firstname", "fullname", "gender",
       "iban",     "ip",    "lastname",  "latitude", "login",  "longitude", "mail",  "mobile",    "nickname", "owner",
       "passport", "phone", "postcode",  "ssn",      "street", "surname",   "tel",   "telephone", "username", "zip"});
  static_assert(std::is_sorted(kWords.begin(), kWords.end()));
  const auto words = name_words(name);
  for (const std::string& word : words) {
    if (std::binary_search(kWords.begin(), kWords.end(), std::string_view(word))) return true;
  }
  const auto has = [&](std::string_view word) { return std::find(words.begin(), words.end(), word) != words.end(); };
  return has("name") && (words.size() == 1 || has("first") || has("last") || has("full") || has("user") ||
                         has("family") || has("given") || has("display"));
}

void JsonSchema::add(const Json& sample, std::size_t depth) {
  ++samples_;
  if (sample.is_null()) {
    ++counts_[kNull];
  } else if (sample.is_boolean()) {
    ++counts_[kBoolean];
  } else if (sample.is_number_integer()) {
    ++counts_[kInteger];
    if (sample.is_number_unsigned())
      wide_ |= sample.get<std::uint64_t>() > INT32_MAX;
    else
      wide_ |= sample.get<std::int64_t>() > INT32_MAX || sample.get<std::int64_t>() < INT32_MIN;
  } else if (sample.is_number()) {
    ++counts_[kNumber];
  } else if (sample.is_string()) {
    add_string(sample.get_ref<const std::string&>());
  } else if (sample.is_array()) {
    ++counts_[kArray];
    if (sample.empty()) return;
    if (!items_ && (nodes_ >= kMostSchemaNodes || depth >= kMostSchemaDepth)) {
      cut_ = true;
      return;
    }
    if (!items_) items_ = std::make_unique<JsonSchema>(name_, nodes_);
    const std::size_t step = (sample.size() + kMostItems - 1) / kMostItems;
    for (std::size_t i = 0; i < sample.size(); i += step) items_->add(sample[i], depth + 1);
  } else if (sample.is_object()) {
    add_object(sample, depth);
  }
}

void JsonSchema::add_text(std::string_view text) {
  bool integer = false;
  if (text == "true" || text == "false") {
    ++samples_;
    ++counts_[kBoolean];
  } else if (is_number_text(text, integer)) {
    ++samples_;
    ++counts_[integer ? kInteger : kNumber];
    wide_ |= integer && text.size() >= 10;
  } else {
    ++samples_;
    add_string(text);
  }
}

void JsonSchema::add_string(std::string_view text) {
  ++counts_[kString];
  fits_[kDate] += is_date(text);
  fits_[kDateTime] += is_date_time(text);
  fits_[kUuid] += is_uuid(text);
  fits_[kEmail] += is_email(text);
  fits_[kUri] += is_uri(text);
  fits_[kIpv4] += is_ipv4(text);
  if (many_words_) return;
  if (!is_word(text)) {
    many_words_ = true;
  } else if (const auto found = words_.find(std::string(text)); found != words_.end()) {
    ++found->second;
  } else if (words_.size() < kMostEnum) {
    words_.emplace(text, 1);
  } else {
    many_words_ = true;
  }
  if (many_words_) words_.clear();
}

void JsonSchema::add_object(const Json& sample, std::size_t depth) {
  ++counts_[kObject];
  if (depth >= kMostSchemaDepth) {
    cut_ = true;
    return;
  }
  for (const auto& [name, member] : sample.items()) {
    if (map_) {
      map_->add(member, depth + 1);
      continue;
    }
    Property* const place = property(name);
    if (!place) continue;
    ++place->count;
    place->schema->add(member, depth + 1);
  }
  if (!map_ && is_map_by_names()) become_map();
}

JsonSchema::Property* JsonSchema::property(const std::string& name) {
  const auto found = places_.find(name);
  if (found != places_.end()) return &properties_[found->second];
  if (properties_.size() >= kMostProperties || nodes_ >= kMostSchemaNodes) {
    cut_ = true;
    return nullptr;
  }
  places_.emplace(name, properties_.size());
  properties_.push_back({name, std::make_unique<JsonSchema>(name, nodes_), 0});
  return &properties_.back();
}

// Names that are ids, dates, addresses: each a value, not a word. Or so many that none is in most of the objects.
bool JsonSchema::is_map_by_names() const {
  if (properties_.size() < kMapFrom) return false;
  const auto is_id = [](const Property& each) {
    const SegmentKind kind = segment_kind(each.name);
    return is_value(kind) || kind == SegmentKind::kYear;
  };
  if (std::all_of(properties_.begin(), properties_.end(), is_id)) return true;
  if (properties_.size() < 60 || counts_[kObject] < kRequiredFrom) return false;
  return std::all_of(properties_.begin(), properties_.end(),
                     [&](const Property& each) { return each.count * 2 < counts_[kObject]; });
}

void JsonSchema::become_map() {
  map_ = std::make_unique<JsonSchema>("", nodes_);
  for (Property& each : properties_) map_->take(std::move(*each.schema));
  properties_.clear();
  places_.clear();
}

void JsonSchema::take(JsonSchema&& other) {
  samples_ += other.samples_;
  for (std::size_t i = 0; i < kTypes; ++i) counts_[i] += other.counts_[i];
  for (std::size_t i = 0; i < kFormats; ++i) fits_[i] += other.fits_[i];
  wide_ |= other.wide_;
  cut_ |= other.cut_;
  for (const auto& [word, count] : other.words_) words_[word] += count;
  many_words_ |= other.many_words_ || words_.size() > kMostEnum;
  if (many_words_) words_.clear();
  const auto merge = [](std::unique_ptr<JsonSchema>& mine, std::unique_ptr<JsonSchema>& theirs) {
    if (mine && theirs)
      mine->take(std::move(*theirs));
    else if (theirs)
      mine = std::move(theirs);
  };
  merge(items_, other.items_);
  if (!map_ && other.map_) become_map();
  merge(map_, other.map_);
  for (Property& each : other.properties_) {
    if (map_) {
      map_->take(std::move(*each.schema));
    } else if (Property* const place = property(each.name)) {
      place->count += each.count;
      place->schema->take(std::move(*each.schema));
    }
  }
}

std::string_view JsonSchema::format() const {
  const std::size_t strings = counts_[kString];
  if (strings < kFormatFrom) return "";
  for (std::size_t i = 0; i < kFormats; ++i) {
    if (fits_[i] == strings) return kFormatNames[i];
  }
  return "";
}

bool JsonSchema::is_private() const { return find_secret_name(name_) != nullptr || is_personal_name(name_); }

bool JsonSchema::is_enum() const {
  if (many_words_ || is_private() || words_.size() < 2 || words_.size() > kMostEnum) return false;
  if (counts_[kString] < kEnumFrom || counts_[kString] + counts_[kNull] != samples_ || !format().empty()) return false;
  return std::all_of(words_.begin(), words_.end(), [](const auto& word) { return word.second >= 2; });
}

void JsonSchema::put_object(Json& schema) const {
  if (map_) {
    schema["additionalProperties"] = map_->schema();
    return;
  }
  Json properties = Json::object(), required = Json::array();
  for (const Property& each : properties_) {
    properties[each.name] = each.schema->schema();
    if (!cut_ && counts_[kObject] >= kRequiredFrom && each.count == counts_[kObject]) required.push_back(each.name);
  }
  if (!properties.empty()) schema["properties"] = std::move(properties);
  if (!required.empty()) schema["required"] = std::move(required);
}

Json JsonSchema::schema() const {
  static constexpr std::array<std::string_view, kTypes> kNames = {"null",   "boolean", "integer", "number",
                                                                  "string", "array",   "object"};
  Json types = Json::array();
  for (const Type type : {kBoolean, kInteger, kNumber, kString, kArray, kObject, kNull}) {
    // An integer is a number, too.
    if (counts_[type] > 0 && !(type == kInteger && counts_[kNumber] > 0)) types.push_back(kNames[type]);
  }
  Json schema = Json::object();
  // Of what was only ever null nothing is known.
  if (types.empty() || (types.size() == 1 && counts_[kNull] > 0)) return schema;
  schema["type"] = types.size() == 1 ? types.front() : types;
  if (counts_[kInteger] > 0 && counts_[kNumber] == 0 && wide_) schema["format"] = "int64";
  if (const std::string_view name = format(); !name.empty()) schema["format"] = name;
  if (is_enum()) {
    Json values = Json::array();
    for (const auto& [word, count] : words_) values.push_back(word);
    if (counts_[kNull] > 0) values.push_back(nullptr);
    schema["enum"] = std::move(values);
  }
  if (counts_[kArray] > 0) schema["items"] = items_ ? items_->schema() : Json::object();
  if (counts_[kObject] > 0) put_object(schema);
  return schema;
}

Json JsonSchema::string_example(std::string text, const Redactor* redactor) const {
  const std::string_view name = format();
  if (redactor && is_private()) {
    for (std::size_t i = 0; i < kFormats; ++i) {
      if (name == kFormatNames[i]) return kNeutral[i];
    }
    return "";
  }
  // A mask would be said to be one, beside the document; and what is named as a secret would become one.
  if (redactor && name.empty() && !is_enum() && redactor->mask_member(name_, text).masked) return "";
  // A URL may hold a secret, and a mask is no URL.
  if (redactor && name == "uri" && redactor->mask_url(text).masked) return "https://example.com/";
  if (text.size() > kExampleText && name.empty()) {
    text.resize(kExampleText);
    text = repair_utf8(text);
  }
  return text;
}

Json JsonSchema::example(const Json& sample, const Redactor* redactor) const {
  if (sample.is_string()) return string_example(sample.get<std::string>(), redactor);
  if (sample.is_number() && redactor && is_private()) return 0;
  if (sample.is_array()) {
    Json items = Json::array();
    for (std::size_t i = 0; i < sample.size() && i < kExampleItems; ++i) {
      if (items_) items.push_back(items_->example(sample[i], redactor));
    }
    return items;
  }
  if (!sample.is_object()) return sample;
  Json object = Json::object();
  std::size_t shown = 0;
  for (const auto& [name, member] : sample.items()) {
    if (map_) {
      // Names that are values may be somebody's.
      if (++shown <= kExampleItems && segment_kind(name) != SegmentKind::kEmail)
        object[name] = map_->example(member, redactor);
      continue;
    }
    const auto found = places_.find(name);
    if (found != places_.end()) object[name] = properties_[found->second].schema->example(member, redactor);
  }
  return object;
}

}  // namespace sluice::analysis
