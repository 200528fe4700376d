// What posix_spawn(3) is told of every program that we start: descriptors, signals as if nobody had set any, nothing
// else of ours open. Private to this folder.
#pragma once

#include <spawn.h>
#include <unistd.h>

#include <csignal>

namespace sluice::net {

// Each call answers 0, or what is wrong.
struct SpawnOrders {
  SpawnOrders() {
    ::posix_spawn_file_actions_init(&actions);
    ::posix_spawnattr_init(&attributes);
  }
  ~SpawnOrders() {
    ::posix_spawn_file_actions_destroy(&actions);
    ::posix_spawnattr_destroy(&attributes);
  }
  SpawnOrders(const SpawnOrders&) = delete;
  SpawnOrders& operator=(const SpawnOrders&) = delete;

  int give(int input, int output) {
    const int error = ::posix_spawn_file_actions_adddup2(&actions, input, STDIN_FILENO);
    return error ? error : ::posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO);
  }
  // The last call. `group`: POSIX_SPAWN_SETSID or POSIX_SPAWN_SETPGROUP.
  int finish(int group) {
    sigset_t none, all;
    ::sigemptyset(&none);
    ::sigfillset(&all);
    int error = ::posix_spawn_file_actions_addclosefrom_np(&actions, STDERR_FILENO + 1);
    if (!error) error = ::posix_spawnattr_setsigmask(&attributes, &none);
    if (!error) error = ::posix_spawnattr_setsigdefault(&attributes, &all);
    const int flags = POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | group;
    return error ? error : ::posix_spawnattr_setflags(&attributes, static_cast<short>(flags));
  }

  posix_spawn_file_actions_t actions;
  posix_spawnattr_t attributes;
};

}  // namespace sluice::net
