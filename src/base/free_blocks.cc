#include "base/free_blocks.h"

#include <cstdlib>

namespace sluice {

void FreeBlocks::clear() {
  for (Block*& list : lists_) {
    while (list) std::free(std::exchange(list, list->next));
  }
  held_ = 0;
}

}  // namespace sluice
