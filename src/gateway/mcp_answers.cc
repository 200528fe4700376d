#include "gateway/mcp_answers.h"

#include "base/limits.h"
#include "base/url.h"
#include "http/framing.h"

namespace sluice::gateway {

HttpAnswer json_answer(int status, std::string body) {
  return {status, {{"Content-Type", "application/json"}, {"Cache-Control", "no-store"}}, std::move(body)};
}

HttpAnswer refusal_answer(const mcp::HttpRefusal& refusal) {
  HttpAnswer answer =
      refusal.body.empty() ? HttpAnswer{refusal.status, {}, ""} : json_answer(refusal.status, refusal.body);
  if (!refusal.allow.empty()) answer.fields.emplace_back("Allow", refusal.allow);
  return answer;
}

std::string path_of(const http::RequestHead& head) {
  std::string target = head.target;
  if (!target.starts_with('/')) {
    if (const auto url = parse_url(target)) target = url->target;
  }
  return target.substr(0, target.find('?'));
}

std::vector<mcp::HeaderField> fields_of(const http::RequestHead& head) {
  std::vector<mcp::HeaderField> fields;
  for (std::size_t i = 0; i < head.fields.size(); ++i) fields.push_back({head.fields.name(i), head.fields.value(i)});
  return fields;
}

bool is_brief(const http::RequestHead& head) {
  const auto framing = http::request_framing(head);
  if (!framing) return false;
  return framing->kind == http::Framing::kNone ||
         (framing->kind == http::Framing::kLength && framing->length <= 64 * kKiB);
}

mcp::HttpResult<mcp::HttpHead> mcp_head(const http::RequestHead& head) {
  return mcp::read_http_head(head.method, fields_of(head));
}

}  // namespace sluice::gateway
