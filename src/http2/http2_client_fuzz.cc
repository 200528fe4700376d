// Any octets from a server to a client with requests of several kinds under way: cut anywhere, the same events; every
// stream gets at most one end. The first octets say where to cut.
#include <algorithm>
#include <cstdlib>
#include <map>

#include "http2/handmade.h"
#include "http2/pair.h"

namespace {

using namespace sluice;
using namespace sluice::http2;

Options small() {
  Options options;
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

void ask(End& end) {
  const auto head = [](std::string_view method) {
    return http::make_request(method, method == "CONNECT" ? "b:1" : "/", {{"host", "a"}});
  };
  (void)end.session.submit_request(head("GET"), {}, Body::kNone);   // 1
  (void)end.session.submit_request(head("HEAD"), {}, Body::kNone);  // 3
  end.source.content[5] = {std::string(70'000, 'x'), true, {}};     // 5: more than a window
  (void)end.session.submit_request(head("POST"), {}, Body::kPulled);
  end.source.content[7] = {"tunnel", false, {}};
  (void)end.session.submit_request(head("CONNECT"), {}, Body::kPulled);  // 7
}

// A stream that ended, or was reset, or gave malformed content, says nothing more.
void check(const std::vector<Event>& events, std::map<StreamId, bool>& over) {
  for (const Event& event : events) {
    StreamId id = 0;
    bool ends = false;
    if (const auto* head = std::get_if<HeadRead>(&event)) {
      id = head->stream;
    } else if (const auto* reset = std::get_if<StreamReset>(&event)) {
      id = reset->stream;
      ends = true;
    } else if (const auto* bad = std::get_if<Malformed>(&event)) {
      id = bad->stream;
      ends = true;
    }
    if (id == 0) continue;
    if (over[id]) std::abort();
    over[id] = ends;
  }
}

std::string told(Bytes first, Bytes second, const std::vector<std::size_t>& cuts) {
  End end(Role::kClient, small());
  end.transcript.consumes = false;
  std::map<StreamId, bool> over;
  ask(end);
  write_all(end);
  for (const Bytes octets : {first, second}) {
    std::vector<std::size_t> inside;
    for (const std::size_t cut : cuts) {
      if (cut < octets.size()) inside.push_back(cut);
    }
    end.transcript.feed(octets, inside);
    check(end.transcript.take_events(), over);
    end.session.consumed(1, 150);
    if (end.session.is_open(7)) end.session.reset(7, ErrorCode::kCancel);
    ask(end);
    write_all(end);
    check(end.transcript.take_events(), over);
  }
  end.session.go_away(ErrorCode::kNoError);
  write_all(end);
  check(end.transcript.take_events(), over);
  return end.text() + (end.session.is_over() ? "over" : "");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 5 || size > 4096) return 0;
  const Bytes octets(reinterpret_cast<const char*>(data) + 5, size - 5);
  const std::size_t middle = octets.size() * data[4] / 255;
  const Bytes first = octets.substr(0, middle), second = octets.substr(middle);

  const std::string whole = told(first, second, {});
  std::vector<std::size_t> cuts;
  for (int i = 0; i < 4; ++i) cuts.push_back(octets.empty() ? 0 : data[i] * 7u % octets.size());
  std::sort(cuts.begin(), cuts.end());
  if (told(first, second, cuts) != whole) std::abort();
  std::vector<std::size_t> every;
  for (std::size_t cut = 1; cut < octets.size(); ++cut) every.push_back(cut);
  if (told(first, second, every) != whole) std::abort();
  return 0;
}
