#include "connect/connect_reader.h"

namespace sluice::connect {
namespace {

// Generous for a head that says yes or no.
constexpr HttpLimits kLimits{.max_head = 64 * kKiB, .max_fields = 200, .max_chunk_line = 4 * kKiB};
constexpr int kMostInterim = 16;
constexpr std::string_view kName = "HTTP/";

}  // namespace

ConnectReader::ConnectReader() : reader_(kLimits) { reader_.begin("CONNECT"); }

Result<std::optional<ConnectReader::Answer>> ConnectReader::feed(Bytes octets) {
  // Better now than at the deadline: something else may have greeted us and wait.
  begin_ += octets.substr(0, std::min(octets.size(), kName.size() - begin_.size()));
  if (!kName.starts_with(begin_)) return fail(Code::kInvalid, "its first octets are not HTTP's");
  octets_.assign(octets);
  reader_.feed(octets_);
  for (;;) {
    SLUICE_TRY(const http1::Step step, reader_.step());
    if (step == http1::Step::kNeedMore) return std::optional<Answer>();
    if (step != http1::Step::kHead) return fail(Code::kInvalid, "an answer's body came without its head");
    const int status = reader_.head().status;
    if (reader_.head().is_interim() && status != 101) {
      if (++interim_ > kMostInterim) return fail(Code::kInvalid, "too many interim answers");
      continue;
    }
    Answer answer{status, std::move(reader_.head().fields), ""};
    if (status / 100 == 2) answer.rest = reader_.take_rest();
    return std::optional(std::move(answer));
  }
}

}  // namespace sluice::connect
