#include "tools/adoptions.h"

#include "tools/tool.h"

namespace sluice::tools {
namespace {

std::string caller_of(const CallContext& context) {
  if (!context.session.empty()) return "session " + context.session;
  return "grant " + context.grant;
}

}  // namespace

bool Adoptions::adopt(const CallContext& context) {
  std::lock_guard lock(mutex_);
  if (callers_.size() >= kMaxCallers) callers_.clear();
  return callers_.insert(caller_of(context)).second;
}

bool Adoptions::has(const CallContext& context) const {
  std::lock_guard lock(mutex_);
  return callers_.contains(caller_of(context));
}

void Adoptions::forget_session(std::string_view session) {
  std::lock_guard lock(mutex_);
  callers_.erase("session " + std::string(session));
}

void Adoptions::clear() {
  std::lock_guard lock(mutex_);
  callers_.clear();
}

}  // namespace sluice::tools
