// What stands behind a name once the gate lets a call pass: one of our tools or resources, or something of an upstream
// server. The dispatcher knows no other difference between them than where they run.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/json.h"
#include "base/result.h"
#include "gateway/policy.h"
#include "gateway/presenter.h"
#include "tools/tool.h"

namespace sluice::gateway {

inline constexpr std::string_view kServer = "sluice";  // our own tools' server (gate.md 2)

// How a call ended, for the audit and the counters.
struct CallEnd {
  std::string status = "ok";
  std::string rule;      // of the policy, that withheld the answer
  bool consumed = true;  // false: what was reserved for it is given back
  // Of an error, where it came from another server: HTTP's status if that was all there was, or the error's code.
  int http_status = 0, error_code = 0;
  ByteCount bytes = 0;  // of an error's JSON; an answer is measured where it leaves
};

class Callee {
 public:
  virtual ~Callee() = default;

  virtual std::string_view server() const = 0;
  virtual std::string_view method() const = 0;  // "tools/call", "resources/read", …
  // Under which name the policy's `methods` closes it.
  virtual std::string_view governing() const { return method(); }
  virtual std::string_view name() const = 0;  // the tool's name, the resource's URI; empty: the method has none
  virtual std::optional<tools::Risk> risk() const = 0;  // absent: the policy's `risk` says
  bool is_tool() const { return method() == "tools/call"; }

  // The effective arguments: what the policy judges (gate.md 3). The error's message is for the caller.
  virtual Result<Json> parse(const Json& arguments) const = 0;
  // Of numbers in them that they do not hold exactly, for `arguments` in its final place.
  virtual policy::Spellings spellings(const Json& /*arguments*/) const { return {}; }
  // The schema that `"args": "closed"` compares them with; null: parse() does.
  virtual const Json* input_schema() const { return nullptr; }
  // Why it may not be called whatever the policy's rules say: a denial (pins); nullopt: nothing does.
  virtual std::optional<Decision> barred() const { return std::nullopt; }

  // The answer that the call brought was for the gate's own question: it is not the server's.
  virtual void drop_retry() {}

  enum class Place { kHere, kPool, kElsewhere };
  virtual Place place() const = 0;
  // Before the caller gets an error instead; nullopt: the dispatcher's own.
  virtual std::optional<std::chrono::seconds> deadline() const { return std::nullopt; }

  // kHere (control thread) and kPool: the presented answer.
  struct Run {
    const Json& arguments;
    tools::CallContext& context;
    const Presenter& presenter;
    const Presenter::View& view;
    CallEnd& end;
  };
  virtual Result<Json> run(const Run&) const { return fail(Code::kInternal, "it does not run here"); }

  // kElsewhere, control thread: `done` once, from within or later, with the presented answer; not after stop().
  using Done = std::function<void(Result<Json> answer, CallEnd end)>;
  virtual void send(const Presenter& /*presenter*/, const Presenter::View& /*view*/, Done done) {
    done(fail(Code::kInternal, "it is not sent"), {"error", "", false});
  }
  virtual void stop() {}
};
using CalleePtr = std::shared_ptr<Callee>;

}  // namespace sluice::gateway
