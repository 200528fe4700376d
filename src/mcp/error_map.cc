#include "mcp/error_map.h"

#include <algorithm>

namespace sluice::mcp {
namespace {

int code_of(Code code, Era era, Subject subject) {
  switch (code) {
    case Code::kNotFound:
    case Code::kRefused:  // as if it did not exist (gate.md 9)
      // MCP 2026-07-28: -32002 must not be sent any more.
      return era == Era::kLegacy && subject == Subject::kResource ? rpc::kResourceNotFound : rpc::kInvalidParams;
    case Code::kInvalid:
    case Code::kTooLarge:
      return rpc::kInvalidParams;
    case Code::kConflict:
    case Code::kUnavailable:
    case Code::kTimeout:
    case Code::kCancelled:
    case Code::kClosed:
    case Code::kIo:
    case Code::kInternal:
      return rpc::kInternalError;
  }
  return rpc::kInternalError;
}

// A name worth repeating to its author: short, and unable to carry anything but itself.
bool is_plain(std::string_view name) {
  constexpr std::string_view kPunctuation = "/_.$-";
  return name.size() <= 64 && std::all_of(name.begin(), name.end(), [&](char c) {
           return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                  kPunctuation.find(c) != std::string_view::npos;
         });
}

}  // namespace

RpcError map_error(const Error& error, Era era, Subject subject) {
  return RpcError{code_of(error.code, era, subject), error.message};
}

RpcError method_not_found(std::string_view method) {
  std::string message = "Method not found";
  if (is_plain(method)) message.append(": ").append(method);
  return RpcError{rpc::kMethodNotFound, std::move(message)};
}

RpcError unsupported_version(std::string_view asked) {
  Json supported = Json::array();
  for (const Revision revision : kRevisions) supported.push_back(to_string(revision));
  Json data;
  data["supported"] = std::move(supported);
  data["requested"] = asked.substr(0, 64);
  return RpcError{rpc::kUnsupportedVersion, "Unsupported protocol version", std::move(data)};
}

int http_status(int code, Era era, Origin origin) {
  if (era == Era::kLegacy) return 200;
  switch (code) {
    case rpc::kMethodNotFound:
      return 404;
    case rpc::kParseError:
    case rpc::kInvalidRequest:
    case rpc::kHeaderMismatch:
    case rpc::kMissingClientCapability:
    case rpc::kUnsupportedVersion:
      return 400;
    case rpc::kInvalidParams:
      return origin == Origin::kProtocol ? 400 : 200;
    default:
      return 200;
  }
}

}  // namespace sluice::mcp
