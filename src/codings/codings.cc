#include "codings/codings.h"

#include <algorithm>
#include <optional>

#include "base/text.h"
#include "codings/stage.h"

namespace sluice::codings {
namespace {

// The end of the chain: gives to the taker of the present call.
class Giver final : public Sink {
 public:
  explicit Giver(ByteCount budget) : left_(budget), budget_(budget) {}
  void set_taker(const Decoder::Taker* taker) { taker_ = taker; }

  Status accept(Bytes octets) override {
    // A stage keeps to the budget itself; this one counts where there is none.
    const Bytes part = octets.substr(0, static_cast<std::size_t>(std::min<ByteCount>(octets.size(), left_)));
    SLUICE_CHECK((*taker_)(part));
    left_ -= part.size();
    if (part.size() < octets.size()) return fail(Code::kTooLarge, fmt::format("larger than {} bytes", budget_));
    return {};
  }

 private:
  const Decoder::Taker* taker_ = nullptr;
  ByteCount left_;
  ByteCount budget_;
};

std::unique_ptr<Stage> make_stage(Coding coding, Sink& next, ByteCount budget) {
  switch (coding) {
    case Coding::kIdentity:
      return nullptr;
    case Coding::kGzip:
      return make_gzip_stage(next, budget);
    case Coding::kDeflate:
      return make_deflate_stage(next, budget);
    case Coding::kBrotli:
      return make_brotli_stage(next, budget);
    case Coding::kZstd:
      return make_zstd_stage(next, budget);
  }
  return nullptr;
}

class StackDecoder final : public Decoder {
 public:
  StackDecoder(const std::vector<Coding>& codings, ByteCount budget) : giver_(budget) {
    // The first coding was applied first, so it is undone last: build from the end of the chain.
    for (Coding coding : codings) {
      if (auto stage = make_stage(coding, *head_, budget)) {
        head_ = stage.get();
        stages_.push_back(std::move(stage));
      }
    }
  }

  Status decode(Bytes octets, const Taker& take) override {
    if (error_) return fail(*error_);
    giver_.set_taker(&take);
    Status status = head_->accept(octets);
    giver_.set_taker(nullptr);
    if (!status) error_ = status.error();
    return status;
  }

  bool ended() const override {
    if (error_) return false;
    for (const auto& stage : stages_) {
      if (!stage->ended()) return false;
    }
    return true;
  }

 private:
  Giver giver_;
  Sink* head_ = &giver_;
  std::vector<std::unique_ptr<Stage>> stages_;
  std::optional<Error> error_;
};

Decoded as_it_is(Bytes octets, ByteCount budget, std::string problem) {
  Decoded result;
  result.text = octets.substr(0, static_cast<std::size_t>(std::min<ByteCount>(octets.size(), budget)));
  result.complete = result.text.size() == octets.size();
  result.problem = std::move(problem);
  if (!result.complete && result.problem.empty()) result.problem = fmt::format("larger than {} bytes", budget);
  return result;
}

}  // namespace

Result<std::vector<Coding>> parse_codings(std::string_view content_encoding) {
  std::vector<Coding> codings;
  for (std::string_view item : split(content_encoding, ',')) {
    item = trim(item);
    if (item.empty() || iequals(item, "identity")) continue;  // RFC 9110 §5.6.1: empty elements are no elements
    if (codings.size() == kMaxStack) {
      return fail(Code::kTooLarge, fmt::format("more than {} content codings", kMaxStack));
    }
    if (iequals(item, "gzip") || iequals(item, "x-gzip")) {
      codings.push_back(Coding::kGzip);
    } else if (iequals(item, "deflate")) {
      codings.push_back(Coding::kDeflate);
    } else if (iequals(item, "br")) {
      codings.push_back(Coding::kBrotli);
    } else if (iequals(item, "zstd")) {
      codings.push_back(Coding::kZstd);
    } else {
      return fail(Code::kInvalid, "the content coding is not known");
    }
  }
  return codings;
}

Status Decoder::decode(Bytes octets, std::string& out) {
  return decode(octets, [&out](Bytes piece) {
    out += piece;
    return Status{};
  });
}

std::unique_ptr<Decoder> make_decoder(const std::vector<Coding>& codings, ByteCount budget) {
  return std::make_unique<StackDecoder>(codings, budget);
}

Decoded decode_all(Bytes octets, std::string_view content_encoding, ByteCount budget) {
  auto codings = parse_codings(content_encoding);
  if (!codings) return as_it_is(octets, budget, codings.error().message + "; this is the body as it was sent");
  // A body of no octets is not damaged: the fields of an answer to HEAD and of a 304 speak of another body.
  if (codings->empty() || octets.empty()) return as_it_is(octets, budget, "");

  const auto decoder = make_decoder(*codings, budget);
  Decoded result;
  const Status status = decoder->decode(octets, result.text);
  if (!status) {
    if (status.error().code == Code::kInvalid && result.text.empty()) {
      result = as_it_is(octets, budget, status.error().message + " from its start; this is the body as it was sent");
    } else {
      result.problem = status.error().message;
    }
    result.complete = false;
  } else if (!decoder->ended()) {
    result.complete = false;
    result.problem = "the coded body ends before its end";
  }
  return result;
}

Result<std::string> encode_all(Bytes octets, const std::vector<Coding>& codings) {
  std::string text(octets);
  for (Coding coding : codings) {
    Result<std::string> coded = std::move(text);
    switch (coding) {
      case Coding::kIdentity:
        break;
      case Coding::kGzip:
        coded = encode_zlib(*coded, kGzipWindow);
        break;
      case Coding::kDeflate:
        coded = encode_zlib(*coded, kZlibWindow);
        break;
      case Coding::kBrotli:
        coded = encode_brotli(*coded);
        break;
      case Coding::kZstd:
        coded = encode_zstd(*coded);
        break;
    }
    SLUICE_TRY(text, std::move(coded));
  }
  return text;
}

}  // namespace sluice::codings
