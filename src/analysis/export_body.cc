#include "analysis/export_body.h"

#include <fmt/format.h>

#include "analysis/clip.h"
#include "base/json_text.h"
#include "base/text.h"

namespace sluice::analysis {
namespace {

// Written in one go: so much may a page be longer than it should be (six times this, of control characters). A multiple
// of three, for base64.
constexpr std::size_t kBlock = 768;
constexpr std::size_t kLongestCharacter = 4;
// Decoded in one go: a few octets of a bomb can say hundreds of megabytes. What is behind is decoded again from the
// start, up to its end.
constexpr ByteCount kMostAtOnce = 16 * kMiB;

tl::unexpected<Error> cancelled() { return fail(Code::kCancelled, "The export was cancelled."); }

void encode(Bytes block, ExportBody::Encoding encoding, std::string& out) {
  switch (encoding) {
    case ExportBody::Encoding::kPlain:
      out = block;
      return;
    case ExportBody::Encoding::kJsonText:
      out.clear();
      append_json_text(out, block);
      return;
    case ExportBody::Encoding::kBase64:
      out = base64_encode(block);
      return;
    case ExportBody::Encoding::kChunks:  // RFC 9112 §7.1
      out = fmt::format("{:x}\r\n{}\r\n", block.size(), block);
      return;
  }
}

}  // namespace

ExportBody::ExportBody(const ExportSource& source, flow::Direction direction, Form form)
    : source_(source), direction_(direction), form_(form) {
  const http::FieldList fields = flow::parse_fields(shown_head(source.exchange, direction));
  coding_ = fields.joined("content-encoding").value_or("");
  type_ = fields.joined("content-type").value_or("");
}

BodyStream ExportBody::open(ByteCount from) const {
  return {source_.bodies,
          source_.exchange.id,
          direction_,
          coding_,
          {.form = form_, .from = from, .most = kMostAtOnce, .measure = false}};
}

Status ExportBody::each(ByteCount from, const Visit& visit) {
  if (body_info(source_.exchange, direction_).stored == 0) return {};
  if (source_.redactor) {
    if (!masked_) SLUICE_CHECK(measure());
    if (masked_ && from < masked_->size()) visit(Bytes(*masked_).substr(static_cast<std::size_t>(from)));
    return {};
  }
  return walk(from, visit);
}

Status ExportBody::walk(ByteCount from, const Visit& visit) {
  for (;;) {
    BodyStream stream = open(from);
    ByteCount given = 0;
    for (;;) {
      if (source_.stop.stop_requested()) return cancelled();
      SLUICE_TRY(const std::string_view piece, stream.next());
      if (piece.empty()) break;
      if (!visit(piece)) return {};
      given += piece.size();
    }
    stream_problem_ = stream.problem();
    if (given < kMostAtOnce) return {};
    from += given;
  }
}

void ExportBody::look(Bytes piece, std::string& carry) {
  size_ += piece.size();
  nul_ |= piece.find('\0') != Bytes::npos;
  if (!text_) return;
  carry += piece;
  const std::string all = carry;
  trim_unfinished(carry);
  text_ = is_utf8(carry);
  carry = all.substr(carry.size());
}

Status ExportBody::measure() {
  const flow::BodyInfo& info = body_info(source_.exchange, direction_);
  if (info.stored < info.size) problem_ = fmt::format("{} of {} octets were kept", info.stored, info.size);
  if (info.stored == 0) return {};
  std::string carry, all;
  const Status walked = walk(0, [&](Bytes piece) {
    if (source_.redactor) {
      all += piece;
    } else {
      look(piece, carry);
    }
    return all.size() <= kMostMasked;
  });
  if (!walked && walked.error().code != Code::kNotFound) return walked;
  if (problem_.empty()) problem_ = walked ? stream_problem_ : walked.error().message;
  if (source_.redactor) {
    const bool cut = all.size() > kMostMasked;
    if (cut) all.resize(kMostMasked);
    masked_ = source_.redactor->mask_body(all, type_).text;
    if (cut) {  // there a secret may be too short to look like one
      masked_->resize(masked_->size() - std::min<std::size_t>(masked_->size(), kMaskAhead));
      trim_unfinished(*masked_);
      problem_ = fmt::format("longer than {} octets: masked and cut", kMostMasked);
    }
    look(*masked_, carry);
  }
  if (!carry.empty()) text_ = false;
  return {};
}

Status ExportBody::put(ExportSink& sink, Encoding encoding) {
  const auto from = sink.begin();
  if (from) {
    ByteCount at = *from;
    std::string waiting, encoded;
    const auto write = [&](Bytes block) {
      if (!sink.has_room()) {
        sink.stop(at);
        return false;
      }
      encoded.clear();
      encode(block, encoding, encoded);
      sink.put_whole(encoded);
      at += block.size();
      return true;
    };
    bool full = false;
    SLUICE_CHECK(each(at, [&](Bytes piece) {
      waiting += piece;
      std::size_t taken = 0;
      while (!full && waiting.size() - taken >= kBlock + kLongestCharacter) {
        std::string block = waiting.substr(taken, kBlock);
        if (encoding == Encoding::kJsonText) trim_unfinished(block);
        full = !write(block);
        taken += block.size();
      }
      waiting.erase(0, taken);
      return !full;
    }));
    if (!full && !waiting.empty()) write(waiting);
  }
  sink.end();
  return {};
}

Result<std::string> ExportBody::whole() {
  std::string all;
  SLUICE_CHECK(each(0, [&](Bytes piece) {
    all += piece;
    return true;
  }));
  return all;
}

Form export_form(const ExportSource& source) { return source.redactor ? Form::kDecoded : Form::kAsOnWire; }

}  // namespace sluice::analysis
