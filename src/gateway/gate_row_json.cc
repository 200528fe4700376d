#include "gateway/gate_row_json.h"

#include "base/json.h"

namespace sluice::gateway {
namespace {

// Every member of a row, for reading and for writing alike.
template <class Row, class Each>
void each_member_of_grant(Row& row, const Each& each) {
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

template <class Row, class Each>
void each_member_of_approval(Row& row, const Each& each) {
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

template <class Row, class Each>
void each_member_of_pin(Row& row, const Each& each) {
  each("server", row.server);
  each("target", row.target);
  each("tool", row.tool);
  each("accepted", row.accepted);
  each("seen", row.seen);
  each("rejected", row.rejected);
  each("changed_ms", row.changed_ms);
}

class Writer {
 public:
  template <class Value>
  void operator()(const char* name, const Value& value) const {
    json_[name] = value;
  }
  std::string text() const { return dump_json(json_); }

 private:
  mutable Json json_ = Json::object();
};

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
  template <class Row>
  Result<Row> result(Row row, const char* what) const {
    if (good_) return row;
    return fail(Code::kIo, std::string("Redis holds ") + what + " that cannot be true");
  }

 private:
  const Json* find(const char* name, bool (Json::*is_right)() const noexcept) const {
    const Json* value = good_ ? find_member(json_, name) : nullptr;
    good_ = value && (value->*is_right)();
    return good_ ? value : nullptr;
  }

  const Json json_;
  mutable bool good_ = false;
};

}  // namespace

std::string to_row(const Grant& grant) {
  const Writer writer;
  each_member_of_grant(grant, writer);
  return writer.text();
}

std::string to_row(const Approval& approval) {
  const Writer writer;
  each_member_of_approval(approval, writer);
  return writer.text();
}

std::string to_row(const Pin& pin) {
  const Writer writer;
  each_member_of_pin(pin, writer);
  return writer.text();
}

Result<Grant> read_grant_row(std::string_view text) {
  const Reader reader(text);
  Grant grant;
  each_member_of_grant(grant, reader);
  return reader.result(std::move(grant), "a grant");
}

Result<Approval> read_approval_row(std::string_view text) {
  const Reader reader(text);
  Approval approval;
  each_member_of_approval(approval, reader);
  return reader.result(std::move(approval), "an approval");
}

Result<Pin> read_pin_row(std::string_view text) {
  const Reader reader(text);
  Pin pin;
  each_member_of_pin(pin, reader);
  return reader.result(std::move(pin), "a pin");
}

}  // namespace sluice::gateway
