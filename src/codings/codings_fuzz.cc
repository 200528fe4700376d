// Any octets under any stack: no crash, never more than the budget, and the same text however the input is cut.
#include <cstdint>
#include <cstdlib>

#include "codings/codings.h"

namespace {

using namespace sluice;
using namespace sluice::codings;

struct Outcome {
  std::string text;
  bool failed = false;
  bool ended = false;
};

Outcome decode_cut(const std::vector<Coding>& codings, Bytes octets, ByteCount budget, std::size_t step) {
  Outcome outcome;
  const auto decoder = make_decoder(codings, budget);
  while (!octets.empty() && !outcome.failed) {
    const Bytes piece = octets.substr(0, step);
    octets.remove_prefix(piece.size());
    outcome.failed = !decoder->decode(piece, outcome.text);
  }
  outcome.ended = decoder->ended();
  return outcome;
}

void require(bool holds) {
  if (!holds) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2) return 0;
  // The first octet picks the stack, the second the budget and the cut.
  std::vector<Coding> codings;
  bool may_hold_back = false;
  for (unsigned pick = data[0], i = 0; i < 3; ++i, pick /= 5) {
    const auto coding = static_cast<Coding>(pick % 5);
    if (coding != Coding::kIdentity) codings.push_back(coding);
    may_hold_back = may_hold_back || coding == Coding::kBrotli || coding == Coding::kZstd;
  }
  const ByteCount budget = ByteCount{1} << (data[1] % 20);
  const std::size_t step = 1 + data[1] / 20;
  const Bytes octets(reinterpret_cast<const char*>(data) + 2, size - 2);

  const Outcome whole = decode_cut(codings, octets, budget, octets.size() + 1);
  const Outcome cut = decode_cut(codings, octets, budget, step);
  require(whole.text.size() <= budget && cut.text.size() <= budget);
  if (may_hold_back && whole.failed) {
    // These libraries hold back the output of a call that meets damage, so the cuts decide how much came out before.
    require(cut.failed && (cut.text.starts_with(whole.text) || whole.text.starts_with(cut.text)));
  } else {
    require(whole.text == cut.text && whole.failed == cut.failed && whole.ended == cut.ended);
  }

  if (!whole.failed && whole.ended && octets.size() < 4096) {
    const auto coded = encode_all(whole.text, codings);
    require(coded.has_value());
    const Outcome again = decode_cut(codings, *coded, budget + coded->size() + 4096, step);
    require(again.text == whole.text && again.ended);
  }
  return 0;
}
