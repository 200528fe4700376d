// Any octets from a client: cut anywhere, the same events; what is done about them does no harm; and a head that was
// read is read as the same when it is said again. The first octets say where to cut.
#include <algorithm>
#include <cstdlib>

#include "base/text.h"
#include "http2/handmade.h"
#include "http2/pair.h"

namespace {

using namespace sluice;
using namespace sluice::http2;

Options small() {
  Options options;
  options.max_streams = 4;
  options.head_size = 512;  // small, so that inputs reach them
  options.head_fields = 8;
  options.stream_window = 200;
  options.stream_window_max = 400;
  return options;
}

void write_all(End& end) {
  while (!end.session.output().empty()) {
  }
  end.transcript.drain();
}

// Answers, resets and consumes as the stream's number says.
void act(End& end) {
  for (const Event& event : end.transcript.take_events()) {
    if (const auto* head = std::get_if<HeadRead>(&event)) {
      const StreamId id = head->stream;
      if (id % 5 == 0) end.session.reset(id, ErrorCode::kCancel);
      end.source.content[id] = {std::string(static_cast<std::size_t>(id % 7) * 50, 'x'), id % 3 != 0, {}};
      if (id % 11 == 0) end.source.content[id].trailers.append("x", "y");
      (void)end.session.submit_response(id, http::make_response(103), Body::kNone);
      (void)end.session.submit_response(id, http::make_response(200), id % 4 == 1 ? Body::kPulled : Body::kNone);
    } else if (const auto* bad = std::get_if<Malformed>(&event)) {
      (void)end.session.submit_response(bad->stream, http::make_response(400), Body::kNone);
    } else if (const auto* over = std::get_if<StreamEnded>(&event)) {
      end.session.resume(over->stream);
    }
  }
  end.session.consumed(1, 150);
  write_all(end);
}

std::string told(Bytes first, Bytes second, const std::vector<std::size_t>& cuts) {
  End end(Role::kServer, small());
  end.transcript.consumes = false;
  write_all(end);
  for (const Bytes octets : {first, second}) {
    std::vector<std::size_t> inside;
    for (const std::size_t cut : cuts) {
      if (cut < octets.size()) inside.push_back(cut);
    }
    end.transcript.feed(octets, inside);
    act(end);
  }
  end.session.go_away(ErrorCode::kNoError);
  write_all(end);
  return end.text() + (end.session.is_over() ? "over" : "");
}

std::string fields_of(const HeadRead& read) {
  const auto& head = std::get<http::RequestHead>(read.head);
  std::string out = head.method + "\n" + head.target + "\n" + read.scheme + "\n" + read.protocol + "\n" +
                    to_lower(head.fields.find("host").value_or("")) + "\n";
  for (std::size_t i = 0; i < head.fields.size(); ++i) {
    if (head.fields.is_named(i, "host") || head.fields.is_named(i, "http2-settings")) continue;
    out.append(head.fields.name(i)).append(": ").append(head.fields.value(i)).append("\n");
  }
  return out;
}

void say_again(const HeadRead& read) {
  Pair pair;
  if (!pair.talk()) std::abort();
  Session::RequestOptions options;
  options.scheme = read.scheme;
  options.protocol = read.protocol;
  pair.client.source.content[1].whole = false;  // a body that never comes: any Content-Length may be said
  if (!pair.client.session.submit_request(std::get<http::RequestHead>(read.head), options, Body::kPulled)) std::abort();
  pair.server.transcript.take_events();
  if (!pair.talk()) std::abort();
  for (const Event& event : pair.server.transcript.take_events()) {
    const auto* again = std::get_if<HeadRead>(&event);
    if (again && fields_of(*again) == fields_of(read)) return;
  }
  std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 5 || size > 4096) return 0;
  const std::string octets =
      std::string(handmade::kMagic) + std::string(reinterpret_cast<const char*>(data) + 5, size - 5);
  const std::size_t middle = octets.size() * data[4] / 255;
  const Bytes first = Bytes(octets).substr(0, middle), second = Bytes(octets).substr(middle);

  const std::string whole = told(first, second, {});
  std::vector<std::size_t> cuts;
  for (int i = 0; i < 4; ++i) cuts.push_back(data[i] * 7u % octets.size());
  std::sort(cuts.begin(), cuts.end());
  if (told(first, second, cuts) != whole) std::abort();
  std::vector<std::size_t> every;
  for (std::size_t cut = 1; cut < octets.size(); ++cut) every.push_back(cut);
  if (told(first, second, every) != whole) std::abort();

  End server(Role::kServer, small());
  server.transcript.feed(octets);
  for (const Event& event : server.transcript.take_events()) {
    if (const auto* head = std::get_if<HeadRead>(&event)) {
      say_again(*head);
      break;
    }
  }
  return 0;
}
