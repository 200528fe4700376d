// HTTP and JSON as far as the MCP programs of `./dev bench gateway` need them: what our own programs write, trusted.
#pragma once

#include <cstdlib>
#include <string>
#include <string_view>

namespace bench {

// The value of a field, in the spelling of the programs that are measured; empty: there is none.
inline std::string_view field(std::string_view head, std::string_view name) {
  for (std::size_t at = head.find("\r\n"); at != head.npos && at + 2 < head.size(); at = head.find("\r\n", at + 2)) {
    const std::string_view line = head.substr(at + 2, head.find("\r\n", at + 2) - at - 2);
    if (line.size() <= name.size() || line[name.size()] != ':') continue;
    bool same = true;
    for (std::size_t i = 0; same && i < name.size(); ++i) same = (line[i] | 0x20) == (name[i] | 0x20);
    if (!same) continue;
    const std::size_t value = line.find_first_not_of(' ', name.size() + 1);
    return value == line.npos ? std::string_view() : line.substr(value);
  }
  return {};
}

// Octets of the request that `in` begins with; 0: it is not whole.
inline std::size_t request_size(std::string_view in) {
  const std::size_t end = in.find("\r\n\r\n");
  if (end == in.npos) return 0;
  const std::string length(field(in.substr(0, end + 2), "content-length"));
  const std::size_t size = end + 4 + static_cast<std::size_t>(std::atoll(length.c_str()));
  return in.size() < size ? 0 : size;
}

// The text of a member that is a number or a string, the first of its name; empty: there is none.
inline std::string_view member(std::string_view json, std::string_view name) {
  const std::string key = '"' + std::string(name) + "\":";
  const std::size_t at = json.find(key);
  if (at == json.npos) return {};
  const std::size_t from = at + key.size();
  return json.substr(from, json.find_first_of(",}", from) - from);
}

}  // namespace bench
