// What the allocator keeps of memory that was freed goes back to the system.
#pragma once

namespace sluice {

// Once, before there are threads. From then on there is an arena for each core and two more, and each keeps at most a
// few MiB of what was freed at its top. glibc would make eight for each core and let that grow to 64 MiB in each whose
// thread ever freed a large block, and malloc_trim() cannot take it from threads that live.
void keep_little_memory();

// Where the process has 64 MiB more than it had at its smallest, as after a call that took a large body apart; where
// that is in use, less and less often. And once work has come to rest: after 3 s where 4 MiB have crept in since the
// last time, and once after 8. To be called each second. To find out costs a look at /proc; giving back takes
// milliseconds. Any thread; one at a time does it.
void give_back_memory();

}  // namespace sluice
