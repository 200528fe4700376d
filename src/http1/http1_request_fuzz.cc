// Cut anywhere, the same events; what was read is written so that it is read as the same again; nothing crashes.
// The first octets say where to cut.
#include <algorithm>
#include <cstdlib>

#include "http1/http1.h"
#include "http1/transcript.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace sluice;
  using namespace sluice::http1;
  if (size < 4 || size > 2048) return 0;  // beyond the limits below nothing new happens
  HttpLimits limits;
  limits.max_head = 512;  // small, so that inputs reach them
  limits.max_fields = 8;
  limits.max_chunk_line = 32;
  const Bytes octets(reinterpret_cast<const char*>(data) + 4, size - 4);

  const auto whole = read_in_parts<RequestReader>(octets, {}, limits);
  std::vector<std::size_t> cuts;
  for (int i = 0; i < 4; ++i) cuts.push_back(octets.empty() ? 0 : data[i] * 7 % octets.size());
  std::sort(cuts.begin(), cuts.end());
  if (read_in_parts<RequestReader>(octets, cuts, limits).text != whole.text) std::abort();
  std::vector<std::size_t> every;
  for (std::size_t cut = 1; cut < octets.size(); ++cut) every.push_back(cut);
  if (read_in_parts<RequestReader>(octets, every, limits).text != whole.text) std::abort();

  // What passes is what came, but for empty lines between messages; and it is read as what it was.
  if (!(whole.anomalies & http::bit(http::Anomaly::kLeadingEmptyLine)) && !octets.starts_with(whole.wire) &&
      octets.find("\n\n") == octets.npos && octets.find("\n\r\n") == octets.npos) {
    std::abort();
  }
  const auto again = read_in_parts<RequestReader>(whole.wire, {}, limits);
  if (again.wire != whole.wire || again.content != whole.content || again.messages != whole.messages) std::abort();
  return 0;
}
