// gRPC messages out of a body (gRPC over HTTP/2, "Length-Prefixed-Message"; gRPC-Web adds trailers in the body and a
// form in base64), and what the answer says about the call: grpc-status.
//
//   GrpcParser parser(GrpcForm::kBinary, keep);
//   parser.feed(octets);  while (true) { auto frame = parser.next(); if (!frame || !*frame) break; … }
//   if (auto frame = parser.finish()) …;                 // what the end of the body left unfinished
//
// Of each message at most `keep` octets are kept. kInvalid: not gRPC; every further call answers the same. Pure; not
// thread-safe.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "base/result.h"

namespace sluice::analysis {

enum class GrpcForm : std::uint8_t { kBinary, kWeb, kWebText };
// By the content type: "application/grpc", "application/grpc+proto", "application/grpc-web-text"; nullopt: none.
std::optional<GrpcForm> grpc_form(std::string_view content_type);

struct GrpcFrame {
  bool compressed = false;  // as grpc-encoding says
  bool trailers = false;    // of gRPC-Web: fields, one a line
  ByteCount length = 0;
  std::string payload;
  bool complete = true;
};

class GrpcParser {
 public:
  GrpcParser(GrpcForm form, ByteCount keep) : keep_(keep), form_(form) {}

  // Only when next() has nothing more. The octets must live until then.
  void feed(Bytes octets);
  Result<std::optional<GrpcFrame>> next();  // nullopt: feed more
  std::optional<GrpcFrame> finish();

 private:
  bool take_head();
  void decode_text();

  ByteCount keep_;
  GrpcForm form_;
  Bytes fed_, encoded_;
  std::string decoded_;  // of base64: what fed_ then points to
  std::string head_, quad_;
  bool in_frame_ = false;
  ByteCount left_ = 0;
  GrpcFrame frame_;
  std::optional<Error> error_;
};

struct GrpcStatus {
  std::uint32_t code = 0;
  std::string message;  // percent-decoded
};
// From trailers, or a head without any body ("Trailers-Only"); raw, as captured. nullopt: there is no grpc-status.
std::optional<GrpcStatus> grpc_status(Bytes raw_fields);
std::string_view grpc_status_name(std::uint32_t code);  // "NOT_FOUND"; empty for codes that are none

}  // namespace sluice::analysis
