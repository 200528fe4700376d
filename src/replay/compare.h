// How an answer differs from the recorded one: status, header fields, content. Names and places only, never values,
// which may be secrets. What differs each time by its nature (dates, ids of requests, times and tokens in JSON) is told
// apart as volatile. Pure; thread-safe.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/json.h"
#include "http/fields.h"

namespace sluice::replay {

struct Answer {
  int status = 0;
  http::FieldList fields;
  std::string content;  // decoded, as much as there is
  bool whole = true;    // all of it
  ByteCount size = 0;   // on the wire
};

struct CompareOptions {
  bool ignore_volatile = true;
  std::vector<std::string> ignore;  // names of fields, any case, and JSON pointers ("/a/b": all below, too)
};

struct JsonChange {
  std::string op;       // "replace", "add", "remove"
  std::string pointer;  // RFC 6901, in the recorded document for all but "add"
  bool is_volatile = false;
};

enum class ContentDifference { kSame, kDifferent, kUnknown };  // kUnknown: one of them is not whole

struct Comparison {
  int status_before = 0, status_after = 0;
  std::vector<std::string> added, removed, changed;  // fields, lower case
  std::vector<std::string> volatile_fields;          // that differ and do not count
  ContentDifference content = ContentDifference::kSame;
  bool is_json = false;                             // both are: `json` says where they differ
  std::vector<JsonChange> json;                     // at most kMostChanges
  std::size_t json_changes = 0, json_volatile = 0;  // in all
  // Nothing that counts differs. Content of which not all is known does not count.
  bool same = true;
};
inline constexpr std::size_t kMostChanges = 20;

Comparison compare(const Answer& before, const Answer& after, const CompareOptions& options);
// {same, status?: {recorded, now}, headers?: {added, removed, changed}, body?, json?, volatile?}: what differs.
Json comparison_json(const Comparison& comparison);

// Of a field that says when or which one, and not what.
bool is_volatile_field(std::string_view name);

}  // namespace sluice::replay
