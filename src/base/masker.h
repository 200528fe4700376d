// Private to redact: one pass over one text, which it copies with masks in place of secrets.
#pragma once

#include <string>
#include <string_view>

#include "base/redact.h"
#include "base/secret_names.h"

namespace sluice {

class Masker {
 public:
  explicit Masker(const Redactor& redactor) : redactor_(redactor) {}

  void put(std::string_view text) {
    flush();
    out_.append(text);
  }
  void put(char c) { put(std::string_view(&c, 1)); }
  // `plain` is the value without its escapes: it is what is hashed.
  void secret(std::string_view kind, std::string_view value, std::string_view plain);
  void secret(std::string_view kind, std::string_view value) { secret(kind, value, value); }
  void shaped(const SecretName& name, std::string_view value, std::string_view plain);
  // --- masker_fields.cc ---
  // A field's value, or those of several fields joined by commas, some of which are masked already.
  void field(const SecretName& name, std::string_view value);
  // --- masker_url.cc ---
  void url(std::string_view url);
  void parameters(std::string_view text);
  // --- masker_text.cc ---
  enum class Members { kSkip, kMask };
  void text(std::string_view text, Members members);
  void tokens(std::string_view text);  // JWTs alone
  void events(std::string_view text);  // text/event-stream: what a value is may stand on the line before it
  // --- masker_body.cc ---
  void head(std::string_view text);
  void multipart(std::string_view text, std::string_view boundary);

  Redacted take() { return {std::move(out_), masked_}; }

 private:
  void credentials(std::string_view kind, std::string_view value);
  void cookies(std::string_view kind, std::string_view value);
  void set_cookie(std::string_view kind, std::string_view value);
  std::size_t separator(std::string_view text);

  void part(std::string_view text);
  void path(std::string_view text);
  void parameter(std::string_view text, bool code_is_secret);

  // These look at text[at…], put what they recognise and return how far they came, or `at` where they do not.
  std::size_t jwt(std::string_view text, std::size_t at);
  std::size_t scheme_credentials(std::string_view text, std::size_t at);
  std::size_t absolute_url(std::string_view text, std::size_t at);
  std::size_t json_member(std::string_view text, std::size_t at);
  std::size_t json_value(std::string_view text, std::size_t at, std::size_t level, const SecretName& name);
  std::size_t json_array(std::string_view text, std::size_t at, std::size_t level, const SecretName& name);

  std::size_t skip_space(std::string_view text, std::size_t at) const;

  void flush() {
    out_.append(pending_);
    pending_ = {};
  }

  const Redactor& redactor_;
  std::string out_;
  std::string_view pending_;  // stands before whatever is put next
  bool masked_ = false;
  bool events_ = false;                // the text is an event stream's
  const SecretName* named_ = nullptr;  // {"name": "password", "value": …}: what the next "value" holds
};

}  // namespace sluice
