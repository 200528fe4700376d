// An OpenAPI 3.1 document (https://spec.openapis.org/oas/v3.1.0) of one host, told from its endpoints and samples of
// their flows: servers, paths, typed parameters, request bodies, answers by status with schemas merged over the
// samples, redacted examples, security schemes. What OpenAPI cannot say stands in notes: x-graphql-operations,
// x-grpc-services, x-websocket.
//
//   OpenApiWriter writer(endpoints, schemes, {…});   // of one host
//   for (flow id of writer.samples()) writer.add(endpoint, FlowView(exchange, bodies));
//   Json document = writer.finish();
//
// Memory is bounded: samples by kMostSamples, schemas by kMostSchemaNodes. Not thread-safe.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "analysis/api_patterns.h"
#include "analysis/auth.h"
#include "analysis/json_schema.h"
#include "base/redact.h"

namespace sluice::analysis {

struct OpenApiOptions {
  const Redactor* redactor = nullptr;  // null: examples as they came
  bool examples = true;
  std::size_t most_operations = 2'000;
};

class OpenApiWriter {
 public:
  // `endpoints`: of one scheme and host; `schemes`: the detected ones of this host. Both outlive this.
  OpenApiWriter(const std::vector<ApiEndpoint>& endpoints, const std::vector<AuthScheme>& schemes,
                OpenApiOptions options);
  ~OpenApiWriter();

  // Whether endpoints[index] becomes an operation; gRPC, and methods that OpenAPI does not know, do not.
  bool wants(std::size_t index) const;
  // A sample of endpoints[index], which is wanted.
  void add(std::size_t index, const FlowView& flow);
  Json finish();
  std::size_t samples() const { return samples_; }
  bool is_cut() const { return cut_; }  // operations were left out

 private:
  struct Scheme {
    std::string key;  // among the security schemes
    const AuthScheme* scheme;
    Json json;
  };
  struct Message;
  struct OperationDraft;

  void make_schemes(const std::vector<AuthScheme>& schemes);
  OperationDraft& draft(std::size_t index);
  void add_parameters(OperationDraft& draft, const FlowView& flow);
  void add_security(OperationDraft& draft, const FlowView& flow);
  void add_answer(OperationDraft& draft, const FlowView& flow);
  void add_message(Message& message, const FlowView& flow, flow::Direction direction);
  bool is_credential(std::string_view in, std::string_view name) const;
  Json operation_json(const OperationDraft& draft, const std::string& path);
  Json parameters_json(const OperationDraft& draft) const;
  Json content_json(const Message& message) const;
  Json responses_json(const OperationDraft& draft) const;
  Json security_json(const OperationDraft& draft) const;
  std::string path_of(const ApiEndpoint& endpoint) const;
  std::string operation_id(const std::string& method, const std::string& path);

  const std::vector<ApiEndpoint>& endpoints_;
  OpenApiOptions options_;
  std::vector<Scheme> schemes_;
  std::vector<std::unique_ptr<OperationDraft>> drafts_;  // one for each method and path
  std::map<std::string, std::size_t> draft_of_;          // "GET /path"
  std::set<std::string> operation_ids_;
  std::size_t nodes_ = 0, samples_ = 0;
  bool cut_ = false;
};

}  // namespace sluice::analysis
