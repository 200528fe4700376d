// Budgets hold, parts do not matter, what was deflated is inflated to the same; and the answers that agree to it all
// are read without a crash. The first octets say what was agreed, the budget, and how the payload comes.
#include <algorithm>
#include <cstdlib>

#include "websocket/deflate.h"

namespace sluice::websocket {
namespace {

void require(bool holds) {
  if (!holds) std::abort();
}

struct Outcome {
  std::string text;
  bool good = true;
};

// Two messages with the same payload: the second has the context of the first, or does not.
Outcome inflate_twice(Context context, Bytes payload, ByteCount budget, std::size_t part, bool first_kept) {
  Inflater inflater(context);
  Outcome outcome;
  for (int message = 0; message < 2; ++message) {
    std::string text;
    inflater.begin(message == 0 && !first_kept ? nullptr : &text, budget);
    bool good = true;
    for (std::size_t at = 0; at < payload.size(); at += part) {
      good = inflater.feed(payload.substr(at, part)).has_value() && good;
    }
    good = inflater.end().has_value() && good;
    require(text.size() <= budget);
    outcome.good = outcome.good && good;
    if (message == 1) outcome.text = std::move(text);
  }
  return outcome;
}

}  // namespace
}  // namespace sluice::websocket

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace sluice;
  using namespace sluice::websocket;
  if (size < 3 || size > 4096) return 0;
  const Context context = (data[0] & 1) != 0 ? Context::kFresh : Context::kTakenOver;
  const int bits = 8 + (data[0] >> 1) % 8;
  const ByteCount budget = data[1] * ByteCount{257};
  const std::size_t part = std::max<std::size_t>(1, data[2]);
  const Bytes octets(reinterpret_cast<const char*>(data) + 3, size - 3);

  const Outcome whole = inflate_twice(context, octets, budget, octets.size() + 1, true);
  const Outcome parts = inflate_twice(context, octets, budget, part, false);
  require(whole.good == parts.good && whole.text == parts.text);

  auto deflater = Deflater::create(context, bits);
  require(deflater.has_value());
  Inflater inflater(context);
  for (const Bytes content : {octets, octets.substr(octets.size() / 2), octets}) {
    std::string payload, text;
    deflater->deflate(content, payload);
    require(!payload.empty());
    inflater.begin(&text, octets.size());
    require(inflater.feed(payload).has_value() && inflater.end().has_value());
    require(text == content);
  }

  if (const auto extensions = parse_extensions(octets); extensions && extensions->deflate) {
    for (const Sender of : {Sender::kClient, Sender::kServer}) {
      require(extensions->deflate->window_bits(of) >= 8 && extensions->deflate->window_bits(of) <= 15);
    }
  }
  return 0;
}
