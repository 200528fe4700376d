// What an OpenApiWriter gathers for one operation. Private to this folder.
#pragma once

#include <optional>
#include <set>

#include "analysis/openapi.h"

namespace sluice::analysis {

// Bodies of one direction, by media type.
struct OpenApiWriter::Message {
  struct Content {
    std::unique_ptr<JsonSchema> schema;                         // JSON
    std::map<std::string, std::unique_ptr<JsonSchema>> fields;  // of a form
    std::map<std::string, std::size_t> field_counts;
    std::set<std::string> repeated, files;
    std::optional<Json> example;
    std::size_t count = 0;
  };
  std::map<std::string, Content> contents;
  std::size_t with_body = 0, without_body = 0;
};

struct OpenApiWriter::OperationDraft {
  struct Parameter {
    std::unique_ptr<JsonSchema> schema;
    std::size_t count = 0;
    bool repeated = false;
  };
  std::vector<const ApiEndpoint*> endpoints;  // more than one: GraphQL
  std::map<std::string, Parameter> query, headers;
  std::map<std::string, std::unique_ptr<JsonSchema>> path;
  Message request;
  std::map<int, Message> responses;
  std::size_t requests = 0;                                  // sound ones
  std::map<std::vector<std::size_t>, std::size_t> security;  // which schemes together: accepted requests
};

}  // namespace sluice::analysis
