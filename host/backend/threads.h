// How many threads there are to be, and are. OpenMP ends the process where it cannot start a
// thread, and leaves a forked child waiting for threads that it does not have: neither happens
// here.
#pragma once

#include <cstdint>

#include "host/backend/machine.h"

namespace lockstep {

/// Threads that are used unless a number is given: what OMP_NUM_THREADS says, else the cores that
/// this process may run on (affinity), and no more than `quota` of them, rounded up.
int default_threads(double quota = machine_limits().cores);

/// `wanted`, or default_threads() for 0: the meaning of --threads.
int thread_count(std::int64_t wanted);

/// `wanted` threads, this one among them, or as many as can be started, at least 1. Tried once;
/// from then on this process can be forked and its children start threads of their own.
int startable_threads(int wanted);

}  // namespace lockstep
