// What the allocator keeps of memory that was freed goes back to the system.
#pragma once

namespace sluice {

// Where the process has grown by some 64 MiB since the last time, as in a call that took a large body apart. To find
// that out costs a look at /proc and takes no lock; giving back takes milliseconds. Any thread.
void give_back_memory();

}  // namespace sluice
