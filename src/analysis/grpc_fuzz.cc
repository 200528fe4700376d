// Any octets as gRPC: the same messages however they are cut, never more kept than allowed, no more than there was.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <vector>

#include "analysis/grpc.h"

namespace {

using namespace sluice;
using namespace sluice::analysis;

void require(bool holds) {
  if (!holds) std::abort();
}

struct Outcome {
  std::vector<GrpcFrame> frames;
  bool failed = false;
};

Outcome parse(Bytes body, GrpcForm form, std::size_t step, ByteCount keep) {
  GrpcParser parser(form, keep);
  Outcome outcome;
  while (!body.empty()) {
    const std::string piece(body.substr(0, step));  // of its own size: a view kept too long is found
    body.remove_prefix(piece.size());
    parser.feed(piece);
    for (;;) {
      auto frame = parser.next();
      if (!frame) {
        outcome.failed = true;
        return outcome;
      }
      if (!*frame) break;
      outcome.frames.push_back(**std::move(frame));
    }
  }
  if (auto frame = parser.finish()) outcome.frames.push_back(*std::move(frame));
  return outcome;
}

bool same(const GrpcFrame& a, const GrpcFrame& b) {
  return a.compressed == b.compressed && a.trailers == b.trailers && a.length == b.length && a.payload == b.payload &&
         a.complete == b.complete;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 3) return 0;
  const ByteCount keep = data[0];
  const std::size_t step = 1 + data[1] % 16;
  const auto form = static_cast<GrpcForm>(data[2] % 3);
  const Bytes body(reinterpret_cast<const char*>(data) + 3, size - 3);
  const Outcome whole = parse(body, form, body.size() + 1, keep), cut = parse(body, form, step, keep);
  require(whole.failed == cut.failed);
  require(std::equal(whole.frames.begin(), whole.frames.end(), cut.frames.begin(), cut.frames.end(), same));
  ByteCount all = 0;
  for (const GrpcFrame& frame : whole.frames) {
    require(frame.payload.size() <= std::min(keep, frame.length));
    require(frame.complete || &frame == &whole.frames.back());
    if (frame.complete) all += 5 + frame.length;
  }
  require(all <= body.size());
  (void)grpc_status(body);
  (void)grpc_form(body);
  return 0;
}
