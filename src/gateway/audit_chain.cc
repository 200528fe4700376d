#include "gateway/audit_chain.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "base/text.h"

namespace sluice::gateway {
namespace {

constexpr std::string_view kHash = R"(,"hash":")", kSignature = R"(","signature":")", kEnd = R"("})";
constexpr std::size_t kHexHash = 64, kBase64Signature = 86;
constexpr std::size_t kNumberDigits = 8;

bool is_number(std::string_view text) {
  return !text.empty() && text.size() <= 18 &&
         std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

template <class Integer>
Integer to_number(std::string_view text) {
  Integer number{};
  std::from_chars(text.data(), text.data() + text.size(), number);
  return number;
}

}  // namespace

std::optional<ChainLine> read_chain_line(std::string_view line) {
  ChainLine read;
  if (!line.starts_with('{') || !line.ends_with(kEnd)) return std::nullopt;
  std::string_view rest = line.substr(0, line.size() - kEnd.size());
  const std::size_t with_signature = kSignature.size() + kBase64Signature;
  if (rest.size() > with_signature && rest.substr(rest.size() - with_signature).starts_with(kSignature)) {
    const auto signature = base64_decode(rest.substr(rest.size() - kBase64Signature));
    if (!signature || base64url_encode(*signature) != rest.substr(rest.size() - kBase64Signature)) return std::nullopt;
    read.signature = *signature;
    rest.remove_suffix(with_signature);
  }
  if (rest.size() < kHash.size() + kHexHash) return std::nullopt;
  const auto hash = hex_decode(rest.substr(rest.size() - kHexHash));
  if (!hash || hash->size() != read.hash.size() || hex_encode(*hash) != rest.substr(rest.size() - kHexHash)) {
    return std::nullopt;
  }
  std::copy(hash->begin(), hash->end(), read.hash.begin());
  rest.remove_suffix(kHexHash);
  if (!rest.ends_with(kHash)) return std::nullopt;
  rest.remove_suffix(kHash.size());
  read.content = rest;
  return read;
}

ChainHash chain_hash(const ChainHash& before, std::string_view content) {
  return sha256({std::string_view(before.data(), before.size()), content});
}

std::string signed_message(const ChainHash& hash) {
  std::string message(kSignedPrefix);
  message.append(hash.begin(), hash.end());
  return message;
}

LinkedLine link_line(const ChainHash& before, const Json& content) {
  LinkedLine line;
  line.text = dump_json(content);
  line.text.pop_back();
  line.hash = chain_hash(before, line.text);
  line.text += kHash;
  line.text += hex_encode(Bytes(line.hash.data(), line.hash.size()));
  line.text += kEnd;
  line.text += '\n';
  return line;
}

void add_signature(LinkedLine& line, Bytes signature) {
  line.text.resize(line.text.size() - kEnd.size() - 1);
  line.text += kSignature;
  line.text += base64url_encode(signature);
  line.text += kEnd;
  line.text += '\n';
}

std::string to_string(const ChainFileName& name) { return fmt::format("{:08}-{}.jsonl", name.number, name.pid); }

std::optional<ChainFileName> read_chain_file_name(std::string_view name) {
  constexpr std::string_view kSuffix = ".jsonl";
  if (!name.ends_with(kSuffix)) return std::nullopt;
  name.remove_suffix(kSuffix.size());
  const std::size_t dash = name.find('-');
  if (dash == std::string_view::npos || dash < kNumberDigits) return std::nullopt;
  const std::string_view number = name.substr(0, dash), pid = name.substr(dash + 1);
  if (!is_number(number) || !is_number(pid) || pid.size() > 9) return std::nullopt;
  const ChainFileName read{to_number<std::uint64_t>(number), to_number<int>(pid)};
  if (to_string(read) != std::string(name) + std::string(kSuffix)) return std::nullopt;
  return read;
}

}  // namespace sluice::gateway
