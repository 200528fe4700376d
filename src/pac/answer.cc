#include "pac/answer.h"

#include <array>
#include <optional>

#include "base/text.h"
#include "base/url.h"

namespace sluice::pac {
namespace {

struct Word {
  std::string_view name;
  Choice::Kind kind;
  std::uint16_t port;
};
constexpr std::array<Word, 6> kWords{{{"PROXY", Choice::Kind::kHttp, 80},
                                      {"HTTP", Choice::Kind::kHttp, 80},
                                      {"HTTPS", Choice::Kind::kHttps, 443},
                                      {"SOCKS", Choice::Kind::kSocks4, 1080},
                                      {"SOCKS4", Choice::Kind::kSocks4, 1080},
                                      {"SOCKS5", Choice::Kind::kSocks5, 1080}}};

constexpr std::string_view kBlanks = " \t\r\n\f\v";

std::string_view strip(std::string_view text) {
  const std::size_t begin = text.find_first_not_of(kBlanks);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(kBlanks) - begin + 1);
}

std::optional<Choice> parse_entry(std::string_view entry) {
  if (iequals(entry, "DIRECT")) return Choice{};
  const std::size_t blank = entry.find_first_of(kBlanks);
  if (blank == std::string_view::npos) return std::nullopt;
  const std::string_view name = entry.substr(0, blank), where = strip(entry.substr(blank));
  for (const Word& word : kWords) {
    if (!iequals(name, word.name)) continue;
    auto parsed = parse_authority(where, word.port);
    if (!parsed || parsed->port == 0 || !is_valid_host(parsed->host)) return std::nullopt;
    return Choice{word.kind, std::move(parsed->host), parsed->port};
  }
  return std::nullopt;
}

}  // namespace

Result<std::vector<Choice>> parse_answer(std::string_view text) {
  std::vector<Choice> choices;
  for (std::string_view rest = text; choices.size() < kMostChoices;) {
    const std::size_t end = rest.find(';');
    if (auto choice = parse_entry(strip(rest.substr(0, end)))) choices.push_back(*std::move(choice));
    if (end == std::string_view::npos) break;
    rest.remove_prefix(end + 1);
  }
  if (!choices.empty()) return choices;
  if (text.find_first_not_of("; \t\r\n\f\v") == std::string_view::npos)
    return fail(Code::kInvalid, "returned nothing where it should name a proxy or DIRECT");
  return fail(Code::kInvalid, "returned \"" + shown(text) + "\", which names no proxy and is not DIRECT");
}

std::string to_string(const Choice& choice) {
  if (choice.kind == Choice::Kind::kDirect) return "DIRECT";
  std::string name;
  switch (choice.kind) {
    case Choice::Kind::kDirect:
    case Choice::Kind::kHttp:
      name = "PROXY ";
      break;
    case Choice::Kind::kHttps:
      name = "HTTPS ";
      break;
    case Choice::Kind::kSocks4:
      name = "SOCKS4 ";
      break;
    case Choice::Kind::kSocks5:
      name = "SOCKS5 ";
      break;
  }
  return name + authority_text(choice.host, choice.port, 0);
}

std::string shown(std::string_view words, std::size_t most) {
  std::string text = repair_utf8(words.substr(0, most * 4));
  for (char& c : text) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = ' ';
  }
  const std::string_view cut = utf16_prefix(text, most);
  return cut.size() < text.size() || words.size() > most * 4 ? std::string(cut) + "..." : text;
}

}  // namespace sluice::pac
