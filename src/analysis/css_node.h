// A selector taken apart. Private to css*.cc.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace sluice::analysis::css {

struct List;

enum class Test : std::uint8_t {
  kType,
  kId,
  kClass,
  kHas,
  kEquals,
  kWord,
  kDash,
  kPrefix,
  kSuffix,
  kPart,  // attributes
  kNot,
  kIs,
  kHasInside,
  kNth,
  kNthLast,
  kNthOfType,
  kNthLastOfType,
  kOnlyChild,
  kOnlyOfType,
  kEmpty,
  kRoot,
  kChecked,
  kDisabled,
  kEnabled,
  kLink
};

struct Simple {
  Test test = Test::kType;
  std::string name, value;
  bool any_case = false;
  std::int64_t step = 0, offset = 0;  // an+b
  std::shared_ptr<const List> list;   // of kNot, kIs, kHasInside, and "of"
};

enum class Combinator : std::uint8_t { kNone, kDescendant, kChild, kNext, kSibling };

struct Compound {
  Combinator before = Combinator::kNone;  // how it stands to the one before it
  std::vector<Simple> tests;
};

struct Complex {
  std::vector<Compound> parts;
};

struct List {
  std::vector<Complex> selectors;
};

}  // namespace sluice::analysis::css
