// A JSON Schema (draft 2020-12, as OpenAPI 3.1 takes it) told from samples: types, formats, enums, what is required,
// objects that are maps. Memory is bounded whatever the samples. Not thread-safe.
//
// required only from kRequiredFrom samples; formats only where all strings fit; enums only from kEnumFrom strings of at
// most kMostEnum words, never of secret or personal members; null is one of several types.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "base/redact.h"

namespace sluice::analysis {

inline constexpr std::size_t kRequiredFrom = 5, kEnumFrom = 20, kMostEnum = 8;
inline constexpr std::size_t kMostSchemaNodes = 20'000;  // of one budget
inline constexpr std::size_t kMostSchemaDepth = 24;
inline constexpr std::size_t kMostProperties = 300;  // of one object

class JsonSchema {
 public:
  // `nodes`: how many all schemas of a document have; beyond kMostSchemaNodes nothing is looked into.
  JsonSchema(std::string_view name, std::size_t& nodes) : name_(name), nodes_(nodes) { ++nodes_; }

  void add(const Json& sample) { add(sample, 0); }
  // Of a query or form, where all is text: numbers and booleans by their spelling.
  void add_text(std::string_view text);
  Json schema() const;
  std::size_t samples() const { return samples_; }
  // A sample as it may be shown: short, secrets and personal values replaced by what fits the schema:
  // the empty string where there is no format.
  Json example(const Json& sample, const Redactor* redactor) const;

 private:
  enum Type : std::uint8_t { kNull, kBoolean, kInteger, kNumber, kString, kArray, kObject, kTypes };
  enum Format : std::uint8_t { kDate, kDateTime, kUuid, kEmail, kUri, kIpv4, kFormats };
  struct Property {
    std::string name;
    std::unique_ptr<JsonSchema> schema;
    std::size_t count = 0;
  };

  void add(const Json& sample, std::size_t depth);
  void add_string(std::string_view text);
  void add_object(const Json& sample, std::size_t depth);
  Property* property(const std::string& name);
  void become_map();
  void take(JsonSchema&& other);
  bool is_map_by_names() const;
  std::string_view format() const;
  bool is_enum() const;
  bool is_private() const;
  void put_object(Json& schema) const;
  Json string_example(std::string text, const Redactor* redactor) const;

  std::string name_;
  std::size_t& nodes_;
  std::size_t samples_ = 0;
  std::array<std::size_t, kTypes> counts_{};
  std::array<std::size_t, kFormats> fits_{};
  std::map<std::string, std::size_t> words_;  // strings, while they are few
  bool many_words_ = false, wide_ = false;    // wide: beyond 32 bits
  std::unique_ptr<JsonSchema> items_;         // of an array
  std::vector<Property> properties_;
  std::map<std::string, std::size_t, std::less<>> places_;
  std::unique_ptr<JsonSchema> map_;  // values of an object whose names are values themselves
  bool cut_ = false;                 // there was more than is looked into
};

// Names of members that speak of a person: examples and enums leave their values out.
bool is_personal_name(std::string_view name);

}  // namespace sluice::analysis
