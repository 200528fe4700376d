#include "socks/socks.h"

namespace sluice::socks {

std::string_view to_string(Version version) {
  switch (version) {
    case Version::k4:
      return "SOCKS4";
    case Version::k4a:
      return "SOCKS4a";
    case Version::k5:
      return "SOCKS5";
  }
  return "";
}

std::string_view to_string(Refusal refusal) {
  switch (refusal) {
    case Refusal::kGeneral:
      return "the request failed";
    case Refusal::kNotAllowed:
      return "the connection is not allowed";
    case Refusal::kNetworkUnreachable:
      return "the network is unreachable";
    case Refusal::kHostUnreachable:
      return "the host is unreachable";
    case Refusal::kConnectionRefused:
      return "the connection was refused";
    case Refusal::kTimedOut:
      return "connecting took too long";
    case Refusal::kCommand:
      return "the command is not supported";
    case Refusal::kAddressType:
      return "the address type is not supported";
  }
  return "";
}

}  // namespace sluice::socks
