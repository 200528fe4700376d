// For tests and benchmarks: two sessions that talk to each other, and bodies from memory.
#pragma once

#include <algorithm>
#include <map>
#include <string>

#include "http2/http2.h"
#include "http2/transcript.h"

namespace sluice::http2 {

// Bodies by stream: what is there is given; what will still come is waited for.
class MemorySource final : public BodySource {
 public:
  struct Content {
    std::string octets;
    bool whole = true;
    http::FieldList trailers;
    std::size_t given = 0;
  };
  std::map<StreamId, Content> content;
  std::size_t pulls = 0;

  Pulled pull(StreamId stream, MutableBytes out) override {
    ++pulls;
    Content& body = content[stream];
    const std::size_t count = std::min(out.size(), body.octets.size() - body.given);
    body.octets.copy(out.data(), count, body.given);
    body.given += count;
    const bool end = body.whole && body.given == body.octets.size();
    return {count, end, end ? &body.trailers : nullptr};
  }
};

struct End {
  End(Role role, const Options& options) : session(role, options, source), transcript(session) {}
  std::string text() { return transcript.text(); }

  MemorySource source;
  Session session;
  Transcript transcript;
};

struct Pair {
  explicit Pair(const Options& client_options = {}, const Options& server_options = {})
      : client(Role::kClient, client_options), server(Role::kServer, server_options) {}

  // Each way until nothing moves. False: one end found the connection broken.
  bool talk() {
    bool sound = true;
    for (bool moved = true; moved && sound;) moved = move(client, server, sound) || move(server, client, sound);
    return sound;
  }
  // All that `from` has to say, once.
  static bool move(End& from, End& to, bool& sound) {
    bool moved = false;
    for (Bytes out = from.session.output(); !out.empty(); out = from.session.output()) {
      moved = true;
      sound = to.transcript.feed(out) && sound;
    }
    from.transcript.drain();
    return moved;
  }

  End client, server;
};

}  // namespace sluice::http2
