// Cut anywhere, the same events; what was read is written so that it is read as the same again; nothing crashes.
// The first octets say where to cut and which method was asked with.
#include <algorithm>
#include <array>
#include <cstdlib>

#include "http1/http1.h"
#include "http1/transcript.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace sluice;
  using namespace sluice::http1;
  if (size < 4 || size > 2048) return 0;  // beyond the limits below nothing new happens
  static constexpr std::array<const char*, 4> kMethods = {"GET", "GET", "HEAD", "CONNECT"};
  const std::string method = kMethods[data[0] % kMethods.size()];
  HttpLimits limits;
  limits.max_head = 512;  // small, so that inputs reach them
  limits.max_fields = 8;
  limits.max_chunk_line = 32;
  const Bytes octets(reinterpret_cast<const char*>(data) + 4, size - 4);

  const auto whole = read_in_parts<ResponseReader>(octets, {}, limits, method);
  std::vector<std::size_t> cuts;
  for (int i = 0; i < 4; ++i) cuts.push_back(octets.empty() ? 0 : data[i] * 7 % octets.size());
  std::sort(cuts.begin(), cuts.end());
  if (read_in_parts<ResponseReader>(octets, cuts, limits, method).text != whole.text) std::abort();
  std::vector<std::size_t> every;
  for (std::size_t cut = 1; cut < octets.size(); ++cut) every.push_back(cut);
  if (read_in_parts<ResponseReader>(octets, every, limits, method).text != whole.text) std::abort();

  // Only a blank before a colon is ever taken out.
  const bool mended = octets.find(" :") != octets.npos || octets.find("\t:") != octets.npos;
  if (!mended && !octets.starts_with(whole.wire)) std::abort();
  HttpLimits roomier = limits;
  roomier.max_head *= 2;  // "name:value" grows by a blank where it is written anew
  const auto again = read_in_parts<ResponseReader>(whole.wire, {}, roomier, method);
  if (again.wire != whole.wire || again.content != whole.content || again.messages != whole.messages) std::abort();
  return 0;
}
