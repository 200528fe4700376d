// Rules change traffic. A RuleBook is an immutable compiled snapshot: workers read it without locks, a change makes a
// new one and swaps it, and no socket ever notices. engine.md 6, proxy.md (b); for users: docs/rules.md.
//
//   RuleBook::Plan plan = book.match(subject);
//   if (plan.needs_body) … gather the decoded request body, set subject.body, match again …
//   plan.count_hits(worker);
//   switch (plan.action()) { kMock … kForward … kDrop … kPassthrough … }
//
// Thread-safety: RuleBook and Rule are immutable and shared; Plan belongs to its exchange; RuleStore locks inside and
// is called from control threads only (book() and generation() from any).
#pragma once

#include "rules/apply.h"       // IWYU pragma: export
#include "rules/rule.h"        // IWYU pragma: export
#include "rules/rule_book.h"   // IWYU pragma: export
#include "rules/rule_json.h"   // IWYU pragma: export
#include "rules/rule_store.h"  // IWYU pragma: export
