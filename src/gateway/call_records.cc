#include "gateway/call_records.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/aead.h"
#include "base/json.h"
#include "base/text.h"
#include "gateway/call_recorder.h"

namespace sluice::gateway {
namespace {

constexpr ByteCount kMaxFile = 64 * kMiB;  // a file has its bound, and one call more

std::string text_of(const Json& line, std::string_view name) {
  const Json* member = find_member(line, name);
  return member && member->is_string() ? member->get<std::string>() : "";
}

void take(const Json& line, CallRecords& out) {
  if (const Json* lost = find_member(line, "lost"); lost && lost->is_number_unsigned()) {
    out.lost += lost->get<std::uint64_t>();
    return;
  }
  if (const Json* schema = find_member(line, "schema"); schema && schema->is_string()) {
    out.schemas[{text_of(line, "server"), text_of(line, "tool")}] = schema->get<std::string>();
    return;
  }
  CallRecord call{0,
                  text_of(line, "grant"),
                  text_of(line, "server"),
                  text_of(line, "method"),
                  text_of(line, "tool"),
                  text_of(line, "decision"),
                  text_of(line, "approver"),
                  text_of(line, "risk"),
                  std::nullopt};
  if (const Json* time = find_member(line, "time"); time && time->is_number_integer()) {
    call.time_ms = time->get<std::int64_t>();
  }
  if (find_member(line, "arguments")) call.arguments = text_of(line, "arguments");
  out.calls.push_back(std::move(call));
}

Status read_file(FileSystem& files, const std::string& path, const Secret& key, CallRecords& out) {
  SLUICE_TRY(const std::string text, files.load_file(path, kMaxFile));
  const auto bad = [&](std::size_t line, std::string_view what) {
    return fail(Code::kRefused, fmt::format("{}:{}: {}", path, line, what));
  };
  std::optional<Aead> aead;
  std::size_t begin = 0;
  for (std::uint64_t number = 0;; ++number) {
    const std::size_t end = text.find('\n', begin);
    if (end == std::string::npos) return {};
    const std::string_view line = std::string_view(text).substr(begin, end - begin);
    begin = end + 1;
    if (number == 0) {
      const auto head = parse_json(line);
      const auto salt = head && head->is_object() ? hex_decode(text_of(*head, "salt")) : std::nullopt;
      if (!salt || salt->empty()) return bad(1, "no file of recorded calls");
      aead.emplace(derive_key(key.view(), *salt, kCallFileInfo).view(), Aead::Use::kOpen);
      continue;
    }
    const auto sealed = base64_decode(line);
    std::string plain(sealed && sealed->size() > kTagSize ? sealed->size() - kTagSize : 0, '\0');
    if (plain.empty() || !aead->open(counter_nonce(number), {}, *sealed, plain.data())) {
      return bad(number + 1, number == 1 ? "sealed with another key, or altered" : "altered");
    }
    const auto content = parse_json(plain);
    if (!content || !content->is_object()) return bad(number + 1, "holds no call");
    take(*content, out);
  }
}

}  // namespace

Result<CallRecords> read_calls(FileSystem& files, const std::string& directory, const Secret& key) {
  SLUICE_TRY(const auto names, files.list(directory));
  CallRecords out;
  bool any = false;
  for (const std::string& name : names) {
    if (!call_file_time(name)) continue;
    any = true;
    SLUICE_CHECK(read_file(files, fmt::format("{}/{}", directory, name), key, out));
  }
  if (!any) return fail(Code::kNotFound, directory + " holds no recorded calls");
  std::stable_sort(out.calls.begin(), out.calls.end(),
                   [](const CallRecord& a, const CallRecord& b) { return a.time_ms < b.time_ms; });
  return out;
}

}  // namespace sluice::gateway
