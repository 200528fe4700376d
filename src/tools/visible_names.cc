#include "tools/visible_names.h"

#include <optional>

namespace sluice::tools {
namespace {

bool is_word_octet(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

// The next word that is not seen, from `at`.
std::optional<std::string_view> next_unseen(std::string_view text, std::size_t at, const IsUnseen& is_unseen) {
  while (at < text.size()) {
    if (!is_word_octet(text[at])) {
      ++at;
      continue;
    }
    std::size_t end = at;
    while (end < text.size() && is_word_octet(text[end])) ++end;
    if (is_unseen(text.substr(at, end - at))) return text.substr(at, end - at);
    at = end;
  }
  return std::nullopt;
}

bool holds_unseen(std::string_view sentence, const IsUnseen& is_unseen) {
  return next_unseen(sentence, 0, is_unseen).has_value();
}

std::string unnamed(std::string_view text, const IsUnseen& is_unseen) {
  std::string out;
  for (std::size_t at = 0;;) {
    const auto word = next_unseen(text, at, is_unseen);
    const std::size_t begin = word ? static_cast<std::size_t>(word->data() - text.data()) : text.size();
    out += text.substr(at, begin - at);
    if (!word) return out;
    out += "another tool";
    at = begin + word->size();
  }
}

}  // namespace

std::string without_unseen(std::string_view text, const IsUnseen& is_unseen) {
  if (!holds_unseen(text, is_unseen)) return std::string(text);
  std::string out;
  const std::string_view all = text;
  while (!text.empty()) {
    const std::size_t stop = text.find(". ");
    const std::string_view sentence = text.substr(0, stop == std::string_view::npos ? text.size() : stop + 2);
    text.remove_prefix(sentence.size());
    if (!holds_unseen(sentence, is_unseen)) out += sentence;
  }
  while (out.ends_with(' ')) out.pop_back();
  return out.empty() ? unnamed(all, is_unseen) : out;
}

void drop_unseen(Json& entry, const IsUnseen& is_unseen) {
  if (entry.is_array()) {
    for (Json& item : entry) drop_unseen(item, is_unseen);
    return;
  }
  if (!entry.is_object()) return;
  for (auto& [name, value] : entry.items()) {
    if (!value.is_string()) {
      drop_unseen(value, is_unseen);
    } else if (name == "description" || name == "title") {
      value = without_unseen(value.get_ref<const std::string&>(), is_unseen);
    }
  }
}

}  // namespace sluice::tools
