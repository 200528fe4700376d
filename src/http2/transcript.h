// For tests and fuzz targets: what a session says, as one comparable text. Pieces of one body are joined, since where
// octets are cut must not matter.
#pragma once

#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "http2/http2.h"

namespace sluice::http2 {

class Transcript {
 public:
  explicit Transcript(Session& session) : session_(session) {}

  // The part lies in a block of its own size, gone afterwards: a view kept too long or too wide is found.
  bool feed(Bytes part) {
    const auto block = std::make_unique<char[]>(part.size());
    part.copy(block.get(), part.size());
    const auto status = session_.feed(Bytes(block.get(), part.size()));
    drain();
    if (!status && !failed_) {
      join();
      failed_ = true;
      text_ += "failed " + std::string(to_string(status.error().code)) + ": " + status.error().message + "\n";
    }
    return status.has_value();
  }
  // Cut before each of `cuts` (ascending).
  bool feed(Bytes octets, const std::vector<std::size_t>& cuts) {
    std::size_t from = 0;
    for (const std::size_t cut : cuts) {
      feed(octets.substr(from, cut - from));
      from = cut;
    }
    return feed(octets.substr(from));
  }
  // Takes what is queued; heads and ends are kept for who wants to act on them.
  void drain() {
    while (auto event = session_.next()) {
      std::visit([this](auto& it) { on(it); }, *event);
      if (!std::holds_alternative<DataRead>(*event)) events_.push_back(std::move(*event));
    }
  }
  const std::string& text() {
    join();
    return text_;
  }
  // Content is consumed as it comes; else its window stays used.
  bool consumes = true;
  std::vector<Event> take_events() { return std::exchange(events_, {}); }

 private:
  std::string& line(std::string_view what, StreamId stream) {
    join();
    return text_.append(what).append(" ").append(std::to_string(stream));
  }
  void join() {
    if (body_.empty()) return;
    text_ += "data " + std::to_string(body_stream_) + " [" + body_ + "]\n";
    body_.clear();
  }
  void add(const http::FieldList& fields) {
    for (std::size_t i = 0; i < fields.size(); ++i) {
      text_.append(" [").append(fields.name(i)).append(": ").append(fields.value(i)).append("]");
    }
  }
  void add(const std::variant<http::RequestHead, http::ResponseHead>& head) {
    if (const auto* request = std::get_if<http::RequestHead>(&head)) {
      text_ += " " + request->method + " " + request->target;
      add(request->fields);
    } else {
      text_ += " " + std::to_string(std::get<http::ResponseHead>(head).status);
      add(std::get<http::ResponseHead>(head).fields);
    }
  }

  void on(const HeadRead& event) {
    line("head", event.stream);
    add(event.head);
    if (!event.scheme.empty()) text_ += " scheme " + event.scheme;
    if (!event.protocol.empty()) text_ += " protocol " + event.protocol;
    if (event.priority) {
      text_ += " priority " + std::to_string(event.priority->dependency) + "/" +
               std::to_string(event.priority->weight) + (event.priority->exclusive ? "x" : "");
    }
    text_ += event.ended ? " ended\n" : "\n";
  }
  void on(const DataRead& event) {
    if (event.content.empty()) std::abort();  // a pump would spin
    if (event.stream != body_stream_) join();
    body_stream_ = event.stream;
    body_ += event.content;
    if (consumes) session_.consumed(event.stream, event.content.size());
  }
  void on(const TrailersRead& event) {
    line("trailers", event.stream);
    add(event.fields);
    text_ += "\n";
  }
  void on(const StreamEnded& event) { line("end", event.stream) += "\n"; }
  void on(const StreamReset& event) {
    line("reset", event.stream) +=
        " " + std::to_string(static_cast<std::uint32_t>(event.code)) + (event.by_peer ? " by the peer\n" : " by us\n");
  }
  void on(const Malformed& event) {
    line("malformed", event.stream) += event.in_head ? " head" : " body";
    if (event.too_large) text_ += " too large";
    text_ += ": " + event.message + " |";
    add(event.head);
    text_ += "\n";
  }
  void on(const GoAwayRead& event) {
    line("goaway", event.last_stream) += " " + std::to_string(static_cast<std::uint32_t>(event.code)) + "\n";
  }
  void on(const SettingsRead&) { line("settings", 0) += "\n"; }

  Session& session_;
  std::string text_, body_;
  StreamId body_stream_ = 0;
  bool failed_ = false;
  std::vector<Event> events_;
};

}  // namespace sluice::http2
