// Cut anywhere, the same words; it never keeps more than one part of a handshake while it waits; what it was asked for
// can be asked for again by our own client's end. The first octet says with or without a password.
#include <cstdlib>

#include "socks/client.h"
#include "socks/transcript.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace sluice;
  using namespace sluice::socks;
  if (size < 2 || size > 2048) return 0;
  const Server::Auth auth = data[0] & 1 ? Server::Auth::kPassword : Server::Auth::kNone;
  const Bytes octets(reinterpret_cast<const char*>(data) + 2, size - 2);
  const ServerRun whole = run_server(octets, {}, auth);
  const ServerRun single = run_server(octets, every_cut(octets.size()), auth);
  if (single.said != whole.said || single.kept >= Server::kLongestPart) std::abort();
  const std::size_t cut = octets.empty() ? 0 : data[1] % octets.size();
  if (run_server(octets, {cut}, auth).said != whole.said) std::abort();

  Server server(Server::Auth::kNone);
  server.feed(octets);
  for (int turn = 0; turn < 5; ++turn) {
    const auto event = server.next();
    if (!event) return 0;
    const auto* request = std::get_if<Server::Request>(&*event);
    if (!request) continue;
    auto client = Client::create({Protocol::k5h, request->destination, "", Secret()});
    if (!client) std::abort();
    Server again(Server::Auth::kNone);
    for (int step = 0; step < 2; ++step) {
      const auto said = client->next();
      const auto* send = said ? std::get_if<Client::Send>(&*said) : nullptr;
      if (!send) std::abort();
      again.feed(send->octets);
      const auto heard = again.next();
      if (!heard) std::abort();
      if (step == 0) client->feed(std::get<Server::Send>(*heard).octets);
      if (step == 1 && std::get<Server::Request>(*heard).destination != request->destination) std::abort();
    }
    return 0;
  }
  return 0;
}
