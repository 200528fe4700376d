// Result<T>: for everything that a peer, a user or the operating system can cause.
// A bug throws; a Result says what the caller may do next (`Code`) and one sentence for a person
// (`message`), which never holds secrets or a peer's bytes. Context is added where an error crosses a floor.
#pragma once

#include <string>
#include <string_view>
#include <tl/expected.hpp>
#include <utility>

namespace sluice {

enum class Code {
  kInvalid,      // malformed input: the same call will fail again
  kTooLarge,     // a named limit was passed
  kNotFound,     // there is no such thing
  kConflict,     // the state forbids it now (already running, in use)
  kRefused,      // not allowed: policy, permission, trust
  kUnavailable,  // a peer or resource cannot be reached; a later try may work
  kTimeout,      // a deadline passed
  kCancelled,    // the caller went away or asked to stop
  kClosed,       // the other side ended before the work was whole
  kIo,           // the disk or the kernel said no
  kInternal,     // should not happen; a bug made visible
};

std::string_view to_string(Code code);

struct Error {
  Code code = Code::kInternal;
  std::string message;

  // "opening the CA: permission denied": what was being done, then what happened.
  Error with_context(std::string_view doing) && {
    message.insert(0, std::string(doing) + ": ");
    return std::move(*this);
  }
};

template <class T>
using Result = tl::expected<T, Error>;
using Status = Result<void>;

inline tl::unexpected<Error> fail(Code code, std::string message) {
  return tl::unexpected<Error>(Error{code, std::move(message)});
}
inline tl::unexpected<Error> fail(Error error) { return tl::unexpected<Error>(std::move(error)); }

// The message for an errno, without the thread-unsafe strerror.
std::string errno_text(int error_number);

}  // namespace sluice

#define SLUICE_CONCAT_INNER(a, b) a##b
#define SLUICE_CONCAT(a, b) SLUICE_CONCAT_INNER(a, b)
// SLUICE_TRY(auto x, f()): x becomes the value, or the function returns the error.
#define SLUICE_TRY(declaration, expression) SLUICE_TRY_AT(SLUICE_CONCAT(try_, __LINE__), declaration, expression)
#define SLUICE_TRY_AT(name, declaration, expression)         \
  auto name = (expression);                                  \
  if (!name) return ::sluice::fail(std::move(name).error()); \
  declaration = *std::move(name)
// SLUICE_CHECK(f()): for a Status.
#define SLUICE_CHECK(expression) SLUICE_CHECK_AT(SLUICE_CONCAT(try_, __LINE__), expression)
#define SLUICE_CHECK_AT(name, expression) \
  if (auto name = (expression); !name) return ::sluice::fail(std::move(name).error())
