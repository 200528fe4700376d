// For tests and fuzz targets: what a reader says about octets that come in given parts, as one comparable text.
// Pieces of one body are joined, since where octets are cut must not matter.
#pragma once

#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "http1/http1.h"

namespace sluice::http1 {

struct Transcript {
  std::string text;          // one line for each head field, body, trailer section, end, error
  std::string wire;          // all that was given, heads written again: what a proxy would send on
  std::string content;       // of all bodies together
  std::size_t messages = 0;  // that came to their end
  http::AnomalySet anomalies = 0;
  bool failed = false;
  Error error;
};

template <class Reader>
class TranscriptMaker {
 public:
  explicit TranscriptMaker(Reader reader, std::string method = "")
      : reader_(std::move(reader)), method_(std::move(method)) {
    begin();
  }

  // Each part lies in a block of its own size, gone afterwards: a view kept too long or too wide is found.
  void feed(Bytes part) {
    if (out_.failed) return;
    const auto block = std::make_unique<char[]>(part.size());
    part.copy(block.get(), part.size());
    reader_.feed(Bytes(block.get(), part.size()));
    while (step()) {
    }
  }

  Transcript finish() {
    if (!out_.failed) {
      if constexpr (std::is_same_v<Reader, RequestReader>) {
        if (auto end = reader_.finish(); !end) fail_with(std::move(end).error());
      } else {
        auto event = reader_.finish();
        if (!event) {
          fail_with(std::move(event).error());
        } else if (!idle_) {
          on(http::MessageEnd{});
        }
      }
    }
    out_.text += reader_.in_head() ? "in head\n" : "";
    return std::move(out_);
  }
  Reader& reader() { return reader_; }

 private:
  void begin() {
    if constexpr (std::is_same_v<Reader, ResponseReader>) reader_.begin(method_);
  }
  bool step() {
    auto event = reader_.next();
    if (!event) {
      fail_with(std::move(event).error());
      return false;
    }
    const bool more = !std::holds_alternative<http::NeedMore>(*event);
    std::visit([this](auto& it) { on(it); }, *event);
    return more;
  }
  void fail_with(Error error) {
    flush();
    out_.text += "error " + std::string(to_string(error.code)) + ": " + error.message + "\n";
    out_.failed = true;
    out_.error = std::move(error);
  }
  void flush() {
    if (!body_wire_.empty()) out_.text += "body [" + body_content_ + "] as [" + body_wire_ + "]\n";
    out_.wire += body_wire_;
    out_.content += body_content_;
    body_wire_.clear();
    body_content_.clear();
  }
  void on(const http::NeedMore&) {}
  void on(const http::RequestHead& head) {
    out_.text += "request [" + head.method + "] [" + head.target + "] " + std::string(to_string(head.version)) + "\n";
    on_head(head);
  }
  void on(const http::ResponseHead& head) {
    out_.text += "answer [" + std::to_string(head.status) + "] [" + head.reason + "] " +
                 std::string(to_string(head.version)) + "\n";
    on_head(head);
  }
  template <class Head>
  void on_head(const Head& head) {
    idle_ = false;
    append_head(out_.wire, head);
    on_fields(head.fields);
    out_.text += "framing " + std::to_string(static_cast<int>(reader_.framing().kind)) + " " +
                 std::to_string(reader_.framing().length) + "\n";
  }
  void on_fields(const http::FieldList& fields) {
    for (std::size_t i = 0; i < fields.size(); ++i) {
      out_.text += "field [" + std::string(fields.name(i)) + "] [" + std::string(fields.value(i)) + "]\n";
    }
  }
  void on(const http::BodyPiece& piece) {
    body_wire_ += piece.wire;
    body_content_ += piece.content;
    if (!piece.content.empty() && piece.content != piece.wire) std::abort();
    if (piece.wire.empty()) std::abort();  // a pump would spin
  }
  void on(const http::Trailers& trailers) {
    flush();
    out_.text += "trailers [" + std::string(trailers.wire) + "]\n";
    on_fields(trailers.fields);
    out_.wire += trailers.wire;
  }
  void on(const http::MessageEnd&) {
    flush();
    out_.anomalies |= reader_.anomalies();
    out_.text += "end " + std::to_string(reader_.anomalies()) + "\n";
    ++out_.messages;
    idle_ = true;
    begin();
  }

  Reader reader_;
  std::string method_;
  std::string body_wire_, body_content_;
  bool idle_ = true;
  Transcript out_;
};

// All of `octets`, cut before each of `cuts` (ascending), then the peer's close.
template <class Reader>
Transcript read_in_parts(Bytes octets, const std::vector<std::size_t>& cuts, const HttpLimits& limits,
                         const std::string& method = "") {
  TranscriptMaker<Reader> maker(Reader{limits}, method);
  std::size_t from = 0;
  for (const std::size_t cut : cuts) {
    maker.feed(octets.substr(from, cut - from));
    from = cut;
  }
  maker.feed(octets.substr(from));
  return maker.finish();
}

}  // namespace sluice::http1
