// A server that says anything: cut anywhere, the same end; the password never goes to one that did not ask for it.
// The first octet chooses the protocol and whether there are credentials.
#include <cstdlib>

#include "base/text.h"
#include "socks/client.h"

namespace {

using namespace sluice;
using namespace sluice::socks;

std::string talk(std::uint8_t kind, Bytes answers, std::size_t piece) {
  const auto protocol = static_cast<Protocol>(kind & 3);
  const bool five = protocol == Protocol::k5 || protocol == Protocol::k5h;
  const bool password = five && (kind & 4);
  ClientOptions options{protocol, {takes_address(protocol) ? "192.0.2.9" : "site.example", 443}, "", Secret()};
  if (password) {
    options.user = "user";
    options.password = Secret("secret");
  }
  auto client = Client::create(std::move(options));
  if (!client) std::abort();
  std::string said;
  for (int turn = 0; turn < 10'000; ++turn) {
    const auto event = client->next();
    if (!event) return said + "failed " + event.error().message;
    if (const auto* send = std::get_if<Client::Send>(&*event)) {
      if (send->octets.find("secret") != std::string::npos && (!password || turn == 0)) std::abort();
      said += hex_encode(send->octets) + ' ';
    } else if (const auto* connected = std::get_if<Client::Connected>(&*event)) {
      return said + "connected " + connected->bound.host + ' ' + client->take_rest() + std::string(answers);
    } else if (answers.empty()) {
      return said + "wait";
    } else {
      client->feed(answers.substr(0, piece));
      answers.remove_prefix(std::min(piece, answers.size()));
    }
  }
  std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2 || size > 2048) return 0;
  const Bytes answers(reinterpret_cast<const char*>(data) + 2, size - 2);
  const std::string whole = talk(data[0], answers, answers.size() + 1);
  if (talk(data[0], answers, 1) != whole) std::abort();
  if (talk(data[0], answers, data[1] % 16 + 1) != whole) std::abort();
  return 0;
}
