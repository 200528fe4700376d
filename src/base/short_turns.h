// How the scheduler shares a busy core out among threads.
#pragma once

namespace sluice {

// The calling thread, which answers people and programs that wait, takes its share of a core in turns of 0.1 ms
// instead of some 3: under Linux's EEVDF (6.12 and later) whoever asks for short turns comes to one the sooner after it
// wakes, beside workers that always have something to do. Its share stays what it was. Elsewhere without effect.
void take_short_turns();

}  // namespace sluice
