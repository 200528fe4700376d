#include "tools/visible_names.h"

#include <vector>

namespace sluice::tools {
namespace {

bool is_word_octet(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

bool holds_unseen(std::string_view sentence, const IsUnseen& is_unseen) {
  for (std::size_t at = 0; at < sentence.size();) {
    if (!is_word_octet(sentence[at])) {
      ++at;
      continue;
    }
    std::size_t end = at;
    while (end < sentence.size() && is_word_octet(sentence[end])) ++end;
    if (is_unseen(sentence.substr(at, end - at))) return true;
    at = end;
  }
  return false;
}

}  // namespace

std::string without_unseen(std::string_view text, const IsUnseen& is_unseen) {
  if (!holds_unseen(text, is_unseen)) return std::string(text);
  std::string out;
  while (!text.empty()) {
    const std::size_t stop = text.find(". ");
    const std::string_view sentence = text.substr(0, stop == std::string_view::npos ? text.size() : stop + 2);
    text.remove_prefix(sentence.size());
    if (!holds_unseen(sentence, is_unseen)) out += sentence;
  }
  while (out.ends_with(' ')) out.pop_back();
  return out;
}

void drop_unseen(Json& entry, const IsUnseen& is_unseen) {
  if (entry.is_array()) {
    for (Json& item : entry) drop_unseen(item, is_unseen);
    return;
  }
  if (!entry.is_object()) return;
  std::vector<std::string> emptied;
  for (auto& [name, value] : entry.items()) {
    if (!value.is_string()) {
      drop_unseen(value, is_unseen);
      continue;
    }
    if (name != "description" && name != "title") continue;
    const std::string& text = value.get_ref<const std::string&>();
    if (!holds_unseen(text, is_unseen)) continue;
    value = without_unseen(text, is_unseen);
    if (value.get_ref<const std::string&>().empty()) emptied.push_back(name);
  }
  for (const std::string& name : emptied) entry.erase(name);
}

}  // namespace sluice::tools
