#include "session/row_octets.h"

#include <cstring>

#include "capture/octets.h"

namespace sluice::session {
namespace {

// One list of members for both ways, so that they cannot disagree.
template <class Octets, class R>
void each_member(Octets& octets, R& row) {
  octets(row.seq);
  octets(row.timestamp_ms);
  octets(row.status);
  octets(row.matched_rule);
  octets(row.state);
  octets(row.protocol);
  octets(row.source);
  octets(row.has_response);
  octets(row.has_tls);
  octets(row.duration_ms);
  for (auto* body : {&row.request, &row.response}) {
    octets(body->size);
    octets(body->stored);
    octets(body->ended);
  }
  for (auto* text :
       {&row.id, &row.method, &row.host, &row.target, &row.url, &row.ja3, &row.ja4, &row.ja3s, &row.content_type}) {
    octets(*text);
  }
  octets(row.opened);
  octets(row.connection);
  octets(row.upstream);
  octets(row.runs);
}

class Writer {
 public:
  template <class Number>
  void operator()(const Number& number) {
    static_assert(std::is_trivially_copyable_v<Number>);
    out.append(reinterpret_cast<const char*>(&number), sizeof(number));
  }
  void operator()(const std::string& text) {
    (*this)(static_cast<std::uint32_t>(text.size()));
    out += text;
  }
  void operator()(const std::optional<std::int64_t>& number) {
    (*this)(number.has_value());
    (*this)(number.value_or(0));
  }
  void operator()(const std::vector<Place>& places) {
    (*this)(static_cast<std::uint32_t>(places.size()));
    out.append(reinterpret_cast<const char*>(places.data()), places.size() * sizeof(Place));
  }
  std::string out;
};

class Reader {
 public:
  explicit Reader(Bytes octets) : in_(octets) {}
  template <class Number>
  void operator()(Number& number) {
    number = in_.number<Number>();
  }
  void operator()(bool& flag) { flag = in_.number<std::uint8_t>() != 0; }
  void operator()(std::string& text) { text = in_.counted(); }
  void operator()(std::optional<std::int64_t>& number) {
    bool is_there = false;
    std::int64_t value = 0;
    (*this)(is_there);
    (*this)(value);
    if (is_there) number = value;
  }
  void operator()(std::vector<Place>& places) {
    static_assert(sizeof(Place) == 12);
    const Bytes octets = in_.octets(std::size_t{in_.number<std::uint32_t>()} * sizeof(Place));
    places.resize(octets.size() / sizeof(Place));
    if (!octets.empty()) std::memcpy(places.data(), octets.data(), octets.size());
  }
  bool ok() const { return in_.ok(); }

 private:
  capture::OctetReader in_;
};

}  // namespace

std::string row_octets(const Row& row) {
  Writer write;
  each_member(write, row);
  return std::move(write.out);
}

std::optional<Row> parse_row(Bytes octets) {
  Reader read(octets);
  Row row;
  each_member(read, row);
  if (!read.ok()) return std::nullopt;
  for (flow::BodyInfo* body : {&row.request, &row.response}) body->complete = body->stored == body->size;
  return row;
}

}  // namespace sluice::session
