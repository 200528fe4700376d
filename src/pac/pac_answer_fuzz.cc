// What a script returns and what its process says: nothing crashes, what is understood is written and understood again
// as the same, and nothing becomes DIRECT that does not say so.
#include <cstdlib>

#include "base/text.h"
#include "base/url.h"
#include "pac/answer.h"
#include "pac/script_text.h"
#include "pac/wire.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace sluice;
  using namespace sluice::pac;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  if (const auto choices = parse_answer(text)) {
    if (choices->empty() || choices->size() > kMostChoices) std::abort();
    std::string written;
    for (const Choice& choice : *choices) {
      const bool direct = choice.kind == Choice::Kind::kDirect;
      if (direct ? !choice.host.empty() || choice.port != 0 || ifind(text, "direct") == std::string_view::npos
                 : choice.port == 0 || !is_valid_host(choice.host)) {
        std::abort();
      }
      written += to_string(choice) + ";";
    }
    const auto again = parse_answer(written);
    if (!again || *again != *choices) std::abort();
  } else if (!is_utf8(choices.error().message) || choices.error().message.size() > 1000) {
    std::abort();
  }
  if (const auto reply = read_reply(text)) (void)write(*reply);
  if (const auto request = read_request(text)) (void)write(*request);
  if (!is_utf8(decode_script(text))) std::abort();
  return 0;
}
