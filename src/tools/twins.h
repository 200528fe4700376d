// Tools of our two toolsets that do the same: whoever closes one of them means both (gate.md 3). They share one class.
#pragma once

#include <span>
#include <string_view>

namespace sluice::tools {

struct Twins {
  std::string_view mitmproxy, proxy;  // their names, by toolset
};
// A tool may be in several pairs. Lives for ever.
std::span<const Twins> twins();

}  // namespace sluice::tools
