#include "gateway/gate_row_json.h"

#include <concepts>
#include <type_traits>

#include "base/json.h"

namespace sluice::gateway {
namespace {

template <class Row, class Kind>
concept RowOf = std::same_as<std::remove_const_t<Row>, Kind>;

// Every member of a row, for reading and for writing alike.
template <RowOf<Grant> Row, class Each>
void each_member(Row& row, const Each& each) {
  each("name", row.name);
  each("server", row.server);
  each("policy", row.policy);
  each("hash", row.hash);
  each("old_hash", row.old_hash);
  each("old_until_ms", row.old_until_ms);
  each("created_ms", row.created_ms);
  each("expires_ms", row.expires_ms);
  each("revoked_ms", row.revoked_ms);
  each("stdio", row.stdio);
}

template <RowOf<Approval> Row, class Each>
void each_member(Row& row, const Each& each) {
  each("id", row.id);
  each("grant", row.grant);
  each("server", row.server);
  each("tool", row.tool);
  each("digest", row.digest);
  each("rule", row.rule);
  each("message", row.message);
  each("arguments", row.arguments);
  each("created_ms", row.created_ms);
  each("expires_ms", row.expires_ms);
  each("status", row.status);
  each("approver", row.approver);
  each("decided_ms", row.decided_ms);
}

template <RowOf<Pin> Row, class Each>
void each_member(Row& row, const Each& each) {
  each("server", row.server);
  each("target", row.target);
  each("tool", row.tool);
  each("accepted", row.accepted);
  each("seen", row.seen);
  each("rejected", row.rejected);
  each("changed_ms", row.changed_ms);
}

template <class Row>
std::string text_of_row(const Row& row) {
  Json json = Json::object();
  each_member(row, [&](const char* name, const auto& value) { json[name] = value; });
  return dump_json(json);
}

class Reader {
 public:
  explicit Reader(std::string_view text) : json_(parse_json(text).value_or(Json())) { good_ = json_.is_object(); }

  void operator()(const char* name, std::string& out) const {
    if (const Json* value = find(name, &Json::is_string)) out = value->get<std::string>();
  }
  void operator()(const char* name, std::int64_t& out) const {
    if (const Json* value = find(name, &Json::is_number_integer)) out = value->get<std::int64_t>();
    good_ = good_ && out >= 0;
  }
  void operator()(const char* name, bool& out) const {
    if (const Json* value = find(name, &Json::is_boolean)) out = value->get<bool>();
  }
  bool is_good() const { return good_; }

 private:
  const Json* find(const char* name, bool (Json::*is_right)() const noexcept) const {
    const Json* value = good_ ? find_member(json_, name) : nullptr;
    good_ = value && (value->*is_right)();
    return good_ ? value : nullptr;
  }

  const Json json_;
  mutable bool good_ = false;
};

template <class Row>
Result<Row> read_row(std::string_view text, const char* what) {
  const Reader reader(text);
  Row row;
  each_member(row, reader);
  if (reader.is_good()) return row;
  return fail(Code::kIo, std::string("Redis holds ") + what + " that cannot be true");
}

}  // namespace

std::string to_row(const Grant& grant) { return text_of_row(grant); }
std::string to_row(const Approval& approval) { return text_of_row(approval); }
std::string to_row(const Pin& pin) { return text_of_row(pin); }

Result<Grant> read_grant_row(std::string_view text) { return read_row<Grant>(text, "a grant"); }
Result<Approval> read_approval_row(std::string_view text) { return read_row<Approval>(text, "an approval"); }
Result<Pin> read_pin_row(std::string_view text) { return read_row<Pin>(text, "a pin"); }

}  // namespace sluice::gateway
