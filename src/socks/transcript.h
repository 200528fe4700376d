// For tests and fuzzers: runs the server's end over octets cut anywhere and writes down what it said.
#pragma once

#include <string>
#include <vector>

#include "base/text.h"
#include "socks/server.h"

namespace sluice::socks {

struct ServerRun {
  std::string said;      // "send 0500; request SOCKS5 site.example:443; rest 6869"
  std::size_t kept = 0;  // most octets held while waiting
};

// `cuts` ascending; the user name "user" with the password "secret" is welcome.
inline ServerRun run_server(Bytes octets, const std::vector<std::size_t>& cuts, Server::Auth auth) {
  ServerRun run;
  Server server(auth);
  std::size_t at = 0;
  for (std::size_t part = 0; part <= cuts.size(); ++part) {
    const std::size_t end = part < cuts.size() ? cuts[part] : octets.size();
    server.feed(octets.substr(at, end - at));
    at = end;
    for (;;) {
      auto event = server.next();
      if (!event) {
        run.said += "failed " + std::string(to_string(event.error().code)) + ' ' + hex_encode(server.farewell());
        return run;
      }
      if (std::holds_alternative<Server::Wait>(*event)) break;
      if (auto* send = std::get_if<Server::Send>(&*event)) run.said += "send " + hex_encode(send->octets) + "; ";
      if (auto* given = std::get_if<Server::Credentials>(&*event)) {
        const bool welcome = given->user == "user" && given->password.view() == "secret";
        run.said += "ask; send " + hex_encode(server.answer(welcome)) + "; ";
      }
      if (auto* request = std::get_if<Server::Request>(&*event)) {
        run.said += "request " + std::string(to_string(request->version)) + ' ' +
                    authority_text(request->destination.host, request->destination.port, 0) + "; rest " +
                    hex_encode(server.take_rest()) + hex_encode(octets.substr(at));
        return run;
      }
    }
    run.kept = std::max(run.kept, server.kept());
  }
  run.said += "wait";
  return run;
}

inline std::vector<std::size_t> every_cut(std::size_t size) {
  std::vector<std::size_t> cuts;
  for (std::size_t cut = 1; cut < size; ++cut) cuts.push_back(cut);
  return cuts;
}

}  // namespace sluice::socks
