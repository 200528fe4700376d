#include "analysis/grpc.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <utility>

#include "base/text.h"
#include "flow/exchange.h"

namespace sluice::analysis {
namespace {

constexpr std::size_t kHead = 5;  // flags, length
constexpr unsigned char kCompressed = 1, kTrailers = 0x80;
// Decoded at once, so that memory does not depend on how much is fed.
constexpr std::size_t kTextStep = 64 * 1024;

}  // namespace

std::optional<GrpcForm> grpc_form(std::string_view content_type) {
  const std::string type = to_lower(trim(content_type.substr(0, content_type.find(';'))));
  const auto is = [&](std::string_view name) {
    return type.starts_with(name) && (type.size() == name.size() || type[name.size()] == '+');
  };
  if (is("application/grpc")) return GrpcForm::kBinary;
  if (is("application/grpc-web")) return GrpcForm::kWeb;
  if (is("application/grpc-web-text")) return GrpcForm::kWebText;
  return std::nullopt;
}

void GrpcParser::feed(Bytes octets) {
  if (form_ == GrpcForm::kWebText) {
    encoded_ = octets;
  } else {
    fed_ = octets;
  }
}

// Each flush of a server is a base64 text of its own, with its padding: so quads are decoded one by one.
void GrpcParser::decode_text() {
  decoded_.clear();
  while (!encoded_.empty() && decoded_.size() < kTextStep) {
    quad_.push_back(encoded_.front());
    encoded_.remove_prefix(1);
    if (quad_.size() < 4) continue;
    const auto octets = base64_decode(quad_);
    quad_.clear();
    if (!octets) {
      error_ = Error{Code::kInvalid, "This is not the base64 that grpc-web-text says it is."};
      break;
    }
    decoded_ += *octets;
  }
  fed_ = decoded_;
}

// False: the head has not come yet, or is none.
bool GrpcParser::take_head() {
  const Bytes part = fed_.substr(0, kHead - head_.size());
  head_.append(part);
  fed_.remove_prefix(part.size());
  if (head_.size() < kHead) return false;
  const auto octet = [this](std::size_t i) { return static_cast<unsigned char>(head_[i]); };
  const unsigned char flags = octet(0);
  const unsigned char known = form_ == GrpcForm::kBinary ? kCompressed : kCompressed | kTrailers;
  if ((flags & ~known) != 0) {
    error_ = Error{Code::kInvalid, "This is not gRPC: a message has flags that there are none of."};
    fed_ = {};
    head_.clear();
    return false;
  }
  frame_ = {};
  frame_.compressed = (flags & kCompressed) != 0;
  frame_.trailers = (flags & kTrailers) != 0;
  left_ = 0;
  for (std::size_t i = 1; i < kHead; ++i) left_ = left_ << 8 | octet(i);
  frame_.length = left_;
  head_.clear();
  in_frame_ = true;
  return true;
}

Result<std::optional<GrpcFrame>> GrpcParser::next() {
  for (;;) {
    if (fed_.empty() && !encoded_.empty() && !error_) decode_text();
    if (fed_.empty()) {
      if (error_) return fail(*error_);
      return std::nullopt;
    }
    if (!in_frame_ && !take_head()) continue;
    const Bytes part = fed_.substr(0, static_cast<std::size_t>(std::min<ByteCount>(left_, fed_.size())));
    const ByteCount room = keep_ - std::min<ByteCount>(frame_.payload.size(), keep_);
    frame_.payload.append(part.substr(0, static_cast<std::size_t>(std::min<ByteCount>(room, part.size()))));
    fed_.remove_prefix(part.size());
    left_ -= part.size();
    if (left_ > 0) continue;
    in_frame_ = false;
    return std::optional(std::move(frame_));
  }
}

std::optional<GrpcFrame> GrpcParser::finish() {
  if (error_ || (!in_frame_ && head_.empty())) return std::nullopt;
  if (!in_frame_) frame_ = {};
  in_frame_ = false;
  head_.clear();
  frame_.complete = false;
  return std::move(frame_);
}

std::optional<GrpcStatus> grpc_status(Bytes raw_fields) {
  const http::FieldList fields = flow::parse_fields(raw_fields);
  const auto code = fields.joined("grpc-status");
  if (!code) return std::nullopt;
  GrpcStatus status;
  const auto read = std::from_chars(code->data(), code->data() + code->size(), status.code);
  if (read.ec != std::errc() || read.ptr != code->data() + code->size()) return std::nullopt;
  status.message = percent_decode(fields.joined("grpc-message").value_or(""));
  return status;
}

std::string_view grpc_status_name(std::uint32_t code) {
  static constexpr auto kNames = std::to_array<std::string_view>(
      {"OK", "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND", "ALREADY_EXISTS",
       "PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION", "ABORTED", "OUT_OF_RANGE", "UNIMPLEMENTED",
       "INTERNAL", "UNAVAILABLE", "DATA_LOSS", "UNAUTHENTICATED"});
  return code < kNames.size() ? kNames[code] : std::string_view();
}

}  // namespace sluice::analysis
