// The HTTP/2 fingerprint as Akamai published it; MD5 is part of its definition.
#include "fingerprint/digest.h"
#include "fingerprint/fingerprint.h"

namespace sluice::fingerprint {

Print http2(const Http2Hello& hello) {
  Print print;
  std::string& text = print.text;
  for (const auto& [id, value] : hello.settings) {
    if (!text.empty()) text += ';';
    text += std::to_string(id) + ':' + std::to_string(value);
  }
  text += '|';
  text += hello.window_increment == 0 ? "00" : std::to_string(hello.window_increment);
  text += '|';
  if (hello.priorities.empty()) text += '0';
  for (std::size_t i = 0; i < hello.priorities.size(); ++i) {
    const auto& priority = hello.priorities[i];
    if (i > 0) text += ',';
    text += std::to_string(priority.stream) + (priority.exclusive ? ":1:" : ":0:") +
            std::to_string(priority.dependency) + ':' + std::to_string(priority.weight);
  }
  text += '|';
  for (std::size_t i = 0; i < hello.pseudo_order.size(); ++i) {
    if (i > 0) text += ',';
    text += hello.pseudo_order[i];
  }
  print.hash = http2_hash(text);
  return print;
}

std::string http2_hash(std::string_view text) { return md5_hex(text); }

}  // namespace sluice::fingerprint
