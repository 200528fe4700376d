#include "pac/script.h"

#include <duktape.h>
#include <malloc.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>

#include "base/text.h"
#include "pac/answer.h"
#include "pac/functions.h"

namespace sluice::pac {
namespace {

constexpr std::size_t kMostArguments = 8;  // dateRange takes seven
constexpr std::size_t kMostMessage = 200;  // UTF-16 units of a script's own words

// Browsers' shExpMatch (functions.h). What is no regular expression is taken as it stands, where browsers throw.
constexpr std::string_view kShellMatch = R"((function (match, RegExp, String) {
  return function shExpMatch(text, pattern) {
    text = String(text);
    pattern = String(pattern);
    var quick = match(text, pattern, false);
    if (quick !== null) return quick;
    var expression = pattern.replace(/\./g, '\\.').replace(/\*/g, '.*').replace(/\?/g, '.');
    try {
      return new RegExp('^' + expression + '$').test(text);
    } catch (bad) {
      return match(text, pattern, true);
    }
  };
}))";

// Errors of Duktape are jumps over frames (longjmp): in functions that call it, nothing may live that has a destructor.
// What C++ must keep lies in the Engine.
class Engine final : public Script {
 public:
  Engine(Names& names, const Clock& clock, const ScriptLimits& limits)
      : limits_(limits), around_{names, clock}, context_(duk_create_heap(allocate, reallocate, release, this, die)) {}
  ~Engine() override {
    if (context_) duk_destroy_heap(context_);
  }

  Status start(std::string_view text) {
    if (!context_) return fail(Code::kTooLarge, "cannot be run: there is no memory");
    SLUICE_CHECK(run(&Engine::prepare));
    text_ = text;
    if (Status parsed = run(&Engine::compile); !parsed) {
      if (exhausted_) return parsed;
      return fail(Code::kInvalid, "could not be parsed" + (line_ > 0 ? ", line " + std::to_string(line_) : "") + ": " +
                                      words_ + " (it may use ECMAScript 5: no let, class, => or `template`)");
    }
    SLUICE_CHECK(named(run(&Engine::execute)));
    SLUICE_CHECK(named(run(&Engine::find_entry)));
    if (!entry_) return fail(Code::kInvalid, "defines no FindProxyForURL");
    return {};
  }

  Result<std::string> evaluate(std::string_view url, std::string_view host) override {
    url_ = url;
    host_ = host;
    result_.clear();
    length_ = 0;
    is_text_ = false;
    SLUICE_CHECK(named(run(&Engine::ask)));
    if (!is_text_) return fail(Code::kInvalid, "returned " + words_ + " where it should name a proxy or DIRECT");
    if (length_ > limits_.answer) {
      return fail(Code::kTooLarge, "returned " + std::to_string(length_) + " octets where it should name a proxy");
    }
    return repair_utf8(result_);
  }

  Alerts take_alerts() override { return std::exchange(alerts_, {}); }
  bool is_spent() const override { return exhausted_; }

 private:
  using Step = void (Engine::*)();

  // Runs a step in which Duktape may fail; then words_ and line_ say why.
  Status run(Step step) {
    step_ = step;
    words_.clear();
    line_ = 0;
    refused_ = false;
    const duk_int_t outcome = duk_safe_call(context_, guarded, this, 0, 1);
    if (outcome != DUK_EXEC_SUCCESS) {
      duk_dup(context_, -1);
      if (duk_safe_call(context_, describe_line, this, 1, 1) != DUK_EXEC_SUCCESS) line_ = 0;
      duk_pop(context_);
      shown_ = duk_safe_call(context_, describe, this, 1, 1) == DUK_EXEC_SUCCESS;
      if (!shown_) words_ = "something that cannot be shown";
    }
    duk_set_top(context_, 0);
    if (outcome == DUK_EXEC_SUCCESS) return {};
    if (refused_ && (words_.ends_with("alloc failed") || words_.ends_with("error in error handling") || !shown_)) {
      exhausted_ = true;
      return fail(Code::kTooLarge, "used more than " + std::to_string(limits_.memory / kMiB) + " MiB of memory");
    }
    return fail(Code::kInvalid, words_);
  }

  Status named(Status outcome) const {
    if (outcome || outcome.error().code == Code::kTooLarge) return outcome;
    return fail(Code::kInvalid, "threw " + words_ + (line_ > 0 ? " at line " + std::to_string(line_) : ""));
  }

  static duk_ret_t guarded(duk_context*, void* engine) {
    auto& self = *static_cast<Engine*>(engine);
    (self.*self.step_)();
    return 0;
  }

  static Engine& of(duk_context* context) {
    duk_memory_functions functions;
    duk_get_memory_functions(context, &functions);
    return *static_cast<Engine*>(functions.udata);
  }

  // --- steps: jumps ahead ---
  void prepare() {
    duk_push_global_object(context_);
    duk_del_prop_string(context_, -1, "Duktape");
    const std::span<const Function> list = functions();
    for (std::size_t i = 0; i < list.size(); ++i) {
      duk_push_c_function(context_, call_function, DUK_VARARGS);
      duk_set_magic(context_, -1, static_cast<duk_int_t>(i));
      duk_put_prop_string(context_, -2, list[i].name);
    }
    duk_push_c_function(context_, call_alert, 1);
    duk_put_prop_string(context_, -2, "alert");
    duk_eval_lstring(context_, kShellMatch.data(), kShellMatch.size());
    duk_push_c_function(context_, call_match, 3);
    duk_get_global_string(context_, "RegExp");
    duk_get_global_string(context_, "String");
    duk_call(context_, 3);
    duk_put_prop_string(context_, -2, "shExpMatch");
  }

  void compile() {
    duk_push_global_stash(context_);
    duk_compile_lstring(context_, 0, text_.data(), text_.size());
    duk_put_prop_string(context_, -2, "program");
  }

  void execute() {
    duk_push_global_stash(context_);
    duk_get_prop_string(context_, -1, "program");
    duk_del_prop_string(context_, -2, "program");
    duk_call(context_, 0);
  }

  void find_entry() {
    for (const char* name : {"FindProxyForURLEx", "FindProxyForURL"}) {
      duk_get_global_string(context_, name);
      if (!entry_ && duk_is_function(context_, -1)) entry_ = name;
    }
  }

  void ask() {
    duk_get_global_string(context_, entry_);
    duk_push_lstring(context_, url_.data(), url_.size());
    duk_push_lstring(context_, host_.data(), host_.size());
    duk_call(context_, 2);
    is_text_ = duk_is_string(context_, -1) != 0;
    if (!is_text_) {
      keep_kind();
      return;
    }
    duk_size_t size = 0;
    const char* text = duk_get_lstring(context_, -1, &size);
    length_ = size;
    if (size <= limits_.answer) result_.assign(text, size);
  }

  void keep_kind() {
    if (duk_is_null_or_undefined(context_, -1)) {
      words_ = "nothing";
    } else if (duk_is_number(context_, -1)) {
      words_ = "a number";
    } else if (duk_is_boolean(context_, -1)) {
      words_ = "true or false";
    } else {
      words_ = "an object";
    }
  }

  // What was thrown, taken apart: which may run the script's own code.
  static duk_ret_t describe_line(duk_context* context, void* engine) {
    if (!duk_is_error(context, -1)) return 0;
    duk_get_prop_string(context, -1, "lineNumber");
    if (duk_is_number(context, -1)) static_cast<Engine*>(engine)->line_ = duk_get_int(context, -1);
    return 0;
  }
  static duk_ret_t describe(duk_context* context, void* engine) {
    auto& self = *static_cast<Engine*>(engine);
    duk_size_t size = 0;
    const char* text = duk_to_lstring(context, -1, &size);
    self.keep_words({text, std::min<std::size_t>(size, 4 * kMostMessage)});
    return 0;
  }

  // Duktape ends the messages of its parser with the line: it is said once.
  void keep_words(std::string_view text) {
    if (const std::size_t line = text.rfind(" (line "); line != std::string_view::npos && text.ends_with(')')) {
      text = text.substr(0, line);
    }
    words_ = shown(text, kMostMessage);
  }

  // --- what scripts call ---
  static duk_ret_t call_function(duk_context* context) {
    Engine& self = of(context);
    std::array<Argument, kMostArguments> arguments;
    const auto count = std::min<std::size_t>(static_cast<std::size_t>(duk_get_top(context)), kMostArguments);
    for (std::size_t i = 0; i < count; ++i) {
      const auto index = static_cast<duk_idx_t>(i);
      if (duk_is_number(context, index)) arguments[i].number = duk_get_number(context, index);
      duk_size_t size = 0;
      const char* text = duk_to_lstring(context, index, &size);
      if (size > self.limits_.argument) return duk_range_error(context, "an argument is too long");
      arguments[i].text = {text, size};
    }
    self.call(static_cast<std::size_t>(duk_get_current_magic(context)), Arguments(arguments).first(count));
    if (const bool* truth = std::get_if<bool>(&self.value_)) {
      duk_push_boolean(context, *truth);
    } else if (const double* number = std::get_if<double>(&self.value_)) {
      duk_push_number(context, *number);
    } else if (const std::string* words = std::get_if<std::string>(&self.value_)) {
      duk_push_lstring(context, words->data(), words->size());
    } else {
      duk_push_null(context);
    }
    return 1;
  }
  void call(std::size_t index, Arguments given) noexcept { value_ = functions()[index].call(around_, given); }

  static duk_ret_t call_match(duk_context* context) {
    duk_size_t text_size = 0, pattern_size = 0;
    const char* text = duk_require_lstring(context, 0, &text_size);
    const char* pattern = duk_require_lstring(context, 1, &pattern_size);
    const auto matched = match_shell({text, text_size}, {pattern, pattern_size}, duk_get_boolean(context, 2) != 0);
    if (matched) {
      duk_push_boolean(context, *matched);
    } else {
      duk_push_null(context);
    }
    return 1;
  }

  static duk_ret_t call_alert(duk_context* context) {
    duk_size_t size = 0;
    const char* text = duk_to_lstring(context, 0, &size);
    of(context).keep_alert({text, size});
    return 0;
  }
  void keep_alert(std::string_view text) noexcept {
    if (alerts_.texts.size() < limits_.alerts) {
      alerts_.texts.push_back(shown(text, limits_.alert_length));
    } else {
      ++alerts_.dropped;
    }
  }

  // --- memory ---
  static void* allocate(void* engine, duk_size_t size) { return reallocate(engine, nullptr, size); }
  static void* reallocate(void* engine, void* old, duk_size_t size) {
    auto& self = *static_cast<Engine*>(engine);
    const std::size_t before = old ? ::malloc_usable_size(old) : 0;
    if (size == 0) {
      release(engine, old);
      return nullptr;
    }
    if (size > before && self.used_ - before + size > self.limits_.memory) {
      self.refused_ = true;  // Duktape collects its garbage and asks again
      return nullptr;
    }
    void* block = std::realloc(old, size);
    if (block) self.used_ += ::malloc_usable_size(block) - before;
    return block;
  }
  static void release(void* engine, void* block) {
    if (block) static_cast<Engine*>(engine)->used_ -= ::malloc_usable_size(block);
    std::free(block);
  }

  // Duktape is in no state to go on.
  [[noreturn]] static void die(void*, const char*) { std::abort(); }

  const ScriptLimits limits_;
  Surroundings around_;
  std::size_t used_ = 0;
  bool refused_ = false, exhausted_ = false;
  duk_context* context_;
  Step step_ = nullptr;
  std::string_view text_, url_, host_;
  const char* entry_ = nullptr;
  std::string result_, words_;
  std::size_t length_ = 0;
  int line_ = 0;
  bool is_text_ = false, shown_ = false;
  Value value_;
  Alerts alerts_;
};

}  // namespace

Result<std::unique_ptr<Script>> Script::load(std::string_view text, Names& names, const Clock& clock,
                                             const ScriptLimits& limits) {
  auto engine = std::make_unique<Engine>(names, clock, limits);
  SLUICE_CHECK(engine->start(text));
  return std::unique_ptr<Script>(std::move(engine));
}

}  // namespace sluice::pac
