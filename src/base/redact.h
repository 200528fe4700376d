// Masks secrets by structure (engine.md 8): header values by name, cookies, query and form parameters and JSON members
// by name, JWTs and bearer tokens and URL passwords anywhere. A mask is "[redacted:KIND:8 hex]"; the hex is a keyed
// hash of the value, so that equal values can be seen to be equal and none can be guessed and checked. A value that is
// a placeholder, "${name}", stays.
//
// Every function is linear in its input, tolerates text that was cut at its end, and leaves masks as they are: masking
// twice is masking once, but where backslashes and quotes make no JSON on any level. Mask before cutting a window out
// of the middle of a text: a name left outside cannot tell what its value is. The names are in secret_names.cc; values
// in no listed place stay.
// Immutable after construction; thread-safe. The key never leaves.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "base/entropy.h"
#include "base/siphash.h"

namespace sluice {

class KnownSecrets;  // known_secrets.h

struct Redacted {
  std::string text;
  bool masked = false;  // a mask was put in now; false where masks were there before
};

class Redactor {
 public:
  // A new random key: masks of two Redactors cannot be compared. One for each process. `known`: what is masked
  // wherever it stands, too; null: nothing.
  explicit Redactor(Entropy& entropy, const KnownSecrets* known = nullptr) : known_(known) { entropy.fill(key_); }

  // The same with `watch` told of each mask and what is behind it, whole: known secrets are not masked within. `watch`
  // outlives it.
  using Watch = std::function<void(std::string_view mask, std::string_view value)>;
  Redactor watched(const Watch& watch) const {
    Redactor same = *this;
    same.known_ = nullptr;
    same.watch_ = &watch;
    return same;
  }

  // "[redacted:KIND:8 hex]"; `kind` is a lower-case word. An empty value and a mask stay as they are.
  std::string mask(std::string_view kind, Bytes value) const;

  // The value of a header or trailer field. Known authentication schemes' words stay ("Bearer [redacted:…]"), and
  // cookies' names and attributes. Fields that hold URLs are masked as URLs, all others as text.
  Redacted mask_header_value(std::string_view name, std::string_view value) const;
  // A member of a JSON object whose value is a string, or a number as it is spelt: by the member's name, else as text.
  Redacted mask_member(std::string_view name, std::string_view value) const;
  // An absolute URL, a path with query, or an authority with userinfo.
  Redacted mask_url(std::string_view url) const;
  // A whole message head as it stood: request or status line, fields, blank line.
  Redacted mask_head(std::string_view head) const;
  // A decoded body. Forms by their content type; everything else is looked through for JSON members (also JSON inside
  // JSON strings), URLs and tokens.
  Redacted mask_body(std::string_view text, std::string_view content_type) const;
  // Any text: JWTs, bearer and basic credentials, URLs.
  Redacted mask_text(std::string_view text) const;
  // Known secrets alone, whatever the text is: for names.
  Redacted mask_known(std::string_view text) const;

 private:
  // The text with known secrets masked.
  class Known {
   public:
    Known(const Redactor& redactor, std::string_view text);
    std::string_view text() const { return text_; }
    Redacted finish(Redacted masked) const { return {std::move(masked.text), masked.masked || found_}; }

   private:
    std::string made_;
    std::string_view text_;
    bool found_ = false;
  };

  SipKey key_;
  const KnownSecrets* known_ = nullptr;
  const Watch* watch_ = nullptr;
};

// Whether `text` is exactly one mask.
bool is_mask(std::string_view text);
// The first mask that begins at `from` or behind; empty: there is none.
struct MaskAt {
  std::size_t at = 0;
  std::string_view mask;
};
MaskAt find_mask(std::string_view text, std::size_t from);
bool holds_mask(std::string_view text);
// A NUL in place of each mask: for looking for something in what is shown, which must not be found in a mask. "red" is
// in every one, and found there it would say that the secret holds it.
std::string without_masks(std::string_view masked);

}  // namespace sluice
